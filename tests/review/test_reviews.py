"""Review as the product does it, on a real database: actions, many documents at once, two people at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from core import reviews
from core.errors import ConflictError
from core.review.actions import Action
from core.review.nodes import APPROVED, CORRECTED, SKIPPED, STARTED
from core.storage import queries
from core.storage.database import migrate, open_database
from core.storage.review_queries import get_review, history, reviewed_pairs
from core.storage.store import Store
from core.types import AnnotatedDocument, Annotation, Document

TEXTS = ("😀云州市开了新站，云州市民高兴。", "云州市昨天下雨。", "深圳市昨天晴。", "云州市、云州市、云州市。")


@pytest.fixture
def database(tmp_path: Path) -> Engine:
    engine = open_database(f"sqlite:///{tmp_path / 'app.db'}")
    migrate(engine)
    return engine


@pytest.fixture
def run(database: Engine) -> tuple[int, list[int]]:
    """A run in whose documents the model found the first mention of a city, the surer the later."""
    store = Store(database)
    documents = [Document(text, id=f"d{n}") for n, text in enumerate(TEXTS)]
    rows = store.add_documents(documents)
    run = store.start_run(
        task="ner", schema_id=None, schema={"地点": None}, model="m", revision="", dtype="", device="", threshold=0.5,
        total=len(rows),
    )  # fmt: skip
    for position, (row, document) in enumerate(zip(rows, documents, strict=True)):
        start = document.text.index("市") - 2
        found = Annotation("地点", start, start + 3, document.text[start : start + 3], 0.6 + position / 10)
        result = AnnotatedDocument(document, "ner", (found,))
        store.save_result(run, row, result=result, duration_s=0.0, position=position)
    store.finish_run(run, "done")
    return run, rows


def do(database: Engine, run: int, document: int, *kinds: str) -> None:
    for kind in kinds:
        reviews.perform(database, get_review(database, run, document), Action(kind, 0), author="甲")


def test_an_action_is_kept_with_who_and_gives_the_document_as_it_stands(
    database: Engine, run: tuple[int, list[int]]
) -> None:
    number, (first, *_) = run
    review = reviews.perform(database, get_review(database, number, first), Action("accept", 0), author="甲")
    assert (review.state, review.version, review.author, review.can_undo) == (STARTED, 1, "甲", True)
    review = reviews.perform(database, review, Action("undo"), author="乙")
    assert (review.state, review.version, review.can_undo, review.can_redo) == ("unreviewed", 2, False, True)
    assert [(one.action, one.author) for one in history(database, number, first)] == [("undo", "乙"), ("accept", "甲")]


def test_of_two_sessions_the_second_is_told_and_sees_both_versions(
    database: Engine, run: tuple[int, list[int]]
) -> None:
    number, (first, *_) = run
    mine = theirs = get_review(database, number, first)
    theirs = reviews.perform(database, theirs, Action("retype", 0, "组织机构"), author="乙")
    with pytest.raises(ConflictError, match="“乙”刚刚改动了"):
        reviews.perform(database, mine, Action("reject", 0), author="甲")
    assert get_review(database, number, first).nodes == theirs.nodes
    before = reviews.seen(database, number, first, version=mine.version)
    assert (before.nodes, before.state) == (mine.nodes, mine.state)
    ((one, other),) = reviews.differences(before.nodes, theirs.nodes)
    assert one is not None and other is not None and (one.type, other.type) == ("地点", "组织机构")


def test_every_occurrence_in_a_run_is_previewed_labelled_and_undone(
    database: Engine, run: tuple[int, list[int]]
) -> None:
    number, (first, second, third, fourth) = run
    do(database, number, second, "finish")
    found = reviews.preview_labels(database, number, "云州市", "城市")
    assert (found.documents, found.places, found.left_out) == ((first, fourth), 5, 1)
    assert [(one.external_id, one.start, one.before, one.text) for one in found.examples][:2] == [
        ("d0", 1, "😀", "云州市"),
        ("d0", 9, "😀云州市开了新站，", "云州市"),
    ]
    assert get_review(database, number, first).version == 0, "a preview changes nothing"
    steps = list(reviews.label_everywhere(database, number, found, words="云州市", type="城市", author="甲"))
    assert [(one.done, one.total, one.changed, one.conflicts) for one in steps] == [(1, 2, 1, 0), (2, 2, 2, 0)]
    nodes = get_review(database, number, fourth).nodes
    assert [TEXTS[3][one.start : one.end] for one in nodes if one.type == "城市"] == ["云州市"] * 3
    do(database, number, first, "accept")
    (*_, last) = reviews.undo_everywhere(database, number, steps[-1].batch, author="甲")
    assert (last.changed, last.conflicts) == (1, 1), "what somebody has worked on since stays"
    assert [one.type for one in get_review(database, number, fourth).nodes] == ["地点"]


def test_finished_documents_are_changed_only_when_asked_and_become_corrected(
    database: Engine, run: tuple[int, list[int]]
) -> None:
    number, (_, second, third, _) = run
    do(database, number, second, "finish")
    do(database, number, third, "skip")
    found = reviews.preview_labels(database, number, "昨天", "时间", finished=True)
    assert found.documents == (second,) and found.left_out == 1
    list(reviews.label_everywhere(database, number, found, words="昨天", type="时间", author="甲"))
    assert get_review(database, number, second).state == CORRECTED
    assert get_review(database, number, third).state == SKIPPED


def test_everything_above_a_score_is_accepted_in_the_whole_run(database: Engine, run: tuple[int, list[int]]) -> None:
    number, (first, second, third, fourth) = run
    do(database, number, fourth, "reject")
    found = reviews.preview_scores(database, number, 0.7)
    assert (found.documents, found.places, found.left_out) == ((second, third), 2, 0)
    list(reviews.accept_everywhere(database, number, found, score=0.7, author="甲"))
    decisions = [get_review(database, number, one).nodes[0].decision for one in run[1]]
    assert decisions == ["open", "accepted", "accepted", "rejected"]


def test_work_on_many_documents_may_stop_and_keeps_what_is_done(database: Engine, run: tuple[int, list[int]]) -> None:
    number, rows = run
    found = reviews.preview_scores(database, number, 0.0)
    next(iter(reviews.accept_everywhere(database, number, found, score=0.0, author="甲")))
    assert [get_review(database, number, one).version for one in rows] == [1, 0, 0, 0]


def test_a_reviewed_document_counts_with_what_the_machine_said_first(
    database: Engine, run: tuple[int, list[int]]
) -> None:
    number, (first, second, *_) = run
    do(database, number, first, "reject", "finish")
    do(database, number, second, "finish")
    one, other = reviewed_pairs(database, number)
    assert (one.state, len(one.machine), one.corrected) == (CORRECTED, 1, ())
    assert (other.state, other.machine) == (APPROVED, other.corrected)
    assert queries.load_results(database, number)[0].annotations == one.machine
