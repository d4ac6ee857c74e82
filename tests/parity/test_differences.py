"""What is meant to differ from the reference implementation: docs/parity.md names the test of each difference."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.config import EMBEDDED_MODEL
from core.inference.decoding import Fired, decode
from core.inference.engine import Engine, Item
from core.inference.prompts import Group, PieceEncoder, Prompt, assemble, build_hints
from core.inference.recursion import Limits, _spans
from core.model.checkpoint import Checkpoint, load_checkpoint
from core.model.config import RexConfig
from core.schemas.schema import parse_schema
from core.tasks import TASKS
from core.types import AnnotatedDocument, Document, Link

TINY = Path(__file__).parents[1] / "fixtures" / "tiny"
LONG = "小说家陈静1972年3月出生于杭州，毕业于浙江大学，丈夫是画家林涛，育有一子林小川。" * 4
LONG_CLASS = "文字太弱了看不下去，亏了。作者介绍也挺矫情。" * 8
ENTITIES = {"人物": None, "地理位置": None, "组织机构": None}
SENTIMENT = {"正向情感": None, "负向情感": None}
FAULTS = {
    "电器": {"车窗异响": None, "灯光异常": None},
    "底盘": {"刹车异响": None, "轮胎鼓包": None},
}
LONG_TYPE = "这是一个特别长的类型名称" * 11


class RecordingEngine(Engine):
    """Keeps the prompts it runs and what fired in each, one list a level."""

    def __init__(self, checkpoint: Checkpoint, limits: Limits) -> None:
        super().__init__(checkpoint, limits=limits)
        self.levels: list[list[tuple[Prompt, Fired]]] = []

    def _forward(self, prompts: Any, threshold: float, cancelled: Any) -> list[Fired]:
        fired = super()._forward(prompts, threshold, cancelled)
        self.levels.append(list(zip(prompts, fired, strict=True)))
        return fired

    @property
    def prompts(self) -> list[Prompt]:
        return [prompt for level in self.levels for prompt, _ in level]


@pytest.fixture(scope="module")
def tiny() -> Checkpoint:
    return load_checkpoint(str(TINY))


def run(
    checkpoint: Checkpoint, text: str, schema: Any, *, task: str = "rex", limits: Limits | None = None
) -> tuple[AnnotatedDocument, RecordingEngine]:
    engine = RecordingEngine(checkpoint, limits or Limits())
    ((_, result),) = engine.annotate([Item(Document(text), TASKS[task], parse_schema(schema))])
    return result, engine


def text_ids(prompt: Prompt) -> list[int]:
    """The tokens of the window, without class token and [SEP]."""
    start = prompt.text_start + (prompt.class_index is not None)
    return prompt.input_ids[start:-1].tolist()


def triples(result: AnnotatedDocument) -> list[tuple[str, int, int]]:
    return [(path[-1].type, path[-1].start, path[-1].end) for path in result.paths]


def test_a_finding_of_two_windows_is_given_once(tiny: Checkpoint) -> None:
    result, engine = run(tiny, LONG, ENTITIES, limits=Limits(max_length=80, stride=32))
    seen = [
        (prompt.markers[marker].type, int(prompt.offsets[head, 0]), int(prompt.offsets[tail, 1]))
        for prompt, fired in engine.levels[0]
        for head, tail, marker in zip(fired.heads, fired.tails, fired.markers, strict=True)
    ]
    assert len(seen) > len(set(seen)), "no finding lies in two windows: the text shows nothing"
    assert sorted(triples(result)) == sorted(set(seen))


def test_the_closing_sep_is_never_part_of_a_span(tiny: Checkpoint) -> None:
    _, engine = run(tiny, "张伟在上海。", ENTITIES)
    (prompt,) = engine.prompts
    (fired,) = decode(torch.ones(1, len(prompt), len(prompt)), [prompt])
    last = len(prompt) - 1
    assert fired.heads.max() == fired.tails.max() == last - 1
    text = len(prompt) - prompt.text_start - 1
    assert len(fired.heads) == len(ENTITIES) * text * (text + 1) // 2


def test_prefixes_are_asked_in_the_order_they_were_found_whatever_the_seed(tiny: Checkpoint) -> None:
    schema = {"人物": {"毕业院校(组织机构)": None, "出生地(地理位置)": None}}
    text = "张伟毕业于清华大学，李娜毕业于北京大学，王明远毕业于浙江大学，陈静毕业于南京大学。"
    runs = []
    for seed in (1, 2, 3):
        random.seed(seed)
        _, engine = run(tiny, text, schema, limits=Limits(max_hint_length=48))
        runs.append([prompt.input_ids.tolist() for prompt in engine.prompts])
    assert len(runs[0]) > 2, "one prefix alone has no order"
    assert runs[0] == runs[1] == runs[2]


def test_a_checkpoint_may_ask_one_subject_at_a_time(tiny: Checkpoint) -> None:
    schema = {"人物": {"毕业院校(组织机构)": None, "出生地(地理位置)": None}}
    text = "张伟毕业于清华大学，李娜毕业于北京大学，王明远毕业于浙江大学，陈静毕业于南京大学。"
    together, alone = (run(tiny, text, schema, limits=Limits(max_groups=most))[1].levels[1] for most in (0, 1))
    groups = [len({marker.group for marker in prompt.markers}) for prompt, _ in together]
    assert max(groups) > 1
    assert [len({marker.group for marker in prompt.markers}) for prompt, _ in alone] == [1] * sum(groups)
    assert tiny.model.config.groups_per_hint == 0
    assert RexConfig.from_file(EMBEDDED_MODEL / "config.json").groups_per_hint == 1


def test_the_third_and_later_windows_vote(tiny: Checkpoint) -> None:
    result, engine = run(tiny, "[CLASSIFY]" + LONG_CLASS[:60] + LONG, SENTIMENT, limits=Limits(max_length=48))
    ((link,),) = result.paths
    votes = np.stack([fired.classes for _, fired in engine.levels[-1]])
    number = [marker.type for marker in engine.prompts[-1].markers].index(link.type)
    heard = votes[:, number]
    if len(engine.levels) == 1:  # something fired: only the windows where it did
        heard = heard[(heard > 0.5).all(axis=1)]
    means = [round(float(value), 4) for value in heard.mean(axis=1)]
    assert len(means) >= 3
    assert link.confidence == pytest.approx(np.mean(means), abs=1e-9)
    assert link.confidence != pytest.approx(np.mean(means[:2]), abs=1e-6)


def test_class_windows_keep_every_token(tiny: Checkpoint) -> None:
    _, engine = run(tiny, "[CLASSIFY]" + LONG_CLASS, SENTIMENT, limits=Limits(max_length=48))
    windows = [text_ids(prompt) for prompt, _ in engine.levels[0]]
    assert len(windows) >= 3
    assert sum(windows, []) == tiny.tokenizer.encode_text(LONG_CLASS).ids.tolist()


def test_no_class_token_is_written_into_the_text_of_later_hints_and_levels(tiny: Checkpoint) -> None:
    _, engine = run(tiny, "[CLASSIFY]" + LONG_CLASS, FAULTS, limits=Limits(max_length=64, max_hint_length=32))
    assert len(engine.levels) >= 2
    whole = tiny.tokenizer.encode_text(LONG_CLASS).ids.tolist()
    for level in engine.levels:
        by_hint: dict[bytes, list[int]] = {}
        for prompt, _ in level:
            by_hint.setdefault(prompt.input_ids[: prompt.text_start].tobytes(), []).extend(text_ids(prompt))
        assert all(read == whole for read in by_hint.values())


def test_white_space_is_trimmed_on_both_sides_of_a_span(tiny: Checkpoint) -> None:
    pieces = PieceEncoder(tiny.tokenizer)
    ((hint,), _) = build_hints([Group((), ("地理位置",))], pieces)
    text = "在\u3000 上海\t \u3000。"
    # One token that carries its surrounding space, as SentencePiece makes them.
    prompt = assemble(hint, np.array([5]), np.array([[1, 8]]), tiny.tokenizer)
    place = np.array([prompt.text_start])
    fired = Fired(place, place, np.array([0]), np.full((1, 3), 0.9), None)
    ((_, link),) = _spans(fired, prompt, text, [])
    assert (link.start, link.end, link.text) == (3, 5, "上海")


def test_over_long_types_are_asked_in_a_hint_of_their_own(tiny: Checkpoint) -> None:
    _, engine = run(tiny, "张伟在上海。", {"人物": None, LONG_TYPE: None})
    assert [[marker.type for marker in prompt.markers] for prompt in engine.prompts] == [["人物"], [LONG_TYPE]]


def test_a_long_subject_is_asked_alone_and_one_that_fits_nowhere_is_handed_back(tiny: Checkpoint) -> None:
    pieces = PieceEncoder(tiny.tokenizer)
    subjects = [Link("人物", 0, size, "甲" * size, 1.0, 1.0) for size in (3, 130, 300)]
    hints, unasked = build_hints([Group((one,), ("出生地",)) for one in subjects], pieces)
    assert [[marker.group for marker in hint.markers] for hint in hints] == [[0], [1]]
    assert unasked == [(2, "出生地")]


def test_a_class_token_inside_the_text_is_reported_in_the_reference_s_form_and_text_elsewhere(tiny: Checkpoint) -> None:
    text = "张伟在上海[CLASSIFY]工作。"
    result, engine = run(tiny, text, SENTIMENT)
    assert (result.paths, engine.prompts) == ((), [])
    assert "[CLASSIFY]" in result.notes[0]
    _, engine = run(tiny, text, ENTITIES, task="ner")
    assert all(prompt.class_index is None for prompt in engine.prompts)
    assert tiny.tokenizer.classify_id not in engine.prompts[0].input_ids


@pytest.mark.parametrize("marker", ["[TYPE]", "[PREFIX]"])
def test_type_and_prefix_written_in_the_text_are_text(tiny: Checkpoint, marker: str) -> None:
    result, engine = run(tiny, f"张伟和李娜昨天从{marker}上海飞往北京。", ENTITIES)
    assert not result.error
    for prompt in engine.prompts:
        marks = {tiny.tokenizer.type_id, tiny.tokenizer.prefix_id}
        assert not marks & set(prompt.input_ids[prompt.text_start :].tolist())


def test_only_the_class_token_is_a_parent_in_classification(tiny: Checkpoint) -> None:
    _, engine = run(tiny, "[CLASSIFY]" + LONG_CLASS[:40], FAULTS)
    below = [prompt for prompt in engine.prompts if {m.type for m in prompt.markers} & set(FAULTS["电器"])]
    assert below
    for prompt in below:
        hint = prompt.input_ids[: prompt.text_start].tolist()
        groups = hint.count(tiny.tokenizer.prefix_id)
        assert hint.count(tiny.tokenizer.classify_id) == groups == len({m.group for m in prompt.markers})


def test_native_multilabel_keeps_every_fired_label_and_the_reference_s_form_its_rule(tiny: Checkpoint) -> None:
    labels = {name: None for name in ("民间故事", "推理", "心理学", "历史", "传记", "文化", "诗歌", "童话", "艺术")}
    text = "《格林童话》是德国民间故事集。由德国的雅各格林和威廉格林兄弟收集、整理。"
    native, engine = run(tiny, text, labels, task="multilabel")
    classes = np.concatenate([fired.classes for _, fired in engine.levels[0]])
    names = [marker.type for prompt in engine.prompts for marker in prompt.markers]
    fired = {name for name, links in zip(names, classes, strict=True) if (links > 0.5).all()}
    assert fired and {one.type for one in native.annotations} == fired
    reference, _ = run(tiny, "[MULTICLASSIFY]" + text, labels)
    sure = {path[0].type for path in native.paths if path[0].confidence > 0.9}
    best = max(native.paths, key=lambda path: path[0].confidence)[0].type
    assert {path[0].type for path in reference.paths} == (sure or {best})
    assert len(fired) > len(reference.paths)


def test_no_label_at_all_is_an_answer_of_native_multilabel(tiny: Checkpoint) -> None:
    limits = Limits(threshold=0.999999)
    native, _ = run(tiny, "物流很快", SENTIMENT, task="multilabel", limits=limits)
    reference, _ = run(tiny, "[MULTICLASSIFY]物流很快", SENTIMENT, limits=limits)
    assert (len(native.paths), len(reference.paths)) == (0, 1)


def test_both_class_tokens_are_answered_by_the_first(tiny: Checkpoint) -> None:
    result, _ = run(tiny, "[CLASSIFY][MULTICLASSIFY]东西不错", SENTIMENT)
    assert not result.error
    assert [path[0].text for path in result.paths] == ["[CLASSIFY]"]


def test_an_event_whose_trigger_stands_alone_is_still_an_event(tiny: Checkpoint) -> None:
    schema = {"人物": {LONG_TYPE: None}}
    text = "小说家陈静出生于杭州，丈夫是画家林涛。"
    limits = Limits(threshold=0.5, max_hint_length=200)
    event, _ = run(tiny, text, schema, task="ee", limits=limits)
    reference, _ = run(tiny, text, schema, limits=limits)
    alone = {(one.start, one.end) for one in event.annotations if not one.children}
    assert alone
    assert not alone & {(path[0].start, path[0].end) for path in reference.paths}


def test_a_text_without_characters_is_an_error_and_not_an_empty_answer(tiny: Checkpoint) -> None:
    result, _ = run(tiny, " \u3000\n", ENTITIES)
    assert "正文为空" in result.error
