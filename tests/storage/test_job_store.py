"""The queue in the database: who may change what, and that no document is lost or doubled, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from core.errors import StorageError
from core.storage import job_queries, job_store, queries
from core.storage.database import migrate
from core.storage.job_store import Provenance
from core.storage.rows import Finished
from core.storage.store import Store
from core.storage.tables import JobDocumentRow, RunDocumentRow
from core.types import AnnotatedDocument, Annotation, Document

SOURCE = "/models/m"
SIZE = 6


@pytest.fixture
def database(empty: Engine) -> Engine:
    migrate(empty)
    return empty


def submit(database: Engine, count: int = SIZE) -> tuple[int, list[int]]:
    ids = Store(database).add_documents([Document(f"张伟在北京{number}") for number in range(count)])
    job = job_store.submit(
        database, ids, task="ner", schema={"人物": None}, schema_id=None, source=SOURCE, threshold=0.5
    )
    return job, ids


def claim(database: Engine, job: int, owner: str = "me") -> bool:
    return job_store.claim(database, job, owner, source=SOURCE)


def finished(document_id: int, *, position: int = 0, error: str = "") -> Finished:
    document = Document("张伟在北京")
    found = () if error else (Annotation("人物", 0, 2, "张伟", 0.9),)
    result = AnnotatedDocument(document, "ner", found, error=error)
    return Finished(document_id, result, 0.5, position, dtype="float32", device="cpu")


def save(database: Engine, job: int, *ids: int, owner: str = "me", error: str = "") -> bool:
    return job_store.save(database, job, owner, finished=[finished(one, error=error) for one in ids])


def read(database: Engine, job: int) -> list[int]:
    with database.connect() as connection:
        return list(connection.scalars(select(RunDocumentRow.document_id).where(RunDocumentRow.run_id == job)))


def waiting(database: Engine, job: int) -> list[int]:
    with database.connect() as connection:
        return list(connection.scalars(select(JobDocumentRow.document_id).where(JobDocumentRow.run_id == job)))


def test_a_job_waits_with_its_documents_in_their_order_each_once(database: Engine) -> None:
    ids = Store(database).add_documents([Document("甲"), Document("乙"), Document("丙")])
    order = [ids[2], ids[0], ids[2], ids[1]]
    job = job_store.submit(database, order, task="ner", schema={}, schema_id=None, source=SOURCE, threshold=0.5)
    run = queries.get_run(database, job)
    assert (run.state, run.total, run.done, run.source, run.model) == ("queued", 3, 0, SOURCE, "")
    some = job_queries.pending(database, job, limit=2)
    assert [one.document.text for one in some] == ["丙", "甲"]
    (last,) = job_queries.pending(database, job, after=some[-1].position, limit=2)
    assert (last.document.text, last.position) == ("乙", 2)
    assert job_queries.queued(database) == job_queries.queued(database, SOURCE) == [job]
    assert job_queries.queued(database, "anderes") == []


def test_of_many_who_want_a_job_one_gets_it(database: Engine) -> None:
    job, _ = submit(database)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda number: claim(database, job, f"owner-{number}"), range(8)))
    assert taken.count(True) == 1
    assert job_queries.holders(database)[0].owner == f"owner-{taken.index(True)}"
    assert not job_store.claim(database, job, "me", source="anderes")


def test_a_result_is_kept_once_and_only_from_who_holds_the_job(database: Engine) -> None:
    job, ids = submit(database)
    assert not save(database, job, ids[0]), "nobody holds it yet"
    assert claim(database, job)
    assert save(database, job, ids[0], ids[1])
    assert not save(database, job, ids[2], owner="other")
    assert save(database, job, ids[1], ids[2]), "what is there already is passed over"
    run = queries.get_run(database, job)
    assert (run.done, run.windows, run.annotations, run.worked_s) == (3, 3, 3, 2.0)
    assert sorted(read(database, job)) == ids[:3]
    assert waiting(database, job) == ids[3:]
    assert job_queries.grounds(database, job) == [("cpu", "float32", 3, 1.5)]


def test_a_job_ends_only_when_nothing_is_left(database: Engine) -> None:
    job, ids = submit(database, 2)
    assert claim(database, job)
    assert not job_store.finish(database, job, "me")
    assert save(database, job, *ids)
    assert not job_store.finish(database, job, "other")
    assert job_store.finish(database, job, "me")
    run = queries.get_run(database, job)
    assert (run.state, run.owner) == ("done", "") and run.finished_at is not None


@pytest.mark.parametrize("stop", [job_store.pause, job_store.cancel])
def test_who_works_on_a_stopped_job_can_keep_nothing_more(
    database: Engine, stop: Callable[[Engine, int], None]
) -> None:
    job, ids = submit(database)
    assert claim(database, job) and save(database, job, ids[0])
    assert job_store.heartbeat(database, ["me"]) == {"me"}
    stop(database, job)
    assert job_store.heartbeat(database, ["me"]) == set()
    assert not save(database, job, ids[1])
    assert not job_store.finish(database, job, "me")
    assert not job_store.release(database, job, "me")
    job_store.resume(database, job)
    assert claim(database, job, "next") and not save(database, job, ids[1])
    assert save(database, job, *ids[1:], owner="next") and job_store.finish(database, job, "next")
    assert sorted(read(database, job)) == ids


def test_a_change_that_makes_no_sense_is_refused_in_plain_words(database: Engine) -> None:
    job, ids = submit(database, 1)
    with pytest.raises(StorageError, match="不能继续.*排队中"):
        job_store.resume(database, job)
    with pytest.raises(StorageError, match="没有可重试"):
        job_store.retry_failed(database, job)
    assert claim(database, job) and save(database, job, ids[0]) and job_store.finish(database, job, "me")
    for refused in (job_store.pause, job_store.cancel):
        with pytest.raises(StorageError, match="状态是“完成”"):
            refused(database, job)
    with pytest.raises(StorageError, match="没有剩下"):
        job_store.resume(database, job)
    with pytest.raises(StorageError, match="没有编号为 999"):
        job_store.pause(database, 999)


def test_failed_documents_are_counted_listed_and_queued_again_alone(database: Engine) -> None:
    job, ids = submit(database, 3)
    assert claim(database, job) and save(database, job, ids[0], ids[2], error="太长") and save(database, job, ids[1])
    with pytest.raises(StorageError, match="没有可重试"):
        job_store.retry_failed(database, job)
    assert job_store.finish(database, job, "me")
    assert queries.get_run(database, job).failed == 2
    assert {(one.document_id, one.error) for one in job_queries.failed_documents(database, job)} == {
        (ids[0], "太长"),
        (ids[2], "太长"),
    }
    assert job_store.retry_failed(database, job) == 2
    run = queries.get_run(database, job)
    assert (run.state, run.done, run.failed, run.windows, run.total) == ("queued", 1, 0, 1, 3)
    assert read(database, job) == [ids[1]]
    assert sorted(waiting(database, job)) == [ids[0], ids[2]]


def test_a_document_deleted_while_it_waits_is_no_longer_expected(database: Engine) -> None:
    job, ids = submit(database, 3)
    assert claim(database, job)
    Store(database).delete_document(ids[1])
    assert save(database, job, *ids)
    assert job_store.finish(database, job, "me")
    run = queries.get_run(database, job)
    assert (run.total, run.done) == (2, 2)


def test_only_what_a_lost_owner_had_in_hand_counts_as_an_attempt(database: Engine) -> None:
    job, ids = submit(database)

    def attempts() -> list[int]:
        return [one.attempts for one in job_queries.pending(database, job, limit=SIZE)]

    assert claim(database, job)
    assert not job_store.take(database, job, "other", document_ids=ids)
    assert job_store.take(database, job, "me", document_ids=ids[:3]) and save(database, job, ids[0])
    assert not job_store.lose(database, job, "other")
    assert job_store.lose(database, job, "me")
    assert attempts() == [1, 1, 0, 0, 0]
    assert queries.get_run(database, job).state == "queued"
    for end in (job_store.release, lambda *of: job_store.pause(*of[:2])):
        assert claim(database, job) and job_store.take(database, job, "me", document_ids=ids)
        end(database, job, "me")
        if queries.get_run(database, job).state == "paused":
            job_store.resume(database, job)
    assert claim(database, job) and job_store.lose(database, job, "me"), "nothing was in hand any more"
    assert attempts() == [1, 1, 0, 0, 0]
    assert [one.document_id for one in job_queries.pending(database, job, limit=SIZE, least=1)] == ids[1:3]
    assert [one.document_id for one in job_queries.pending(database, job, limit=SIZE, below=1)] == ids[3:]
    assert claim(database, job) and save(database, job, ids[1], error="坏") and save(database, job, *ids[2:])
    assert job_store.finish(database, job, "me") and job_store.retry_failed(database, job) == 1
    assert attempts() == [0], "who tries again begins anew"


def test_begin_notes_what_answers(database: Engine) -> None:
    job, _ = submit(database)
    assert claim(database, job)
    before = queries.get_run(database, job).started_at
    assert job_store.begin(database, job, "me", provenance=Provenance("m", "r", "float32", "cpu"), fresh=True)
    run = queries.get_run(database, job)
    assert (run.model, run.revision, run.dtype, run.device) == ("m", "r", "float32", "cpu")
    assert run.started_at >= before
    assert not job_store.begin(database, job, "other", provenance=Provenance("x", "", "", ""), fresh=False)


MOVES = st.lists(
    st.tuples(
        st.sampled_from(
            ["claim", "take", "save", "fail", "die", "release", "pause", "resume", "cancel", "retry", "finish"]
        ),
        st.sampled_from("ab"),
        st.integers(0, SIZE - 1),
    ),
    max_size=40,
)


@given(moves=MOVES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_every_document_is_either_read_or_waits(
    database: Engine, moves: list[tuple[str, str, int]]
) -> None:
    job, ids = submit(database)
    for move, owner, number in moves:
        try:
            if move == "claim":
                claim(database, job, owner)
            elif move in ("save", "fail"):
                save(database, job, ids[number], owner=owner, error="坏" if move == "fail" else "")
            elif move == "take":
                job_store.take(database, job, owner, document_ids=ids[number:])
            elif move in ("die", "release"):
                (job_store.lose if move == "die" else job_store.release)(database, job, owner)
            elif move == "finish":
                job_store.finish(database, job, owner)
            else:
                change = {"pause": job_store.pause, "resume": job_store.resume, "cancel": job_store.cancel}
                change.get(move, job_store.retry_failed)(database, job)
        except StorageError:
            pass  # refused: that is one of the things that may happen
        there, left = read(database, job), waiting(database, job)
        assert sorted([*there, *left]) == ids
        run = queries.get_run(database, job)
        assert (run.done, run.total) == (len(there), SIZE)
        assert run.failed == len(job_queries.failed_documents(database, job))
        assert run.state != "done" or not left
