"""Checkpoints on disk and on ModelScope: strict, never executing code from them (SPEC 0.3, 5.5)."""

from __future__ import annotations

import json
import re
import shutil
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

from core.errors import CheckpointError, DeviceError
from core.model.config import RexConfig
from core.model.rex import RexModel
from core.model.tokenizer import RexTokenizer

INDEX = "model.safetensors.index.json"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "special_tokens_map.json",
    "added_tokens.json",
)
IGNORED_KEYS = {"plm.embeddings.position_ids"}  # a buffer of old saves, not a weight (SPEC 5.5)
DATA_FILES = ["*.json", "*.txt", "*.bin", "*.safetensors"]  # what is fetched: no code, no pictures


@dataclass(frozen=True, slots=True)
class CheckpointFiles:
    """A checkpoint without its weights: what asking and reading answers needs, in a process that holds no network."""

    config: RexConfig
    tokenizer: RexTokenizer
    name: str
    revision: str
    directory: Path


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A loaded model with its tokenizer and where both came from."""

    model: RexModel
    tokenizer: RexTokenizer
    name: str
    revision: str
    directory: Path
    device: torch.device
    dtype: torch.dtype
    load_s: float

    @property
    def config(self) -> RexConfig:
        """The shape of the network."""
        return self.model.config

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(p.numel() for p in self.model.parameters())


def resolve_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N` → device; raises DeviceError when it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"无法识别设备 “{name}”：请用 auto、cpu、cuda 或 cuda:0") from error
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise DeviceError(
            f"设备 “{name}” 不可用（可见 GPU 数：{torch.cuda.device_count()}）：请改用 REX_DEVICE=auto 或 cpu"
        )
    return device


def resolve_dtype(name: str) -> torch.dtype:
    """`auto` (float32) or the name of a floating type."""
    known = {"auto": torch.float32, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name not in known:
        raise DeviceError(f"无法识别精度 “{name}”：可选 {'、'.join(known)}")
    return known[name]


def locate(source: str, *, revision: str, download_dir: Path) -> Path:
    """The directory of a checkpoint given as a path or a ModelScope id, fetching it when needed.

    Raises CheckpointError with the two ways to get the files when there is neither a directory nor a network.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return path
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", source) or path.is_absolute():
        raise CheckpointError(f"检查点目录 {path} 不存在：请检查路径，或填写 ModelScope 模型编号（形如 组织/模型名）")
    target = download_dir / source.replace("/", "--") / revision
    if (target / ".complete").is_file():
        return target
    from modelscope.hub.snapshot_download import snapshot_download  # slow to import, needed only here

    try:
        snapshot_download(source, revision=revision, local_dir=str(target), allow_patterns=DATA_FILES)
    except Exception as error:  # network, unknown id, full disk: the library has no common base class
        raise CheckpointError(
            f"无法从 ModelScope 取得模型 {source}（版本 {revision}）：{type(error).__name__}: {error}\n"
            f"两种办法：① 联网后重试（或运行 modelscope download --model {source} --revision {revision}"
            f" --local_dir DIR，再把 REX_MODEL 设为 DIR）；② 从别处复制检查点目录"
            f"（含 config.json、分词器文件、pytorch_model.bin 或 *.safetensors），再把 REX_MODEL 设为该目录"
        ) from error
    (target / ".complete").touch()
    return target


def read_state(directory: Path, *, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """The state dict of a directory: sharded or single safetensors, or `pytorch_model.bin` (tensors only)."""
    index, single, pickled = directory / INDEX, directory / "model.safetensors", directory / "pytorch_model.bin"
    try:
        if index.is_file():
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
            absent = [name for name in names if not (directory / name).is_file()]
            if absent:
                raise CheckpointError(f"检查点 {directory} 缺少分片：{'、'.join(absent)}")
            state: dict[str, Tensor] = {}
            for name in names:
                state |= load_file(directory / name, device=str(device))
            return state
        if single.is_file():
            return load_file(single, device=str(device))
        if pickled.is_file():
            # Files of torch before 1.6 are no zip archives and cannot be mapped.
            mapped = zipfile.is_zipfile(pickled)
            loaded = torch.load(pickled, map_location=device, weights_only=True, mmap=mapped)
            return loaded.get("state_dict", loaded)
    except CheckpointError:
        raise
    except (SafetensorError, OSError, RuntimeError, ValueError, KeyError) as error:
        raise CheckpointError(f"检查点 {directory} 的权重文件已损坏或不完整：{error}") from error
    except Exception as error:  # torch.load raises pickle.UnpicklingError for anything but tensors
        raise CheckpointError(f"拒绝读取 {pickled}：文件里不只有权重（{type(error).__name__}）") from error
    present = "、".join(sorted(p.name for p in directory.iterdir())) or "（空目录）"
    raise CheckpointError(
        f"检查点 {directory} 里没有权重：需要 pytorch_model.bin、model.safetensors 或 {INDEX}；现有：{present}"
    )


class _Unfilled(TorchFunctionMode):
    """Leaves new weights without values: all are replaced, and computing some on "meta" imports a compiler (2 s)."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        if func is init.normal_:
            return options["tensor"]
        return func(*args, **(options | {"device": "cpu"} if func is torch.arange else options))


def build_model(config: RexConfig, state: dict[str, Tensor], *, dtype: torch.dtype) -> RexModel:
    """A model that holds exactly `state`; raises CheckpointError listing missing, unexpected and misshapen keys."""
    with torch.device("meta"), _Unfilled():
        model = RexModel(config)
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    state = {name: value for name, value in state.items() if name not in IGNORED_KEYS}
    faults = [f"缺少 {name}" for name in wanted if name not in state]
    faults += [f"多出 {name}" for name in state if name not in wanted]
    faults += [
        f"{name} 的形状是 {tuple(state[name].shape)}，应为 {shape}"
        for name, shape in wanted.items()
        if name in state and tuple(state[name].shape) != shape
    ]
    if faults:
        raise CheckpointError(f"权重与 config.json 不符（{len(faults)} 处）：\n" + "\n".join(faults))
    # Rotary angles lose whole positions in half precision (SPEC 5.4), so their table stays in float32.
    typed = {name: value.to(torch.float32 if name == "rotary_emb.freqs" else dtype) for name, value in state.items()}
    model.load_state_dict(typed, assign=True)
    return model.requires_grad_(False).eval()


def read_files(
    source: str, *, revision: str = "master", download_dir: Path = Path("data/cache/models")
) -> CheckpointFiles:
    """Configuration and tokenizer of a checkpoint, fetched when needed; no weight is read."""
    directory = locate(source, revision=revision, download_dir=download_dir)
    config = RexConfig.from_file(directory / "config.json")
    tokenizer = RexTokenizer.from_directory(directory)
    if tokenizer.size > config.num_embeddings:
        raise CheckpointError(
            f"检查点 {directory} 的分词器有 {tokenizer.size} 个编号，"
            f"词向量只有 {config.num_embeddings} 行：两者不是一套"
        )
    local = Path(source).expanduser().is_dir()
    return CheckpointFiles(
        config=config,
        tokenizer=tokenizer,
        name=directory.name if local else source,
        revision="local" if local else revision,
        directory=directory,
    )


def load_weights(files: CheckpointFiles, *, device: str = "auto", dtype: str = "auto", threads: int = 0) -> Checkpoint:
    """The network of a checkpoint, straight to its device and dtype; `threads` above 0 sets torch's CPU threads."""
    start = time.perf_counter()
    target, precision = resolve_device(device), resolve_dtype(dtype)
    if threads > 0:
        torch.set_num_threads(threads)
    model = build_model(files.config, read_state(files.directory, device=target), dtype=precision)
    if target.type == "cuda":
        model.plm.join()
    return Checkpoint(
        model=model,
        tokenizer=files.tokenizer,
        name=files.name,
        revision=files.revision,
        directory=files.directory,
        device=target,
        dtype=precision,
        load_s=time.perf_counter() - start,
    )


def load_checkpoint(
    source: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    revision: str = "master",
    download_dir: Path = Path("data/cache/models"),
    threads: int = 0,
) -> Checkpoint:
    """Load a checkpoint once: its files, then its weights (see `load_weights`)."""
    resolve_device(device), resolve_dtype(dtype)  # before anything is fetched
    files = read_files(source, revision=revision, download_dir=download_dir)
    return load_weights(files, device=device, dtype=dtype, threads=threads)


def save_state(
    state: dict[str, Tensor],
    directory: Path,
    *,
    dtype: torch.dtype = torch.float16,
    shard_bytes: int = 15 * 2**20,
) -> None:
    """Write a state dict as numbered safetensors shards of at most `shard_bytes` with an index.

    A single tensor larger than that gets a shard of its own. The rotary table is kept in float32.
    """
    directory.mkdir(parents=True, exist_ok=True)
    shards: list[dict[str, Tensor]] = [{}]
    used = 0
    for name, value in state.items():
        value = value.detach().to("cpu", torch.float32 if name == "rotary_emb.freqs" else dtype).contiguous()
        size = value.numel() * value.element_size()
        if shards[-1] and used + size > shard_bytes:
            shards.append({})
            used = 0
        shards[-1][name] = value
        used += size
    for old in [*directory.glob("model*.safetensors"), directory / INDEX]:
        old.unlink(missing_ok=True)
    weight_map: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        save_file(shard, directory / file, metadata={"format": "pt"})
        (directory / file).chmod(0o644)  # the library writes for the owner alone; a service may run as another user
        weight_map |= dict.fromkeys(shard, file)
    total = sum(v.numel() * v.element_size() for shard in shards for v in shard.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (directory / INDEX).write_text(json.dumps(index, indent=1), encoding="utf-8")


def save_checkpoint(
    model: RexModel, directory: Path, *, tokenizer_from: Path, dtype: torch.dtype = torch.float16
) -> None:
    """Write a complete checkpoint directory, with the tokenizer files of another one."""
    directory.mkdir(parents=True, exist_ok=True)
    save_state(model.state_dict(), directory, dtype=dtype)
    (directory / "config.json").write_text(json.dumps(model.config.to_dict(), indent=1), encoding="utf-8")
    for name in TOKENIZER_FILES:
        if (tokenizer_from / name).is_file() and tokenizer_from.resolve() != directory.resolve():
            shutil.copyfile(tokenizer_from / name, directory / name)
