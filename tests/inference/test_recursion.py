"""Levels of a schema, driven by hand: what fires is given, what is asked next and what comes out is seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.inference.decoding import Fired
from core.inference.prompts import PieceEncoder, Prompt
from core.inference.recursion import MAX_PREFIXES, Limits, Reader, read
from core.model.tokenizer import RexTokenizer
from core.schemas.schema import parse_schema
from core.tasks import EXTRACT, MULTICLASSIFY, Answer, Request

TINY = Path(__file__).parents[1] / "fixtures" / "tiny"
Spot = tuple[int, int, str, tuple[float, float, float]]
"""Start and end in the text, type, the three probabilities."""


@pytest.fixture(scope="module")
def pieces() -> PieceEncoder:
    return PieceEncoder(RexTokenizer.from_directory(TINY))


def _fire(prompt: Prompt, spots: Sequence[Spot]) -> Fired:
    """What the decoder would report if exactly these spans had fired in the prompt."""
    rows = []
    for start, end, name, chances in spots:
        heads = [i for i in range(prompt.text_start, len(prompt) - 1) if prompt.offsets[i, 0] == start]
        tails = [i for i in range(prompt.text_start, len(prompt) - 1) if prompt.offsets[i, 1] == end]
        markers = [n for n, marker in enumerate(prompt.markers) if marker.type == name]
        if heads and tails and markers:
            rows.append((heads[0], tails[0], markers[0], chances))
    columns = [np.array([row[k] for row in rows], int) for k in range(3)]
    return Fired(*columns, np.array([row[3] for row in rows], float).reshape(-1, 3), None)


def _drive(reader: Reader, levels: Sequence[Sequence[Sequence[Spot]]]) -> tuple[Answer, list[list[Prompt]]]:
    """Answer level by level; spots of a level are given per prompt, the last list serving all further ones."""
    asked = [reader.send(None)]  # type: ignore[arg-type]
    for level in levels:
        spots = [level[min(number, len(level) - 1)] for number in range(len(asked[-1]))]
        try:
            asked.append(reader.send([_fire(p, s) for p, s in zip(asked[-1], spots, strict=True)]))
        except StopIteration as stop:
            return stop.value, asked
    raise AssertionError("the reader asks for more")


def test_a_span_of_two_windows_is_kept_once_with_its_best_score(pieces: PieceEncoder) -> None:
    text = "字" * 40
    limits = Limits(max_length=32, stride=12, max_hint_length=16)
    for first, second in ((0.9, 0.6), (0.6, 0.9)):
        reader = read(Request(text, parse_schema(["人物"])), pieces, limits)
        weak, strong = ((14, 16, "人物", (one, 0.95, 1.0)) for one in (first, second))
        answer, asked = _drive(reader, [[[weak], [strong], []]])
        assert answer.windows == len(asked[0]) > 2
        ((link,),) = answer.paths
        assert (link.start, link.end, link.score) == (14, 16, 0.9)
        assert link.confidence == pytest.approx((0.9 + 0.95 + 1.0) / 3, abs=1e-4)


def test_children_are_asked_behind_what_was_found_and_only_full_paths_come_out(pieces: PieceEncoder) -> None:
    schema = parse_schema({"人物": {"籍贯": None}, "时间": None})
    chances = (0.9, 0.8, 0.7)
    levels = [
        [[(0, 2, "人物", chances), (2, 4, "人物", chances), (4, 6, "时间", chances)]],
        [[(6, 8, "籍贯", chances)]],
    ]
    request = Request("陈静林涛今天杭州", schema)
    answer, asked = _drive(read(request, pieces, Limits()), levels)
    paths = [[(link.type, link.text) for link in path] for path in answer.paths]
    assert paths == [[("时间", "今天")], [("人物", "陈静"), ("籍贯", "杭州")]]
    assert [marker.type for marker in asked[1][0].markers] == ["籍贯", "籍贯"]
    kept, _ = _drive(read(Request(request.text, schema, incomplete=True), pieces, Limits()), levels)
    found = [[(link.type, link.text) for link in path] for path in kept.paths]
    assert sorted(found) == sorted([*paths, [("人物", "林涛")]])


def test_white_space_around_a_span_is_trimmed_and_blank_spans_are_dropped(pieces: PieceEncoder) -> None:
    # A vocabulary may join spaces to words, so the trimming is driven with offsets that contain them.
    reader = read(Request(" 陈静\u3000 ", parse_schema(["人物"])), pieces, Limits())
    (prompt,) = reader.send(None)  # type: ignore[arg-type]
    object.__setattr__(prompt, "text_offsets", np.array([[0, 2], [2, 5]]))
    with pytest.raises(StopIteration) as stop:
        reader.send([_fire(prompt, [(0, 5, "人物", (1.0, 1.0, 1.0))])])
    assert [(link.start, link.end, link.text) for (link,) in stop.value.value.paths] == [(1, 3, "陈静")]
    reader = read(Request(" 陈静\u3000 ", parse_schema(["人物"])), pieces, Limits())
    (prompt,) = reader.send(None)  # type: ignore[arg-type]
    object.__setattr__(prompt, "text_offsets", np.array([[3, 5], [3, 5]]))
    with pytest.raises(StopIteration) as stop:
        reader.send([_fire(prompt, [(3, 5, "人物", (1.0, 1.0, 1.0))])])
    assert stop.value.value.paths == ()


def test_a_flood_of_parents_is_cut_to_the_strongest_and_said(pieces: PieceEncoder) -> None:
    schema = parse_schema({"人物": {"籍贯": None}})
    reader = read(Request("字" * 80, schema), pieces, Limits(max_length=64, stride=0, max_hint_length=20))
    prompts = reader.send(None)  # type: ignore[arg-type]
    starts = [int(prompt.offsets[prompt.text_start, 0]) for prompt in prompts]
    assert len(prompts) == 2
    # Weak ones in the first window and strong ones in the second: more than may go on.
    first = [(n, n + 1 + k, "人物", (0.6, 1.0, 1.0)) for n in range(36) for k in range(5)]
    second = [(starts[1] + n, starts[1] + n + 1 + k, "人物", (0.9, 1.0, 1.0)) for n in range(16) for k in range(8)]
    total = len(first) + len(second)
    assert total > MAX_PREFIXES
    asked = reader.send([_fire(prompt, spots) for prompt, spots in zip(prompts, (first, second), strict=True)])
    children = []
    for prompt in asked:
        count = len(prompt.markers)
        tokens = np.full(count, prompt.text_start)
        children.append(Fired(tokens, tokens, np.arange(count), np.ones((count, 3)), None))
    with pytest.raises(StopIteration) as stop:
        reader.send(children)
    parents = {(path[0].start, path[0].end): path[0].score for path in stop.value.value.paths}
    assert len(parents) == MAX_PREFIXES
    assert {(start, end) for start, end, *_ in second} <= parents.keys()
    assert f"有 {total} 个上级" in stop.value.value.notes[0]


def test_a_long_span_s_unasked_children_are_said_in_a_note(pieces: PieceEncoder) -> None:
    text = "字" * 60
    reader = read(Request(text, parse_schema({"人物": {"籍贯": None}})), pieces, Limits(max_hint_length=32))
    answer, _ = _drive(reader, [[[(0, 50, "人物", (1.0, 1.0, 1.0))]], [[]]])
    assert answer.paths == ()
    assert any("太长，没有继续询问它的“籍贯”" in note for note in answer.notes)


def _classes(prompt: Prompt, chances: dict[str, float]) -> Fired:
    none = np.zeros(0, int)
    rows = np.array([[chances.get(marker.type, 0.1)] * 3 for marker in prompt.markers])
    return Fired(none, none, none, np.zeros((0, 3)), rows)


def _classify(pieces: PieceEncoder, request: Request, chances: list[dict[str, float]], limits: Limits) -> Answer:
    reader = read(request, pieces, limits)
    prompts = reader.send(None)  # type: ignore[arg-type]
    for _ in range(10):
        try:
            fired = [_classes(prompt, chances[min(n, len(chances) - 1)]) for n, prompt in enumerate(prompts)]
            prompts = reader.send(fired)
        except StopIteration as stop:
            return stop.value
    raise AssertionError("the reader asks for more")


def test_windows_vote_for_a_class_with_their_mean(pieces: PieceEncoder) -> None:
    request = Request("字" * 60, parse_schema(["体育", "财经"]), "classify", reduce=True)
    limits = Limits(max_length=48)
    votes = [{"体育": 0.6, "财经": 0.7}, {"体育": 0.99, "财经": 0.2}, {}]
    answer = _classify(pieces, request, votes, limits)
    ((link,),) = answer.paths
    assert link.type == "体育"
    assert answer.windows > 1
    assert link.score == pytest.approx((0.6 + 0.99) / 2)


def test_when_no_class_fires_the_best_guess_is_taken(pieces: PieceEncoder) -> None:
    request = Request("字", parse_schema(["体育", "财经"]), "classify", reduce=True)
    ((link,),) = _classify(pieces, request, [{"体育": 0.2, "财经": 0.3}], Limits()).paths
    assert (link.type, link.score) == ("财经", pytest.approx(0.3))
    unreduced = Request("字", parse_schema(["体育", "财经"]), MULTICLASSIFY)
    assert _classify(pieces, unreduced, [{"体育": 0.2, "财经": 0.3}], Limits()).paths == ()


def test_several_labels_above_the_sure_mark_are_kept_else_the_best_one(pieces: PieceEncoder) -> None:
    request = Request("字", parse_schema(["体育", "财经", "科技"]), MULTICLASSIFY, reduce=True)
    sure = _classify(pieces, request, [{"体育": 0.95, "财经": 0.92, "科技": 0.6}], Limits())
    assert {path[0].type for path in sure.paths} == {"体育", "财经"}
    unsure = _classify(pieces, request, [{"体育": 0.7, "财经": 0.8, "科技": 0.6}], Limits())
    assert [path[0].type for path in unsure.paths] == ["财经"]


def test_an_empty_text_still_has_one_window(pieces: PieceEncoder) -> None:
    answer, asked = _drive(read(Request("", parse_schema(["人物"]), EXTRACT), pieces, Limits()), [[[]]])
    assert (answer.paths, answer.windows, len(asked[0])) == ((), 1, 1)
