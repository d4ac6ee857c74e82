"""Checkpoints: what is missing is named, what is foreign is refused, what is saved comes back."""

from __future__ import annotations

import fnmatch
import inspect
import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from core.errors import CheckpointError, DeviceError
from core.model.checkpoint import (
    INDEX,
    Checkpoint,
    build_model,
    load_checkpoint,
    locate,
    read_state,
    resolve_device,
    resolve_dtype,
    save_checkpoint,
    save_state,
)
from core.model.config import RexConfig
from core.model.tokenizer import RexTokenizer

# The package has a function of the module's name, so the module is asked for by name.
hub = pytest.importorskip("modelscope.hub.snapshot_download", reason="modelscope is not installed")
TINY = Path(__file__).parents[1] / "fixtures" / "tiny"


@pytest.fixture(scope="module")
def tiny() -> Checkpoint:
    return load_checkpoint(str(TINY), device="cpu")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkpoint directory that a test may damage."""
    target = tmp_path / "model"
    target.mkdir()
    for file in TINY.iterdir():
        shutil.copyfile(file, target / file.name)
    return target


def _save_sharded(tiny: Checkpoint, directory: Path, *, dtype: torch.dtype, shard_bytes: int) -> None:
    (directory / "model.safetensors").unlink()
    save_state(tiny.model.state_dict(), directory, dtype=dtype, shard_bytes=shard_bytes)


def test_a_missing_directory_is_named() -> None:
    with pytest.raises(CheckpointError, match="/nowhere/at/all 不存在"):
        load_checkpoint("/nowhere/at/all", device="cpu")


def test_missing_weights_are_reported_with_what_is_there(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(str(copy), device="cpu")
    assert "pytorch_model.bin" in str(caught.value)
    assert "config.json、tokenizer.json、tokenizer_config.json、vocab.txt" in str(caught.value)


def test_a_missing_config_is_named(copy: Path) -> None:
    (copy / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"缺少 config\.json"):
        load_checkpoint(str(copy), device="cpu")


def test_a_missing_tokenizer_is_named(copy: Path) -> None:
    (copy / "tokenizer.json").unlink()
    (copy / "vocab.txt").unlink()
    with pytest.raises(CheckpointError, match="缺少 tokenizer.json 或 vocab.txt"):
        load_checkpoint(str(copy), device="cpu")


def test_a_missing_shard_is_named(tiny: Checkpoint, copy: Path) -> None:
    _save_sharded(tiny, copy, dtype=torch.float32, shard_bytes=200_000)
    shards = sorted(copy.glob("model-*.safetensors"))
    shards[1].unlink()
    with pytest.raises(CheckpointError, match=f"缺少分片：{shards[1].name}$"):
        load_checkpoint(str(copy), device="cpu")


def test_a_truncated_weight_file_is_reported_as_damaged(copy: Path) -> None:
    whole = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="已损坏或不完整"):
        load_checkpoint(str(copy), device="cpu")


def test_missing_unexpected_and_misshapen_keys_are_all_listed(tiny: Checkpoint) -> None:
    state = dict(tiny.model.state_dict())
    del state["ffnq.bias"]
    state["head.weight"] = torch.zeros(3)
    state["ffnk.bias"] = torch.zeros(5)
    with pytest.raises(CheckpointError) as caught:
        build_model(tiny.model.config, state, dtype=torch.float32)
    message = str(caught.value)
    assert "（3 处）" in message
    assert "缺少 ffnq.bias" in message
    assert "多出 head.weight" in message
    assert "ffnk.bias 的形状是 (5,)，应为 (32,)" in message


def test_the_position_buffer_of_old_saves_is_ignored(tiny: Checkpoint) -> None:
    state = dict(tiny.model.state_dict()) | {"plm.embeddings.position_ids": torch.arange(512)[None]}
    model = build_model(tiny.model.config, state, dtype=torch.float32)
    assert torch.equal(model.ffnq.bias, tiny.model.ffnq.bias)


class _Attack:
    def __init__(self, target: Path) -> None:
        self.target = str(target)

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (self.target,)


@pytest.mark.parametrize("form", ["zip", "legacy", "bare pickle"])
def test_a_pickle_that_holds_code_is_refused_and_not_executed(copy: Path, tmp_path: Path, form: str) -> None:
    target = tmp_path / "executed"
    (copy / "model.safetensors").unlink()
    attack = {"ffnq.bias": _Attack(target)}
    if form == "bare pickle":
        (copy / "pytorch_model.bin").write_bytes(pickle.dumps(attack, protocol=2))
    else:
        torch.save(attack, copy / "pytorch_model.bin", _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin|权重文件"):
        load_checkpoint(str(copy), device="cpu")
    assert not target.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_pytorch_model_bin_of_both_formats_loads(tiny: Checkpoint, copy: Path, zipped: bool) -> None:
    (copy / "model.safetensors").unlink()
    state = dict(tiny.model.state_dict())
    torch.save(state, copy / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    loaded = read_state(copy)
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


def test_vocab_txt_with_its_config_tokenizes_like_tokenizer_json(copy: Path) -> None:
    whole = RexTokenizer.from_directory(copy)
    (copy / "tokenizer.json").unlink()
    built = RexTokenizer.from_directory(copy)
    assert built.size == whole.size
    texts = [
        "小说家陈静1972年出生于杭州。",
        "Hello, World! 𠮷野家\u3000ＡＢＣ café",
        "[TYPE]人物[SEP]\n\t😀👨‍👩‍👧",
        "",
        "abc123def",
    ]
    for text in texts:
        for marked in (False, True):
            ours, theirs = (one.encode_text(text, markers=marked) for one in (built, whole))
            assert ours.ids.tolist() == theirs.ids.tolist(), text
            assert ours.offsets.tolist() == theirs.offsets.tolist(), text


def test_a_line_separator_in_vocab_txt_is_a_token_of_its_own(copy: Path) -> None:
    (copy / "tokenizer.json").unlink()
    tokens = (copy / "vocab.txt").read_text(encoding="utf-8").split("\n")
    before = RexTokenizer.from_directory(copy)
    place = tokens.index("静")
    replaced = next(n for n, token in enumerate(tokens) if n < place and token.startswith("[unused"))
    tokens[replaced] = "\u2028"
    (copy / "vocab.txt").write_text("\n".join(tokens), encoding="utf-8")
    after = RexTokenizer.from_directory(copy)
    assert after.encode_text("静").ids.tolist() == before.encode_text("静").ids.tolist() == [place]
    assert after.size == before.size


def test_a_sharded_checkpoint_round_trips_with_shards_under_the_limit(tiny: Checkpoint, copy: Path) -> None:
    limit = 300_000
    _save_sharded(tiny, copy, dtype=torch.float32, shard_bytes=limit)
    shards = sorted(copy.glob("model-*.safetensors"))
    index = json.loads((copy / INDEX).read_text(encoding="utf-8"))
    state = tiny.model.state_dict()
    assert len(shards) > 1
    assert set(index["weight_map"]) == set(state)
    for shard in shards:
        names = [name for name, file in index["weight_map"].items() if file == shard.name]
        size = sum(state[name].numel() * 4 for name in names)
        assert size <= limit or len(names) == 1  # the word embedding alone is larger than the limit
    loaded = load_checkpoint(str(copy), device="cpu").model.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


def test_saving_again_leaves_no_shard_of_the_first_save(tiny: Checkpoint, tmp_path: Path) -> None:
    save_state(tiny.model.state_dict(), tmp_path, shard_bytes=100_000)
    many = len(list(tmp_path.glob("model-*.safetensors")))
    save_state(tiny.model.state_dict(), tmp_path)
    assert many > 1
    assert [file.name for file in tmp_path.glob("model*.safetensors")] == ["model-00001-of-00001.safetensors"]


def test_a_half_precision_save_loads_as_float32(tiny: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(tiny.model, tmp_path, tokenizer_from=TINY, dtype=torch.float16)
    stored = read_state(tmp_path)
    assert stored["ffnq.weight"].dtype == torch.float16
    assert stored["rotary_emb.freqs"].dtype == torch.float32
    loaded = load_checkpoint(str(tmp_path), device="cpu")
    assert {value.dtype for value in loaded.model.state_dict().values()} == {torch.float32}
    torch.testing.assert_close(loaded.model.ffnq.weight, tiny.model.ffnq.weight, atol=2e-3, rtol=1e-3)
    assert torch.equal(loaded.model.rotary_emb.freqs, tiny.model.rotary_emb.freqs)
    assert loaded.tokenizer.size == tiny.tokenizer.size


def test_a_tokenizer_with_more_ids_than_embeddings_is_refused(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    (copy / "config.json").write_text(json.dumps(config | {"vocab_size": 12700}), encoding="utf-8")
    with pytest.raises(CheckpointError, match="12704 行：两者不是一套"):
        load_checkpoint(str(copy), device="cpu")


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "cuda:x", ""])
def test_a_device_that_is_not_there_is_named(device: str) -> None:
    with pytest.raises(DeviceError, match=f"“{device}”"):
        resolve_device(device)


def test_an_unknown_precision_is_named_with_the_known_ones() -> None:
    with pytest.raises(DeviceError, match="“int8”：可选 auto、float32、bfloat16、float16"):
        resolve_dtype("int8")


def test_without_a_network_both_ways_to_get_the_files_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*args: Any, **options: Any) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(hub, "snapshot_download", offline)
    with pytest.raises(CheckpointError) as caught:
        locate("some/model", revision="v1", download_dir=tmp_path)
    message = str(caught.value)
    assert "some/model（版本 v1）" in message
    assert "no route to host" in message
    assert "modelscope download --model some/model --revision v1" in message
    assert "复制检查点目录" in message
    assert message.count("REX_MODEL") == 2


def test_only_data_files_are_requested_and_a_complete_copy_is_not_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = inspect.signature(hub.snapshot_download)
    calls: list[dict[str, Any]] = []

    def fetch(*args: Any, **options: Any) -> None:
        calls.append(real.bind(*args, **options).arguments)  # fails for an option that the library does not have
        Path(options["local_dir"]).mkdir(parents=True)

    monkeypatch.setattr(hub, "snapshot_download", fetch)
    first = locate("some/model", revision="v1", download_dir=tmp_path)
    assert locate("some/model", revision="v1", download_dir=tmp_path) == first
    assert len(calls) == 1
    assert calls[0]["revision"] == "v1"
    patterns = calls[0]["allow_patterns"]
    for wanted in ("config.json", "vocab.txt", "pytorch_model.bin", "model-00001-of-00002.safetensors"):
        assert any(fnmatch.fnmatch(wanted, pattern) for pattern in patterns), wanted
    for refused in ("modeling.py", "run.sh", "picture.png", "model.pkl"):
        assert not any(fnmatch.fnmatch(refused, pattern) for pattern in patterns), refused


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "bert"}, "model_type 是 “bert”"),
        ({"position_biased_input": True}, "position_biased_input 应为 false，现为 true"),
        ({"type_vocab_size": 2}, "type_vocab_size 应为 0，现为 2"),
        ({"relative_attention": False}, "relative_attention 应为 true，现为 false"),
        ({"embedding_size": 64}, "embedding_size"),
        ({"num_attention_heads": 5}, "hidden_size 32 不能被 num_attention_heads 5 整除"),
        ({"hidden_act": "swish"}, "不支持的 hidden_act “swish”"),
    ],
)
def test_a_config_of_another_network_is_refused_by_field(copy: Path, change: dict[str, Any], said: str) -> None:
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    (copy / "config.json").write_text(json.dumps(config | change), encoding="utf-8")
    with pytest.raises(CheckpointError) as caught:
        RexConfig.from_file(copy / "config.json")
    assert said in str(caught.value)


def test_a_broken_config_is_reported_by_path(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"config\.json 无法读取"):
        RexConfig.from_file(tmp_path / "config.json")


def test_a_config_written_by_the_product_reads_back_equal(tmp_path: Path) -> None:
    config = RexConfig(hidden_size=32, num_attention_heads=4, pos_att_type=("c2p",), conv_kernel_size=3)
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()), encoding="utf-8")
    assert RexConfig.from_file(tmp_path / "config.json") == config
