"""What a checkpoint directory says of itself without loading it: size, weights, licence, where it came from, hashes."""

from __future__ import annotations

import hashlib
import json
import math
import re
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from core.errors import Cancelled, CheckpointError
from core.model.checkpoint import IGNORED_KEYS, INDEX

SUMS = "SHA256SUMS"
"""The hashes of a checkpoint's files, as `sha256sum -c` reads them."""

ORIGIN = "origin.json"
"""Where a downloaded or fine-tuned checkpoint came from."""

CARD = "README.md"
BLOCK = 2**20
LICENCE_CHARACTERS = 200


def tree_size(directory: Path) -> int:
    """Bytes of everything below a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def count_parameters(directory: Path) -> int | None:
    """Number of weights, read from the headers of the files; None when they cannot be read."""
    files = _weight_files(directory)
    if not files:
        return None
    stamps = tuple((str(path), path.stat().st_mtime_ns) for path in files)
    return _count(stamps)


@lru_cache(maxsize=64)
def _count(stamps: tuple[tuple[str, int], ...]) -> int | None:
    total = 0
    try:
        for name, _ in stamps:
            total += _tensors(Path(name)) if name.endswith(".safetensors") else _pickled(Path(name))
    except (OSError, SafetensorError, RuntimeError, ValueError):
        return None
    except Exception:  # torch refuses anything but tensors with an error of pickle's
        return None
    return total


def _tensors(path: Path) -> int:
    with safe_open(path, framework="numpy") as file:
        names = [name for name in file.keys() if name not in IGNORED_KEYS]  # noqa: SIM118 - it is no mapping
        return sum(math.prod(file.get_slice(name).get_shape()) for name in names)


def _pickled(path: Path) -> int:
    state = torch.load(path, map_location="meta", weights_only=True, mmap=zipfile.is_zipfile(path))
    state = state.get("state_dict", state)
    return sum(value.numel() for name, value in state.items() if name not in IGNORED_KEYS)


def _weight_files(directory: Path) -> list[Path]:
    if (directory / INDEX).is_file():
        return sorted(directory.glob("model-*.safetensors"))
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (directory / name).is_file():
            return [directory / name]
    return []


def read_licence(directory: Path) -> str:
    """The licence as the card states it: in its head (`license:`), or first under a heading of that name."""
    try:
        text = (directory / CARD).read_text("utf-8", "replace")
    except OSError:
        return ""
    head = re.match(r"---\s*\n(.*?)\n---\s*\n", text, re.S)
    found = re.search(r"^licen[cs]e:\s*(.+)$", head[1], re.M) if head else None
    found = found or re.search(r"^#+[^\n]*(?:licen[cs]e|许可)[^\n]*\n+(.+?(?:\.|。|\n\n|\Z))", text, re.M | re.S | re.I)
    return re.sub(r"[*`\s]+", " ", found[1]).strip(" \"'")[:LICENCE_CHARACTERS] if found else ""


def read_origin(directory: Path) -> dict[str, Any]:
    """What `write_origin` kept; empty for a checkpoint that came another way."""
    try:
        origin = json.loads((directory / ORIGIN).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return origin if isinstance(origin, dict) else {}


def write_origin(directory: Path, **facts: Any) -> None:
    """Keep where a checkpoint came from."""
    (directory / ORIGIN).write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", "utf-8")


def read_sums(directory: Path) -> dict[str, str]:
    """The recorded hash of each file; empty without a list. Raises CheckpointError for a line that is none."""
    try:
        lines = (directory / SUMS).read_text("utf-8").splitlines()
    except OSError:
        return {}
    found = [re.fullmatch(r"([0-9a-f]{64})  (\S.*)", line) for line in lines if line.strip()]
    if not all(found):
        raise CheckpointError(f"{directory / SUMS} 不是 sha256sum 的格式：请重新取得这个检查点")
    return {match[2]: match[1] for match in found if match}


def write_sums(directory: Path, sums: dict[str, str]) -> None:
    """Record the hash of each file."""
    (directory / SUMS).write_text("".join(f"{sha}  {name}\n" for name, sha in sorted(sums.items())), "utf-8")


def file_sha256(path: Path, *, advance: Callable[[int], None] = lambda _: None) -> str:
    """SHA-256 of a file; `advance(bytes)` is told of each block and may raise to stop."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            advance(len(block))
    return digest.hexdigest()


def wrong_files(
    directory: Path, *, advance: Callable[[int], None] = lambda _: None, cancelled: Callable[[], bool] = lambda: False
) -> list[str]:
    """What differs from the recorded hashes, a sentence a file. Raises Cancelled."""
    faults = []
    for name, wanted in read_sums(directory).items():
        if cancelled():
            raise Cancelled("已取消")
        path = directory / name
        if not path.resolve().is_relative_to(directory.resolve()):
            faults.append(f"{name}：不在检查点目录里")
        elif not path.is_file():
            faults.append(f"{name}：文件不见了")
        elif file_sha256(path, advance=advance) != wanted:
            faults.append(f"{name}：内容与记录的哈希不同")
    return faults
