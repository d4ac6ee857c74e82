"""Pre-training: masks, the fast encoder path, the schedule, and a tiny network that learns a repeating text."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator

from core.errors import CheckpointError, InputError
from core.model.config import RexConfig
from core.model.encoder import Encoder
from core.training.contiguous import encode
from core.training.masking import NO_LABEL, load_streams, mask_spans, sample
from core.training.pretrain import PretrainConfig, build, parse, pretrain
from core.training.replaced import ReplacedTokenModel
from core.training.schedule import trapezoid


def rng(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def random_ids(rows: int, length: int) -> torch.Tensor:
    ids = torch.randint(100, 12800, (rows, length), generator=rng())
    ids[:, 0], ids[:, -1], ids[:, length // 2] = 1, 2, 2
    return ids


def test_masking_picks_exactly_the_asked_number_and_never_a_special() -> None:
    ids = random_ids(64, 128)
    batch = mask_spans(ids, count=32, span=2.5, vocab_size=12800, generator=rng())
    assert batch.positions.shape == batch.labels.shape == (64, 32)
    assert all(len(set(row)) == 32 for row in batch.positions.tolist())
    assert (batch.labels >= 100).all()
    assert torch.equal(ids.gather(1, batch.positions), batch.labels)
    untouched = torch.ones_like(ids, dtype=torch.bool).scatter(1, batch.positions, False)
    assert torch.equal(ids[untouched], batch.input_ids[untouched])


def test_of_the_masked_tokens_four_in_five_become_the_mask() -> None:
    batch = mask_spans(random_ids(512, 128), count=32, span=2.5, vocab_size=12800, generator=rng())
    shown = batch.input_ids.gather(1, batch.positions)
    assert (shown == 4).float().mean().item() == pytest.approx(0.8, abs=0.02)
    assert (shown == batch.labels).float().mean().item() == pytest.approx(0.1, abs=0.02)


def test_masked_stretches_have_about_the_asked_length() -> None:
    batch = mask_spans(random_ids(512, 128), count=20, span=4.0, vocab_size=12800, generator=rng())
    chosen = torch.zeros(512, 130, dtype=torch.bool).scatter(1, batch.positions + 1, True)
    beginnings = (chosen & ~chosen.roll(1, dims=1)).sum().item()
    assert 3.0 < 512 * 20 / beginnings < 6.0


def test_a_row_of_mostly_specials_gives_labels_only_for_its_ordinary_tokens() -> None:
    ids = torch.full((2, 16), 2)
    ids[:, 5] = ids[:, 6] = 777
    batch = mask_spans(ids, count=6, span=2.0, vocab_size=12800, generator=rng())
    assert ((batch.labels == 777).sum(1) == 2).all()
    assert ((batch.labels == NO_LABEL).sum(1) == 4).all()
    assert (batch.input_ids[ids == 2] == 2).all()


@pytest.mark.parametrize("length", [5, 16])
def test_the_fast_path_equals_the_encoder(length: int) -> None:
    torch.manual_seed(0)
    config = RexConfig(
        vocab_size=200,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        position_buckets=16,
        conv_kernel_size=3,
        conv_act="gelu",
        initializer_range=0.3,
    )
    encoder = Encoder(config).eval()
    ids = torch.randint(0, 200, (3, length))
    with torch.no_grad():
        expected = encoder(ids, torch.arange(length)[None])
        torch.testing.assert_close(encode(encoder, ids), expected, atol=2e-5, rtol=1e-4)


def test_the_fast_path_refuses_texts_longer_than_its_table() -> None:
    config = RexConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, position_buckets=4)
    with pytest.raises(CheckpointError, match="5"):
        encode(Encoder(config), torch.zeros(1, 5, dtype=torch.long))


def test_the_learning_rate_rises_stays_and_falls_to_zero() -> None:
    values = [trapezoid(step / 100, warm_up=0.1, decay=0.5) for step in range(101)]
    assert values[0] == values[100] == 0
    assert values[5] == pytest.approx(0.5)
    assert values[10:51] == [1.0] * 41
    assert values[75] == pytest.approx(0.5)
    assert trapezoid(1.7) == 0


def repeating(directory: Path) -> Path:
    directory.mkdir()
    sentence = [*range(100, 116), 2]
    np.save(directory / "one.npy", np.array(sentence * 200, dtype=np.uint16))
    np.save(directory / "two.npy", np.array(sentence[::-1] * 100, dtype=np.uint16))
    return directory


def test_samples_are_stretches_of_one_source_between_cls_and_sep(tmp_path: Path) -> None:
    np.save(tmp_path / "odd.npy", np.arange(101, 3001, 2, dtype=np.uint16))
    np.save(tmp_path / "even.npy", np.arange(100, 3000, 2, dtype=np.uint16))
    train, held = load_streams(tmp_path, weights={"odd": 3.0}, least=32, device=torch.device("cpu"))
    ids = sample(train, 2000, length=32, generator=rng())
    assert (ids[:, 0] == 1).all() and (ids[:, -1] == 2).all()
    assert (ids[:, 1:-1].diff(dim=1) == 2).all()
    assert (ids[:, 1] % 2).float().mean().item() == pytest.approx(0.75, abs=0.04)
    assert train.tokens.min() == 100 and held.tokens.max() == 2999
    assert not set(train.tokens.tolist()) & set(held.tokens.tolist())


def test_streams_that_are_too_short_are_an_error_that_names_the_directory(tmp_path: Path) -> None:
    np.save(tmp_path / "tiny.npy", np.arange(20, dtype=np.uint16))
    with pytest.raises(InputError, match=tmp_path.name):
        load_streams(tmp_path, weights={}, least=32, device=torch.device("cpu"))


def tiny(data: Path, out: Path, **changes: object) -> PretrainConfig:
    values: dict[str, object] = {
        "data": data,
        "out": out,
        "seconds": 300.0,
        "steps": 100,
        "batch": 16,
        "length": 32,
        "layers": 1,
        "hidden": 32,
        "heads": 2,
        "ffn": 64,
        "lr": 1e-2,
        "log_every": 10,
        "validate_every": 1000,
        "validation_rows": 64,
        "device": "cpu",
        "compile": False,
    }
    return PretrainConfig(**(values | changes))  # type: ignore[arg-type]


def test_the_loss_falls_on_a_repeating_text_and_training_goes_on_from_the_files(tmp_path: Path) -> None:
    data = repeating(tmp_path / "data")
    first = pretrain(tiny(data, tmp_path / "first"))
    assert first.first_validation_loss > 8
    assert first.validation_loss < 4
    log = [json.loads(line) for line in (tmp_path / "first" / "log.jsonl").read_text("utf-8").splitlines()]
    assert log[-1]["validation_loss"] == first.validation_loss
    second = pretrain(tiny(data, tmp_path / "second", init=tmp_path / "first", steps=1, lr=1e-5))
    assert second.first_validation_loss == pytest.approx(first.validation_loss, abs=0.05)


def test_a_run_without_time_for_a_single_step_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="seconds"):
        pretrain(tiny(repeating(tmp_path / "data"), tmp_path / "out", seconds=0.01))


def test_a_bench_run_writes_nothing(tmp_path: Path) -> None:
    result = pretrain(tiny(repeating(tmp_path / "data"), tmp_path / "out", bench=True))
    assert result.tokens_per_s > 0
    assert not (tmp_path / "out").exists()


def test_every_field_of_the_configuration_is_an_option() -> None:
    config = parse(["--data", "d", "--out", "o", "--rate", "0.3", "--no-compile", "--init", "w", "--warm-up", "0.1"])
    assert (config.data, config.init, config.rate, config.compile) == (Path("d"), Path("w"), 0.3, False)
    assert config.warm_up == 0.1
    assert parse([]) == PretrainConfig()


def test_a_network_learns_to_find_and_restore_replaced_tokens_and_keeps_both_heads(tmp_path: Path) -> None:
    data = repeating(tmp_path / "data")
    pretrain(tiny(data, tmp_path / "masked", steps=60))
    config = tiny(data, tmp_path / "replaced", generator=tmp_path / "masked", detection=5.0, steps=120)
    found = pretrain(config)
    assert found.validation_loss < 0.5 * found.first_validation_loss
    on = pretrain(dataclasses.replace(config, out=tmp_path / "on", init=tmp_path / "replaced", steps=1, lr=1e-6))
    assert on.first_validation_loss == pytest.approx(found.validation_loss, rel=0.1)


def test_detection_alone_is_learnt_above_guessing(tmp_path: Path) -> None:
    data = repeating(tmp_path / "data")
    pretrain(tiny(data, tmp_path / "masked", steps=2))  # a generator that knows nothing replaces nearly everything
    config = tiny(data, tmp_path / "replaced", generator=tmp_path / "masked", steps=150)
    pretrain(config)
    model = build(dataclasses.replace(config, init=tmp_path / "replaced"))
    assert isinstance(model, ReplacedTokenModel)
    train, _ = load_streams(data, weights={}, least=32, device=torch.device("cpu"))
    ids = sample(train, 64, length=32, generator=rng())
    wrong = torch.zeros_like(ids, dtype=torch.bool)
    wrong[:, 10:28:6] = True
    shown = torch.where(wrong & (ids != 2), 130 + ids % 7, ids)
    with torch.no_grad():
        fired = model.rtd(encode(model.plm, shown)) > 0
    assert fired[shown != ids].float().mean() > 0.9
    assert fired[(shown == ids) & (ids > 2)].float().mean() < 0.1
