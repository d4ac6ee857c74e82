"""The loop around the model: batches, order, cancelling, threads, long texts, offsets of any text."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.config import EMBEDDED_MODEL
from core.errors import BusyError, Cancelled, GpuMemoryError, InputError, SchemaError
from core.inference.engine import COHORT_BATCHES, COHORTS, Engine, Item
from core.inference.owner import LocalOwner, Pause, hold
from core.inference.packing import Packed, Raw
from core.inference.recursion import MAX_SPANS, Limits
from core.inference.scheduler import Scheduler
from core.model.checkpoint import Checkpoint, load_checkpoint, read_files
from core.schemas.schema import parse_schema
from core.tasks import TASKS, schema_for
from core.types import AnnotatedDocument, Annotation, Document, Span

TINY = Path(__file__).parents[1] / "fixtures" / "tiny"
SENTENCE = "小说家陈静1972年3月出生于杭州，毕业于浙江大学，丈夫是画家林涛。"
NER = {"人物": None, "地理位置": None, "组织机构": None}
RE = {"人物": {"出生地(地理位置)": None, "毕业院校(组织机构)": None}, "时间": None}


@pytest.fixture(scope="module")
def tiny() -> Engine:
    return Engine(load_checkpoint(str(TINY), device="cpu"))


@pytest.fixture(scope="module")
def embedded() -> Checkpoint:
    if not (EMBEDDED_MODEL / "config.json").is_file():
        pytest.skip(f"no checkpoint in {EMBEDDED_MODEL}")
    return load_checkpoint(str(EMBEDDED_MODEL), device="cpu")


def _item(task: str, text: str, schema: Any = None, **fields: Any) -> Item:
    chosen = TASKS[task]
    asked = schema_for(chosen, None if schema is None else parse_schema(schema))
    return Item(Document(text, **fields), chosen, asked)


def _run(engine: Engine, items: Iterable[Item], **options: Any) -> list[AnnotatedDocument]:
    return [result for _, result in sorted(engine.annotate(items, **options), key=lambda pair: pair[0])]


def _walk(annotations: Iterable[Annotation]) -> Iterator[Annotation]:
    for annotation in annotations:
        yield annotation
        yield from _walk(annotation.children)


def _spans(result: AnnotatedDocument) -> set[tuple[str, int | None, int | None]]:
    return {(one.type, one.start, one.end) for one in _walk(result.annotations)}


FRAGMENTS = st.sampled_from(
    [
        *("😀", "👨‍👩‍👧", "𠮷", "ＡＢＣ１", "\n", "\t", " ", "\u3000", "\r\n", "\u200b", "é", "e\u0301", "ﬁ", "#", "”"),
        *("[TYPE]", "[CLASSIFY]", "[MULTICLASSIFY]", "[SEP]", "[PREFIX]", "[CLS]", "[UNK]"),
        *("陈静", "杭州", "浙江大学", "出生于", "丈夫是", "。", "，", "2024年", "iPhone 15", SENTENCE),
    ]
)
TEXTS = st.lists(
    st.one_of(FRAGMENTS, st.text(max_size=4, alphabet=st.characters(exclude_categories=["Cs"]))), max_size=9
)
EXTRACTION = {
    "ner": NER,
    "re": RE,
    "ee": {"出生(事件触发词)": {"时间": None, "人物": None}},
    "absa": {"属性词": {"情感词": None}},
    "mrc": {"谁出生了？": None, "在哪里？": None},
    "rex": RE,
}


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=TEXTS)
def test_every_span_of_any_text_is_that_part_of_the_text(tiny: Engine, parts: list[str]) -> None:
    text = "".join(parts)[:80]
    results = _run(tiny, [_item(task, text, schema) for task, schema in EXTRACTION.items()], threshold=0.01)
    for result in results:
        assert bool(result.error) == (not text.strip())
        seen = []
        for one in _walk(result.annotations):
            assert 0.0 <= one.score <= 1.0
            if one.start is not None and one.end is not None:
                assert one.start < one.end
                assert text[one.start : one.end] == one.text, (result.task, text)
                assert one.text == one.text.strip()
        for one in result.annotations:
            seen.append((one.type, one.start, one.end))
        assert len(seen) == len(set(seen)), (result.task, text)


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=TEXTS)
def test_any_text_gets_one_of_the_classes_asked(tiny: Engine, parts: list[str]) -> None:
    text = "".join(parts)[:80]
    items = [_item("classification", text, ["体育", "财经"]), _item("nli", text, text_pair=text)]
    for item, result in zip(items, _run(tiny, items), strict=True):
        assert bool(result.error) == (not text.strip())
        if not result.error:
            (found,) = result.annotations
            assert found.type in {one.name for one in item.schema.types}
            assert (found.start, found.end, found.text) == (None, None, "")
            assert 0.0 <= found.score <= 1.0


def test_a_long_text_is_classified_over_all_its_windows(embedded: Checkpoint) -> None:
    engine = Engine(embedded, limits=Limits(max_length=64))
    text = "昨晚中国女排以三比零战胜日本队，获得冠军。" * 10
    single, multi = _run(
        engine, [_item(task, text, ["体育", "财经", "娱乐"]) for task in ("classification", "multilabel")]
    )
    assert single.windows == multi.windows > 3
    assert [one.type for one in single.annotations] == ["体育"]
    assert "体育" in [one.type for one in multi.annotations]


def test_a_span_of_the_mark_and_an_aspect_is_the_aspect_alone(tiny: Engine) -> None:
    for threshold in (0.0, 0.01):
        text = "房间 很好"
        (result,) = _run(tiny, [_item("absa", text, {"属性词": {"情感词": None}})], threshold=threshold)
        assert any(one.start is None for one in result.annotations) or threshold
        for one in _walk(result.annotations):
            assert (one.start, one.end, one.text) == (None, None, "") or text[one.start : one.end] == one.text


def test_a_batch_of_mixed_lengths_finds_what_each_document_finds_alone(tiny: Engine) -> None:
    texts = [SENTENCE * count for count in (1, 7, 2, 30, 4)] + ["陈静出生于杭州。", "好"]
    items = [_item("re", text, RE) for text in texts] + [_item("sentiment", SENTENCE), _item("ner", SENTENCE, NER)]
    together = _run(tiny, items)
    assert any(result.annotations for result in together)
    for item, result in zip(items, together, strict=True):
        (alone,) = _run(tiny, [item])
        assert result.windows == alone.windows
        assert {_key(path) for path in result.paths} == {_key(path) for path in alone.paths}
        scores = {_key(path): path[-1].score for path in alone.paths}
        for path in result.paths:
            assert path[-1].score == pytest.approx(scores[_key(path)], abs=1e-4)


def _key(path: Any) -> tuple[tuple[str, int, int], ...]:
    return tuple((link.type, link.start, link.end) for link in path)


def test_documents_that_fail_at_once_never_hide_those_behind_them(tiny: Engine) -> None:
    blanks = 200
    items = [_item("ner", " ", NER, id=f"b{number}") for number in range(blanks)] + [_item("ner", SENTENCE, NER)]
    results = _run(tiny, items)
    assert len(results) == blanks + 1
    assert all("没有文字" in result.error for result in results[:-1])
    assert not results[-1].error
    assert ("人物", 3, 5) in _spans(results[-1])


def test_one_bad_document_gets_a_message_and_the_others_go_on(tiny: Engine) -> None:
    items = [
        _item("ner", SENTENCE, NER),
        _item("matching", "没有第二段", id="m1"),
        _item("coref", "小明说他累了。", id="c1", pronouns=(Span(0, 1, "他"),)),
        _item("atsc", "房间很好", id="a1", aspects=("房间", " ")),
        _item("ner", "\u3000\n", NER),
        _item("ner", SENTENCE, NER),
    ]
    results = _run(tiny, items)
    assert [bool(result.error) for result in results] == [False, True, True, True, True, False]
    assert "m1" in results[1].error
    assert "text_pair" in results[1].error
    assert "[0, 1) 处不是“他”" in results[2].error
    assert "aspects" in results[3].error
    assert "正文为空" in results[4].error
    assert _spans(results[0]) == _spans(results[5])
    assert all(not result.annotations for result in results[1:5])


def test_cancelling_stops_soon_and_keeps_what_was_yielded(tiny: Engine) -> None:
    found: list[Any] = []
    drawn = 0

    def endless() -> Iterator[Item]:
        nonlocal drawn
        while True:
            drawn += 1
            yield _item("ner", SENTENCE, NER)

    with pytest.raises(Cancelled):
        for pair in tiny.annotate(endless(), cancelled=lambda: len(found) >= 3):
            found.append(pair)
    # What one cohort had ready is still given; nothing new is begun for long.
    assert 3 <= len(found) < drawn <= (COHORTS + 1) * COHORT_BATCHES * tiny.batch_tokens // len(SENTENCE)
    assert tiny.scheduler.waiting_tokens == 0


def test_leaving_early_takes_the_rest_out_of_the_queue(tiny: Engine) -> None:
    results = tiny.annotate(_item("ner", SENTENCE, NER) for _ in range(10_000))
    assert not next(results)[1].error
    results.close()  # type: ignore[attr-defined]
    assert tiny.scheduler.waiting_tokens == 0


def test_two_threads_at_once_get_their_own_right_answers(tiny: Engine) -> None:
    jobs = {
        "a": [_item("ner", SENTENCE + str(number), NER) for number in range(12)],
        "b": [_item("re", f"{number}。" + SENTENCE, RE) for number in range(12)],
    }
    wanted = {name: [_spans(one) for one in _run(tiny, items)] for name, items in jobs.items()}
    found: dict[str, list[Any]] = {}

    def work(name: str) -> None:
        found[name] = [_spans(one) for one in _run(tiny, jobs[name])]

    threads = [threading.Thread(target=work, args=(name,)) for name in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == wanted
    assert all(any(spans) for spans in wanted.values())


@pytest.mark.parametrize(("size", "limits"), [(3000, Limits()), (700, Limits(max_length=96, stride=40))])
def test_an_entity_anywhere_in_a_long_text_is_found_at_its_place_once(
    embedded: Checkpoint, size: int, limits: Limits
) -> None:
    wanted = ["王小明出生于杭州。", "李建国出生于南京。", "张丽华出生于武汉。"]
    filler = "这本书讲了很多有趣的故事，读起来很轻松。今天的天气不错，适合出门散步。"
    half = (filler * 60)[: (size - 27) // 2]
    text = f"{wanted[0]}{half}{wanted[1]}{half}{wanted[2]}"
    engine = Engine(embedded, limits=limits)
    (result,) = _run(engine, [_item("ner", text, {"人物": None, "地理位置": None})])
    assert result.windows > 2
    found = [(one.type, one.start, one.end) for one in result.annotations]
    assert len(found) == len(set(found))
    assert all(text[one.start : one.end] == one.text for one in result.annotations)
    for sentence in wanted:
        start = text.index(sentence)
        assert ("人物", start, start + 3) in found
        assert ("地理位置", start + 6, start + 8) in found


def test_a_type_too_long_for_any_input_is_an_error_of_the_schema(tiny: Engine) -> None:
    schema = parse_schema({"长" * 400: None})
    with pytest.raises(SchemaError, match="太长"):
        tiny.check(schema)
    tiny.check(parse_schema(NER))
    (result,) = _run(tiny, [Item(Document(SENTENCE), TASKS["ner"], schema)])
    assert "太长" in result.error


@pytest.mark.parametrize("threshold", [-0.1, 1.0, 7])
def test_a_threshold_outside_of_zero_to_one_is_refused(tiny: Engine, threshold: float) -> None:
    with pytest.raises(InputError, match=f"阈值 {threshold} 无效"):
        _run(tiny, [_item("ner", SENTENCE, NER)], threshold=threshold)


def test_a_higher_threshold_keeps_a_subset(tiny: Engine) -> None:
    low, high = (_run(tiny, [_item("ner", SENTENCE, NER)], threshold=one)[0] for one in (0.05, 0.9))
    assert _spans(high) <= _spans(low)
    assert all(one.score > 0.9 for one in high.annotations)


def test_a_bounded_flood_of_candidates_is_said_in_a_note(tiny: Engine) -> None:
    (result,) = _run(tiny, [_item("ner", SENTENCE * 3, NER)], threshold=0.0)
    assert len(result.annotations) <= MAX_SPANS
    assert any("请调高阈值" in note for note in result.notes)


def test_no_documents_give_no_results(tiny: Engine) -> None:
    assert _run(tiny, []) == []


def test_a_document_too_large_for_the_memory_gets_its_error_and_the_others_their_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine(load_checkpoint(str(TINY), device="cpu"))
    owner = engine.scheduler.owner
    assert isinstance(owner, LocalOwner)
    begin, end = owner.start, owner.finish
    lengths: list[Any] = []

    def start(packed: Packed) -> None:
        lengths.append(packed.lengths)
        begin(packed)

    def finish(pause: Pause | None = None) -> Raw:
        raw, too_long = end(), np.flatnonzero(lengths[-1] > 150)
        if len(too_long):
            raise GpuMemoryError("显存不足：一个窗口也放不下", row=int(too_long[0]))
        return raw

    monkeypatch.setattr(owner, "start", start)
    monkeypatch.setattr(owner, "finish", finish)
    texts = [SENTENCE, SENTENCE * 5, SENTENCE * 2, SENTENCE * 6, SENTENCE]
    results = _run(engine, [_item("ner", text, NER) for text in texts])
    assert [result.error for result in results] == ["", "显存不足：一个窗口也放不下"] * 2 + [""]
    assert _spans(results[0]) == _spans(results[4]) != set()
    assert _spans(results[2])


def test_urgent_work_is_refused_while_too_much_of_it_waits_and_answered_afterwards(tiny: Engine) -> None:
    checkpoint = tiny.checkpoint
    assert isinstance(checkpoint, Checkpoint)
    owner = LocalOwner(hold(checkpoint))
    scheduler = Scheduler(owner, pad_id=checkpoint.tokenizer.pad_id, batch_tokens=1024, queue_tokens=1)
    engine = Engine(checkpoint, scheduler=scheduler)
    resting, over = threading.Event(), threading.Event()

    def rest() -> None:
        resting.set()
        over.wait(60)

    found: list[AnnotatedDocument] = []
    pause = threading.Thread(target=scheduler.between, args=(rest,))
    first = threading.Thread(target=lambda: found.extend(_run(engine, [_item("re", SENTENCE, RE)], urgent=True)))
    pause.start()
    assert resting.wait(60)
    first.start()
    while not scheduler.waiting_tokens:
        first.join(0.01)
    with pytest.raises(BusyError, match="正忙"):
        _run(engine, [_item("ner", SENTENCE, NER)], urgent=True)
    over.set()
    first.join(60)
    pause.join(60)
    assert found[0].annotations and found[0].annotations[0].children  # two levels, the second was let in
    assert not _run(engine, [_item("ner", SENTENCE, NER)], urgent=True)[0].error
    engine.close()


def test_an_engine_for_files_alone_needs_somebody_who_holds_the_weights() -> None:
    with pytest.raises(ValueError, match="scheduler"):
        Engine(read_files(str(TINY)))


def test_half_a_surrogate_pair_fails_its_document_alone(tiny: Engine) -> None:
    texts = [SENTENCE, f"{SENTENCE}\ud83d", SENTENCE]
    results = _run(tiny, [_item(task, text, NER) for text in texts for task in ("ner", "rex")])
    assert ["代理字符" in result.error for result in results] == [False, False, True, True, False, False]
    with pytest.raises(SchemaError, match="代理字符"):
        parse_schema({"人\udc00物": None})
