"""Batches as plain arrays: what the device gives back equals decoding the logits prompt by prompt."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.inference.batching import stack
from core.inference.decoding import decode
from core.inference.forward import run
from core.inference.matching import match, unpack
from core.inference.packing import Packed, Raw, lay_out, line_up, pack
from core.inference.prompts import Group, PieceEncoder, Prompt, assemble, build_hints
from core.model.checkpoint import load_checkpoint
from core.model.rex import RexModel
from core.model.tokenizer import RexTokenizer
from core.types import Link

TINY = Path(__file__).parents[1] / "fixtures" / "tiny"
PIECES = PieceEncoder(RexTokenizer.from_directory(TINY))
PAD = PIECES.tokenizer.pad_id
CPU = torch.device("cpu")


def _prompt(text: str, groups: list[Group], *, class_id: int | None = None) -> Prompt:
    hints, _ = build_hints(groups, PIECES, class_id=class_id)
    encoding = PIECES.tokenizer.encode_text(text)
    return assemble(hints[0], encoding.ids, encoding.offsets, PIECES.tokenizer, class_id=class_id)


FLAT = _prompt("张伟住在上海", [Group((), ("人物", "地点", "时间"))])
NESTED = _prompt(
    "李娜的丈夫",
    [
        Group((Link("人物", 0, 2, "李娜", 1.0, 1.0),), ("籍贯", "配偶")),
        Group((Link("地点", 0, 1, "李", 1.0, 1.0),), ("属于",)),
    ],
)
CLASSES = _prompt("很好", [Group((), ("正向", "负向"))], class_id=PIECES.tokenizer.classify_id)
LABELS = _prompt("这本书很好看", [Group((), tuple("甲乙丙丁戊"))], class_id=PIECES.tokenizer.multiclassify_id)
EMPTY = _prompt("", [Group((), ("人物",))])
LONG = _prompt("陈静出生于杭州，毕业于浙江大学。" * 3, [Group((), ("人物", "地点"))])
PROMPTS = [FLAT, CLASSES, NESTED, EMPTY, LABELS, LONG]


class GivenLogits:
    """Stands for a network whose logits are known."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits

    def __call__(self, *inputs: object, **known: object) -> Tensor:
        return self.logits


def _run(logits: Tensor, packed: Packed) -> Raw:
    return run(GivenLogits(logits), packed, CPU)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def network() -> RexModel:
    return load_checkpoint(str(TINY), device="cpu").model


def _same(found: list, wanted: list) -> None:
    for one, other in zip(found, wanted, strict=True):
        for left, right in zip(dataclasses.astuple(one), dataclasses.astuple(other), strict=True):
            np.testing.assert_array_equal(left, right)


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(st.sampled_from(range(len(PROMPTS))), min_size=1, max_size=8),
    seed=st.integers(0, 2**32 - 1),
    scale=st.sampled_from([0.5, 2.0, 6.0]),
    data=st.data(),
)
def test_what_a_batch_gives_equals_decoding_its_logits(rows: list[int], seed: int, scale: float, data) -> None:
    prompts = [PROMPTS[row] for row in rows]
    chances = st.sampled_from([0.0, 0.01, 0.5, 0.77, 0.99])
    thresholds = data.draw(st.lists(chances, min_size=len(rows), max_size=len(rows)))
    size = max(map(len, prompts))
    random = np.random.default_rng(seed)
    logits = torch.from_numpy(random.normal(0, scale, (len(prompts), size, size)).astype(np.float32))
    logits[torch.from_numpy(random.random(logits.shape) < 0.05)] = 0.0
    packed = pack(prompts, thresholds, pad_id=PAD)
    _same(unpack(match(_run(logits, packed), packed), prompts), decode(logits, prompts, threshold=thresholds))


def test_the_network_reads_a_packed_batch_as_a_stacked_one(network: RexModel) -> None:
    batch = stack(PROMPTS, pad_id=PAD)
    with torch.inference_mode():
        logits = network(
            batch.input_ids, batch.position_ids, batch.prefix_ids, batch.type_ids, batch.keep, batch.max_distance
        )
    packed = pack(PROMPTS, [0.3] * len(PROMPTS), pad_id=PAD)
    assert (packed.rows, packed.width, packed.tokens) == (len(PROMPTS), len(LONG), len(PROMPTS) * len(LONG))
    found, wanted = unpack(match(run(network, packed, CPU), packed), PROMPTS), decode(logits, PROMPTS, threshold=0.3)
    assert sum(len(one.heads) for one in wanted) > 3
    for one, other in zip(found, wanted, strict=True):
        for name in ("heads", "tails", "markers"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)
        assert (one.classes is None) == (other.classes is None)
        if other.classes is not None:
            np.testing.assert_allclose(one.classes, other.classes, atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(
    rows=st.lists(st.sampled_from(range(len(PROMPTS))), min_size=1, max_size=8),
    cuts=st.sets(st.integers(1, 7)),
    seed=st.integers(0, 2**32 - 1),
)
def test_parts_of_a_batch_join_to_what_the_whole_gives(rows: list[int], cuts: set[int], seed: int) -> None:
    prompts = [PROMPTS[row] for row in rows]
    packed = pack(prompts, [0.5] * len(prompts), pad_id=PAD)
    logits = torch.from_numpy(
        np.random.default_rng(seed).normal(0, 3, (packed.rows, packed.width, packed.width)).astype(np.float32)
    )
    bounds = [0, *sorted(cut for cut in cuts if cut < len(prompts)), len(prompts)]
    parts, sizes = [], []
    for start, stop in zip(bounds, bounds[1:], strict=False):
        part = packed.part(start, stop)
        alone = pack(prompts[start:stop], [0.5] * (stop - start), pad_id=PAD)
        for one, other in zip(dataclasses.astuple(part), dataclasses.astuple(alone), strict=True):
            np.testing.assert_array_equal(one, other)
        parts.append(_run(logits[start:stop, : part.width, : part.width], part))
        sizes.append(stop - start)
    whole = _run(logits, packed)
    for one, other in zip(dataclasses.astuple(Raw.join(parts, sizes)), dataclasses.astuple(whole), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("multiple", [8, 64])
def test_wider_rows_change_nothing_that_is_found(network: RexModel, multiple: int) -> None:
    packed = pack(PROMPTS, [0.01] * len(PROMPTS), pad_id=PAD)
    wide = packed.widened(multiple)
    assert wide.width % multiple == 0
    assert wide.width - packed.width < multiple
    assert wide.widened(multiple) is wide
    found, wanted = (run(network, one, CPU) for one in (wide, packed))
    np.testing.assert_array_equal(found.cells, wanted.cells)
    np.testing.assert_allclose(found.values, wanted.values, atol=1e-4)
    np.testing.assert_allclose(found.classes, wanted.classes, atol=1e-4)


def test_a_flood_of_links_is_matched_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [LONG, FLAT, CLASSES, LONG]
    size = len(LONG)
    logits = torch.from_numpy(np.random.default_rng(3).normal(0, 1, (4, size, size)).astype(np.float32))
    packed = pack(prompts, [0.0, 0.4, 0.5, 0.0], pad_id=PAD)
    raw = _run(logits, packed)
    whole = unpack(match(raw, packed), prompts)
    assert len(whole[0].heads) > 1000
    for bound in (1, 7, 500):
        monkeypatch.setattr("core.inference.matching.MAX_CANDIDATES", bound)
        _same(unpack(match(raw, packed), prompts), whole)


def test_a_batch_in_which_nothing_fires_gives_empty_findings() -> None:
    prompts = [FLAT, EMPTY]
    logits = torch.full((2, len(FLAT), len(FLAT)), -9.0)
    packed = pack(prompts, [0.5, 0.5], pad_id=PAD)
    raw = _run(logits, packed)
    assert raw.cells.shape == (0, 3)
    for fired in unpack(match(raw, packed), prompts):
        assert len(fired.heads) == len(fired.tails) == len(fired.markers) == 0
        assert fired.probabilities.shape == (0, 3)
        assert fired.classes is None


def test_types_link_only_to_words_and_words_only_forward() -> None:
    raw = _run(torch.ones(1, len(NESTED), len(NESTED)), pack([NESTED], [0.5], pad_id=PAD))
    marks = {marker.index for marker in NESTED.markers}
    words = set(range(NESTED.text_start, len(NESTED) - 1))
    wanted = {(i, j) for i in words for j in words if i <= j}
    wanted |= {pair for i in words for mark in marks for pair in ((i, mark), (mark, i))}
    assert {(row, column) for _, row, column in raw.cells.tolist()} == wanted


def test_a_batch_and_its_findings_survive_pickling(network: RexModel) -> None:
    lined = line_up(PROMPTS, [0.3] * len(PROMPTS), pad_id=PAD)
    packed = lay_out(lined)
    sent = lay_out(pickle.loads(pickle.dumps(lined, protocol=5)))
    for one, other in zip(dataclasses.astuple(sent), dataclasses.astuple(packed), strict=True):
        np.testing.assert_array_equal(one, other)
    matched = match(run(network, packed, CPU), packed)
    assert len(matched.spans) > 3
    _same(unpack(pickle.loads(pickle.dumps(matched, protocol=5)), PROMPTS), unpack(matched, PROMPTS))


@settings(deadline=None, max_examples=60)
@given(rows=st.lists(st.sampled_from(range(len(PROMPTS))), min_size=1, max_size=8))
def test_a_laid_out_row_holds_what_its_prompt_says(rows: list[int]) -> None:
    prompts = [PROMPTS[row] for row in rows]
    packed = pack(prompts, [0.5] * len(rows), pad_id=PAD)
    assert packed.lengths.tolist() == [len(prompt) for prompt in prompts]
    assert packed.text_starts.tolist() == [prompt.text_start for prompt in prompts]
    assert packed.class_indices.tolist() == [-1 if p.class_index is None else p.class_index for p in prompts]
    assert packed.marks.tolist() == [
        [row, marker.index] for row, prompt in enumerate(prompts) for marker in prompt.markers
    ]
    for row, prompt in enumerate(prompts):
        own = (prompt.input_ids, prompt.position_ids, prompt.prefix_ids, prompt.type_ids)
        np.testing.assert_array_equal(packed.ids[:, row, : len(prompt)], np.stack(own))
        assert (packed.ids[:, row, len(prompt) :].T == [PAD, 0, 0, 0]).all()


def test_ids_are_small_until_an_id_is_not() -> None:
    assert pack([FLAT], [0.5], pad_id=PAD).ids.dtype == np.int16
    large = dataclasses.replace(FLAT, text_ids=FLAT.text_ids + 2**15)
    packed = pack([large], [0.5], pad_id=PAD)
    assert packed.ids.dtype == np.int32
    np.testing.assert_array_equal(packed.ids[0, 0], large.input_ids)
