"""Coreference without marks: which words are asked about, what the limits leave out, and what comes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from core import bootstrap, job_services
from core.cli import app as commands
from core.config import EMBEDDED_MODEL, Settings
from core.mentions import (
    MARGIN,
    MOST_NAMES,
    MOST_PRONOUNS,
    PASSAGE,
    PRONOUNS,
    REACH,
    THINGS,
    fitting,
    pronouns_in,
    questions,
)
from core.services import Application
from core.storage import queries
from core.tasks import TASKS, Answer, find_task, schema_for
from core.types import Annotation, Document, Link
from core.views.chains import chains_of

STORY = "张伟在南京大学任教，该校去年聘请了他。李娜是医生，她认识张伟。"


def named(text: str, word: str, kind: str, *, start: int = 0) -> Annotation:
    place = text.index(word, start)
    return Annotation(kind, place, place + len(word), word, 0.9)


def asked(text: str, *names: Annotation) -> list[tuple[str, str]]:
    return [(one.pronoun.text, one.name.text) for one in questions(text, pronouns_in(text), names)[0]]


def test_pronouns_are_found_and_words_that_only_contain_one_are_not() -> None:
    text = "其他人说，它们和他自己的吉他，尤其是该公司其产品"
    assert [one.text for one in pronouns_in(text)] == ["它们", "他", "自己", "该公司", "其"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([*PRONOUNS, "其他", "尤其", "😀", "说", "\n"]), max_size=30).map("".join))
def test_every_pronoun_is_cut_out_of_the_text_and_none_lies_on_another(text: str) -> None:
    found = pronouns_in(text)
    assert all(text[one.start : one.end] == one.text for one in found)
    assert all(one.end <= other.start for one, other in zip(found, found[1:], strict=False))


def test_a_pronoun_is_compared_with_names_of_fitting_types_only_the_nearest_first() -> None:
    school, zhang, li = named(STORY, "南京大学", "组织机构"), named(STORY, "张伟", "人物"), named(STORY, "李娜", "人物")
    assert asked(STORY, school, zhang, li) == [("该校", "南京大学"), ("他", "张伟"), ("她", "李娜"), ("她", "张伟")]
    assert fitting("其") == THINGS and "人物" not in fitting("它")


def test_a_name_behind_the_pronoun_is_compared_within_its_sentence_only() -> None:
    text = "虽然他很累，小王还是来了。小李没有来。"
    assert asked(text, named(text, "小王", "人物"), named(text, "小李", "人物")) == [("他", "小王")]


def test_what_the_limits_leave_out_is_said_with_its_places() -> None:
    people = [f"甲{number}某" for number in range(MOST_NAMES + 2)]
    text = "、".join(people) + "来了，他笑了。" + "空" * REACH + "。她走了。"
    pairs, notes = questions(text, pronouns_in(text), [named(text, one, "人物") for one in people])
    assert [one.name.text for one in pairs] == people[::-1][:MOST_NAMES]
    his, hers = pronouns_in(text)
    assert any(f"她（{hers.start}）" in note and "没有问" in note for note in notes)
    assert any(f"他（{his.start}）" in note and f"多于 {MOST_NAMES} 个" in note for note in notes)
    many = "小王说" + "他来了，" * (MOST_PRONOUNS + 3)
    pairs, notes = questions(many, pronouns_in(many), [named(many, "小王", "人物")])
    assert any(f"只判断了前 {MOST_PRONOUNS} 处，后面 3 处" in note for note in notes)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["小王", "南京", "他", "该公司", "她", "。", "很好", "\n", "😀"]), max_size=400))
def test_every_question_reads_a_short_passage_that_holds_both_words(parts: list[str]) -> None:
    text = "".join(parts)
    names, place = [], 0
    for part in parts:
        if part in ("小王", "南京"):
            names.append(Annotation("人物" if part == "小王" else "组织机构", place, place + 2, part, 0.9))
        place += len(part)
    for one in questions(text, pronouns_in(text), names)[0]:
        assert text[one.passage.start : one.passage.end] == one.passage.text
        for word in (one.name, one.pronoun):
            assert text[word.start : word.end] == word.text
            assert one.passage.start <= word.start and word.end <= one.passage.end
        assert len(one.passage.text) <= max(PASSAGE, REACH + 2 * MARGIN + len("该公司"))


def test_a_long_text_is_asked_with_the_sentences_round_both_words() -> None:
    text = "开头。" + "甲" * PASSAGE + "。小王来了。他笑了。" + "乙" * PASSAGE
    task = find_task("coref")
    steps = task.plan(Document(text), schema_for(task, None))
    (names,) = steps.send(None)
    assert names.text == text and list(names.schema.to_dict()) == list(THINGS)
    place = text.index("小王")
    (pair,) = steps.send([Answer(((Link("人物", place, place + 2, "小王", 0.9, 0.9),),))])
    assert pair.text == "小王（候选词）来了。他(代词)笑了。"
    yes = next(name for name in pair.schema.to_dict() if name.endswith("是的"))
    with pytest.raises(StopIteration) as stop:
        steps.send([Answer(((Link(yes, 0, 4, "", 0.8, 0.8),),))])
    (found,) = stop.value.value.annotations
    assert (found.type, found.text, text[found.start : found.end]) == ("指代", "他", "他")
    assert [(one.text, one.start) for one in found.children] == [("小王", place)]


def test_a_text_without_pronouns_says_so_and_asks_nothing() -> None:
    task = TASKS["coref"]
    with pytest.raises(StopIteration) as stop:
        task.plan(Document("今天下雨。"), schema_for(task, None)).send(None)
    assert "没有名单上的代词" in stop.value.value.answers[0].notes[0]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    if not (EMBEDDED_MODEL / "config.json").is_file():
        pytest.skip(f"no checkpoint in {EMBEDDED_MODEL}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REX_DATA_DIR", str(tmp_path_factory.mktemp("desk")))
        patch.setenv("REX_MODEL", str(EMBEDDED_MODEL))
        patch.setenv("REX_DEVICE", "cpu")
        app = bootstrap.build(Settings(_env_file=None))
        yield app
        app.close()


def test_a_job_over_unmarked_texts_and_the_command_find_the_same(desk: Application) -> None:
    texts = [STORY, "今天下雨。"]
    job = job_services.start_job(desk, [Document(text) for text in texts], task="coref")
    assert job_services.wait_for_jobs(desk, [job], 60)
    first, dry = queries.load_results(desk.database, job)
    pairs = {(one.text, one.start, word.text, word.start) for one in first.annotations for word in one.children}
    assert {("该校", 10, "南京大学", 3), ("她", 25, "李娜", 19)} <= pairs
    assert not any(one.error for one in (first, dry)) and "没有名单上的代词" in dry.notes[0]
    chains, lone = chains_of(first.annotations)
    placed = {one.start for one in lone} | {one.start for its in chains for one in its.members if one.score is not None}
    assert placed == {start for _, start, _, _ in pairs}, "every pronoun is in a chain or stands for none"
    told = CliRunner().invoke(commands, ["annotate", "--task", "coref", "--text", STORY])
    assert told.exit_code == 0, told.output
    line = json.loads(told.stdout)
    assert [(one["text"], one["start"], one["type"]) for one in line["annotations"]] == [
        (one.text, one.start, one.type) for one in first.annotations
    ]
