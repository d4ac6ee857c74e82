"""Corrections in the database: versions, undo and redo, conflicts, the queue, and what reviewed documents came to."""

from __future__ import annotations

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from core.errors import ConflictError, InputError, StorageError
from core.review import edits
from core.review.nodes import ACCEPTED, APPROVED, CORRECTED, REJECTED, STARTED, UNREVIEWED
from core.storage import queries, review_queries, review_results
from core.storage.database import migrate, open_database
from core.storage.review_queries import QueueFilter, get_review, history, queue_ids, queue_items, reviewed_pairs
from core.storage.review_store import Step, redo_step, save_step, undo_step
from core.storage.store import Store
from core.types import AnnotatedDocument, Annotation, Document

TEXTS = ("😀张伟的妻子是李娜。", "王芳在深圳工作。", "今天天气很好。")
FOUND = (
    (Annotation("人物", 1, 3, "张伟", 0.8, (Annotation("配偶(人物)", 7, 9, "李娜", 0.5),)),),
    (Annotation("人物", 0, 2, "王芳", 0.95),),
    (),
)


@pytest.fixture
def database(empty: Engine) -> Engine:
    migrate(empty)
    return empty


@pytest.fixture
def run(database: Engine) -> tuple[int, list[int]]:
    """The number of a finished run and of its documents."""
    return make_run(database)


def make_run(database: Engine) -> tuple[int, list[int]]:
    store = Store(database)
    documents = [Document(text, id=f"d{n}") for n, text in enumerate(TEXTS)]
    rows = store.add_documents(documents)
    run = store.start_run(
        task="re", schema_id=None, schema={}, model="m", revision="", dtype="", device="", threshold=0.5, total=3
    )
    for position, (row, document, found) in enumerate(zip(rows, documents, FOUND, strict=True)):
        result = AnnotatedDocument(document, "re", found, paths=())
        store.save_result(run, row, result=result, duration_s=0.0, position=position)
    store.finish_run(run, "done")
    return run, rows


def reject(
    database: Engine, run: int, document: int, number: int, *, author: str = "甲", version: int | None = None
) -> int:
    """Reject one annotation, as a person who has seen `version` (by default the newest)."""
    review = get_review(database, run, document)
    step = Step(run, document, review.version if version is None else version, "reject", author)
    after = edits.decide(review.nodes, [number], REJECTED)
    return save_step(database, step, before=review.nodes, after=after, states=(review.state, STARTED))


def finish(database: Engine, run: int, document: int, state: str) -> None:
    review = get_review(database, run, document)
    step = Step(run, document, review.version, "finish", "甲")
    after = edits.accept_rest(review.nodes)
    save_step(database, step, before=review.nodes, after=after, states=(review.state, state))


def test_a_step_keeps_the_machines_result_who_and_when(database: Engine, run: tuple[int, list[int]]) -> None:
    number, (first, *_) = run
    assert get_review(database, number, first).state == UNREVIEWED
    assert reject(database, number, first, 1) == 1
    review = get_review(database, number, first)
    assert (review.version, review.state, review.author) == (1, STARTED, "甲")
    (step,) = history(database, number, first)
    assert (step.action, step.author, list(step.change.nodes)) == ("reject", "甲", [1])
    assert step.created_at.tzinfo is not None and step.created_at == review.updated_at
    assert queries.load_results(database, number)[0].annotations == FOUND[0]


def test_a_step_that_changes_nothing_is_not_kept(database: Engine, run: tuple[int, list[int]]) -> None:
    number, (first, *_) = run
    review = get_review(database, number, first)
    same = (review.state, review.state)
    step = Step(number, first, 0, "accept", "甲")
    assert save_step(database, step, before=review.nodes, after=review.nodes, states=same) == 0
    assert history(database, number, first) == []


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=st.lists(st.sampled_from(["edit", "undo", "redo"]), min_size=3, max_size=14))
def test_undo_and_redo_lead_where_a_stack_of_states_leads(
    tmp_path_factory: pytest.TempPathFactory, turns: list[str]
) -> None:
    database = open_database(f"sqlite:///{tmp_path_factory.mktemp('undo') / 'app.db'}")
    migrate(database)
    number, (first, *_) = make_run(database)
    start = get_review(database, number, first)
    past, now, future = [], (start.nodes, start.state), []
    for count, turn in enumerate(turns):
        review = get_review(database, number, first)
        step = Step(number, first, review.version, turn, "甲")
        if turn == "edit":
            after = edits.add(review.nodes, f"类型{count}", (0, 1), text=TEXTS[0])
            save_step(database, step, before=review.nodes, after=after, states=(review.state, STARTED))
            past, now, future = [*past, now], (after, STARTED), []
        elif turn == "undo" and past:
            undo_step(database, step)
            past, now, future = past[:-1], past[-1], [now, *future]
        elif turn == "redo" and future:
            redo_step(database, step)
            past, now, future = [*past, now], future[0], future[1:]
        else:
            with pytest.raises(InputError, match="没有可以"):
                (undo_step if turn == "undo" else redo_step)(database, step)
        review = get_review(database, number, first)
        assert (review.nodes, review.state) == now
        assert (review.can_undo, review.can_redo) == (bool(past), bool(future))
    database.dispose()


def test_two_people_cannot_overwrite_one_another(database: Engine, run: tuple[int, list[int]]) -> None:
    number, (first, *_) = run
    reject(database, number, first, 1, author="甲")
    with pytest.raises(ConflictError, match="“甲”刚刚改动了.*现为第 1 版，您看到的是第 0 版"):
        reject(database, number, first, 0, author="乙", version=0)
    reject(database, number, first, 0, author="乙", version=1)
    with pytest.raises(ConflictError, match="“乙”刚刚改动了"):
        undo_step(database, Step(number, first, 1, "undo", "甲"))
    assert [step.author for step in history(database, number, first)] == ["乙", "甲"]


def test_of_many_at_the_same_moment_one_wins_and_the_others_are_told(
    database: Engine, run: tuple[int, list[int]]
) -> None:
    number, (first, *_) = run
    review = get_review(database, number, first)
    outcomes: list[object] = []
    gate = threading.Barrier(8)

    def write(author: str) -> None:
        after = edits.add(review.nodes, author, (0, 1), text=TEXTS[0])
        gate.wait()
        try:
            step = Step(number, first, 0, "add", author)
            outcomes.append(save_step(database, step, before=review.nodes, after=after, states=(UNREVIEWED, STARTED)))
        except ConflictError:
            outcomes.append("conflict")

    threads = [threading.Thread(target=write, args=(f"人{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes, key=str) == [1, *["conflict"] * 7]
    assert len(history(database, number, first)) == 1


def test_a_document_that_was_deleted_meanwhile_is_named_as_such(database: Engine, run: tuple[int, list[int]]) -> None:
    number, (first, *_) = run
    version = reject(database, number, first, 1)
    review = get_review(database, number, first)
    Store(database).delete_document(first)
    step = Step(number, first, version, "accept", "甲")
    after = edits.decide(review.nodes, [0], ACCEPTED)
    with pytest.raises(ConflictError, match="已被删除"):
        save_step(database, step, before=review.nodes, after=after, states=(STARTED, STARTED))
    with pytest.raises(StorageError, match=f"没有编号为 {first} 的文档"):
        get_review(database, number, first)
    Store(database).delete_run(number)
    assert list(review_queries.batch_documents(database, number, "")) == []


def test_the_queue_filters_and_orders(database: Engine, run: tuple[int, list[int]]) -> None:
    number, (first, second, third) = run
    finish(database, number, second, APPROVED)
    assert queue_ids(database, number, QueueFilter()) == [first, second, third]
    assert queue_ids(database, number, QueueFilter(order="certainty")) == [first, second, third]
    assert queue_ids(database, number, QueueFilter(type="人物", order="certainty")) == [first, second]
    assert queue_ids(database, number, QueueFilter(states=(UNREVIEWED,))) == [first, third]
    assert queue_ids(database, number, QueueFilter(states=(APPROVED,), type="人物")) == [second]
    assert queue_ids(database, number, QueueFilter(below=0.6)) == [first]
    assert queue_ids(database, number, QueueFilter(type="人物", below=0.6)) == []
    assert review_queries.count_states(database, number) == {UNREVIEWED: 2, APPROVED: 1}
    items = queue_items(database, number, [second, first])
    assert [(one.external_id, one.state, one.annotations, one.score) for one in items] == [
        ("d1", APPROVED, 1, 0.95),
        ("d0", UNREVIEWED, 2, 0.5),
    ]


def test_pairs_are_of_finished_documents_only(database: Engine, run: tuple[int, list[int]]) -> None:
    number, (first, second, third) = run
    reject(database, number, first, 1)
    assert list(reviewed_pairs(database, number)) == []
    finish(database, number, first, CORRECTED)
    finish(database, number, second, APPROVED)
    finish(database, number, third, "skipped")
    one, other = reviewed_pairs(database, number)
    assert (one.document_id, one.document.text, one.state, one.machine) == (first, TEXTS[0], CORRECTED, FOUND[0])
    assert [(a.text, a.children) for a in one.corrected] == [("张伟", ())]
    assert other.state == APPROVED and other.machine == other.corrected == FOUND[1]


def test_results_as_they_stand_have_corrections_and_say_who_and_when(
    database: Engine, run: tuple[int, list[int]]
) -> None:
    number, (first, second, _) = run
    reject(database, number, first, 1)
    finish(database, number, second, APPROVED)
    corrected, approved, untouched = review_results.current_results(database, number)
    assert [a.children for a in corrected.annotations] == [()]
    assert "复核中（甲，20" in corrected.notes[0] and "已通过（甲" in approved.notes[0]
    assert approved.annotations == FOUND[1] and untouched == queries.load_results(database, number)[2]
    assert [one.document.id for one in review_results.reviewed_results(database, number)] == ["d1"]


def test_a_document_that_is_read_again_keeps_what_people_did(database: Engine, run: tuple[int, list[int]]) -> None:
    number, (first, *_) = run
    reject(database, number, first, 1)
    before = get_review(database, number, first)
    again = AnnotatedDocument(Document(TEXTS[0], id="d0"), "re", ())
    Store(database).save_result(number, first, result=again, duration_s=0.0)
    assert get_review(database, number, first).nodes == before.nodes


def test_the_types_found_stand_for_a_schema_that_was_not_asked(database: Engine, run: tuple[int, list[int]]) -> None:
    assert review_queries.found_types(database, run[0]) == {"人物": {"配偶(人物)": None}}


def test_many_documents_are_read_as_they_stand_like_each_alone(
    database: Engine, run: tuple[int, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    number, rows = run
    reject(database, number, rows[0], 1)
    alone = [(one.document_id, one.version, one.state, one.nodes) for one in (
        get_review(database, number, row) for row in rows
    )]  # fmt: skip
    for limit in (100, 0):
        monkeypatch.setattr(review_queries, "ONE_BY_ONE", limit)
        together = review_queries.iter_reviews(database, number, rows)
        assert [(one.document_id, one.version, one.state, one.nodes) for one in together] == alone
