"""Jobs on a real application: stored as they go, paused, resumed, cancelled, retried, taken up again after a kill."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from core import job_services, services
from core.bootstrap import build
from core.config import Settings
from core.errors import InputError, SchemaError, StorageError
from core.jobs.lease import make_owner
from core.services import Application
from core.storage import job_queries, job_store, queries
from core.storage.queries import RunInfo
from core.storage.tables import RunRow
from core.types import AnnotatedDocument, Document, Reading, Span

SENTENCE = "小说家陈静1972年3月出生于杭州，毕业于浙江大学，丈夫是画家林涛。"
NER = {"人物": None, "地理位置": None, "组织机构": None}
WAIT_S = 60


@pytest.fixture
def app(settings: Settings, checkpoint_dir: Path) -> Iterator[Application]:
    application = build(settings.model_copy(update={"model": str(checkpoint_dir)}))
    yield application
    application.close()


def documents(count: int) -> list[Document]:
    return [Document(f"{number}。{SENTENCE}", id=f"d{number}") for number in range(count)]


def start(app: Application, count: int) -> int:
    return job_services.start_job(app, documents(count), task="ner", schema=NER)


def submit(app: Application, count: int) -> int:
    return job_services.submit_job(app, documents(count), task="ner", schema=NER)


def state(app: Application, job: int) -> RunInfo:
    return queries.get_run(app.database, job)


def ended(app: Application, *jobs: int) -> RunInfo:
    """The first of the jobs when all have ended."""
    assert job_services.wait_for_jobs(app, jobs, WAIT_S)
    return state(app, jobs[0])


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def essence(result: AnnotatedDocument) -> object:
    spans = [(one.type, one.start, one.end, one.text, round(one.score, 5)) for one in result.annotations]
    return result.document, spans, result.windows, result.notes, result.error


@contextmanager
def resting(app: Application) -> Iterator[None]:
    """The model rests: nothing goes on before the block has ended."""
    rests, over = threading.Event(), threading.Event()

    def rest() -> None:
        rests.set()
        over.wait(WAIT_S)

    thread = threading.Thread(target=app.engine.scheduler.between, args=(rest,))
    thread.start()
    assert rests.wait(WAIT_S)
    try:
        yield
    finally:
        over.set()
        thread.join(WAIT_S)


def test_a_job_stores_its_run_with_device_dtype_schema_and_every_document(app: Application) -> None:
    given = [*documents(4), Document("  ", id="blank")]
    job = job_services.start_job(app, given, task="ner", schema=NER, schema_name="三类", threshold=0.4)
    run = ended(app, job)
    assert (run.state, run.error, run.task, run.total, run.done, run.failed) == ("done", None, "ner", 5, 5, 1)
    assert (run.device, run.dtype, run.revision) == ("cpu", "float32", "local")
    assert (run.model, run.source) == (services.model_status(app).name, app.settings.model_source)
    assert (run.threshold, dict(run.schema), run.schema_name, run.owner) == (0.4, NER, "三类", "")
    assert run.finished_at is not None and run.worked_s > 0
    stored = services.load_run(app, job)
    assert [result.document for result in stored] == given
    expected = services.annotate(app, given, task="ner", schema=NER, threshold=0.4)
    assert [essence(one) for one in stored] == [essence(one) for one in expected]
    (ground,) = job_queries.grounds(app.database, job)
    assert ground[:3] == ("cpu", "float32", 5)
    assert ground.duration_s == pytest.approx(run.worked_s)


def test_the_inputs_of_a_document_come_back_from_a_stored_job(app: Application) -> None:
    document = Document(
        "小红说她累",
        id="c",
        candidates=(Span(0, 2, "小红"),),
        pronouns=(Span(3, 4, "她"),),
        metadata={"来源": "测试"},
    )
    job = job_services.start_job(app, [document], task="coref")
    assert ended(app, job).state == "done"
    assert [one.document for one in services.load_run(app, job)] == [document]


def test_results_are_stored_while_the_job_still_runs(app: Application) -> None:
    job = start(app, 200)
    until(lambda: state(app, job).done >= 2)
    with resting(app):
        run = state(app, job)
        assert run.state == "running" and 2 <= len(services.load_run(app, job)) < 200
        assert run.per_s is not None and run.left_s is not None
        job_services.cancel_job(app, job)
    ended(app, job)


def test_a_cancelled_job_keeps_what_was_finished_and_stops_at_once(app: Application) -> None:
    job = start(app, 400)
    until(lambda: state(app, job).done >= 3)
    job_services.cancel_job(app, job)
    asked = time.monotonic()
    until(lambda: not app.runner.holds(job))
    assert time.monotonic() - asked < 5
    run = state(app, job)
    assert (run.state, run.owner) == ("cancelled", "")
    assert 3 <= run.done < 400
    assert len(services.load_run(app, job)) == run.done
    with pytest.raises(StorageError, match="不能取消.*已取消"):
        job_services.cancel_job(app, job)


def test_a_paused_job_goes_on_where_it_stopped_and_ends_as_if_never_stopped(app: Application) -> None:
    job = start(app, 150)
    for place in (5, 60):
        until(lambda place=place: state(app, job).done >= place)  # type: ignore[misc]
        job_services.pause_job(app, job)
        until(lambda: not app.runner.holds(job))
        run = state(app, job)
        assert run.state == "paused" and place <= run.done < 150
        assert state(app, job).done == run.done
        job_services.resume_job(app, job)
    run = ended(app, job)
    assert (run.state, run.done, run.total) == ("done", 150, 150)
    stored = services.load_run(app, job)
    assert [one.document for one in stored] == documents(150)
    assert run.annotations == sum(len(one.annotations) for one in stored)


def test_only_the_failed_documents_of_a_job_are_read_again(app: Application) -> None:
    job = job_services.start_job(app, [*documents(3), Document(" ", id="blank")], task="ner", schema=NER)
    assert ended(app, job).failed == 1
    (failed,) = job_queries.failed_documents(app.database, job)
    assert (failed.external_id, "没有文字" in failed.error) == ("blank", True)
    before = {one.document.id: essence(one) for one in services.load_run(app, job)}
    with resting(app):
        assert job_services.retry_job(app, job) == 1
        run = state(app, job)
        assert (run.done, run.total, run.failed, run.active) == (3, 4, 0, True)
    run = ended(app, job)
    assert (run.state, run.done, run.failed) == ("done", 4, 1)
    assert {one.document.id: essence(one) for one in services.load_run(app, job)} == before


def test_a_job_that_the_device_stops_says_why_and_can_go_on(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **options: object) -> None:
        raise RuntimeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(app.engine.scheduler.owner, "finish", broken)
        job = start(app, 2)
        run = ended(app, job)
    assert (run.state, run.error, run.done) == ("failed", "RuntimeError: broken", 0)
    job_services.resume_job(app, job)
    run = ended(app, job)
    assert (run.state, run.error, run.done) == ("done", None, 2)


def test_what_cannot_be_asked_is_refused_before_there_is_a_job(app: Application) -> None:
    for begin in (job_services.start_job, job_services.submit_job):
        with pytest.raises(SchemaError, match="需要模式"):
            begin(app, documents(1), task="ner")
        with pytest.raises(SchemaError, match="太长"):
            begin(app, documents(1), task="ner", schema=["长" * 400])
        with pytest.raises(InputError, match="没有可分析的文档"):
            begin(app, [], task="ner", schema=NER)
        with pytest.raises(InputError, match="阈值"):
            begin(app, documents(1), task="ner", schema=NER, threshold=1.5)
    assert queries.count_runs(app.database) == 0


def test_an_overview_reads_one_document_with_several_tasks_and_stores_a_job_for_each(app: Application) -> None:
    schemas = {"sentiment": None, "ner": NER}
    jobs = job_services.start_overview(app, Document(SENTENCE), schemas=schemas)
    ended(app, *jobs)
    assert [state(app, job).task for job in jobs] == ["sentiment", "ner"]
    for job, (task, schema) in zip(jobs, schemas.items(), strict=True):
        expected = services.annotate(app, [Document(SENTENCE)], task=task, schema=schema)
        assert [essence(one) for one in services.load_run(app, job)] == [essence(one) for one in expected]
    # They share batches: each took about as long, not the first all of it and the others nothing.
    worked = sorted(state(app, job).worked_s for job in jobs)
    assert 0.2 * worked[-1] < worked[0] and worked[-1] < WAIT_S


def test_a_short_request_is_answered_while_a_long_job_runs(app: Application) -> None:
    job = start(app, 600)
    until(lambda: state(app, job).done > 0)
    (result,) = services.annotate(app, [Document(SENTENCE)], task="ner", schema=NER)
    quick = job_services.start_job(app, [Document(SENTENCE)], task="ner", schema=NER)
    assert ended(app, quick).state == "done"
    assert not result.error
    assert state(app, job).state == "running"
    job_services.cancel_job(app, job)


def test_closing_puts_a_job_back_and_the_next_start_ends_it(app: Application, settings: Settings) -> None:
    job = start(app, 150)
    until(lambda: state(app, job).done >= 5)
    app.close()
    again = build(settings)
    try:
        run = state(again, job)
        assert (run.state, run.owner) == ("queued", "")
        assert 5 <= run.done < 150
        again.runner.start()
        run = ended(again, job)
        assert (run.state, run.done) == ("done", 150)
        assert [one.document for one in services.load_run(again, job)] == documents(150)
    finally:
        again.close()


def test_a_job_whose_process_is_gone_is_taken_up_at_the_next_start(app: Application) -> None:
    job = submit(app, 3)
    host, pid, began, token = make_owner().rsplit("/", 3)
    gone = f"{host}/{pid}/{began}0/{token}"  # the number went to another process: this one
    assert job_store.claim(app.database, job, gone, source=app.settings.model_source)
    assert job_services.wait_for_jobs(app, [job], 0.2) is False
    app.runner.start()
    assert (ended(app, job).state, state(app, job).done) == ("done", 3)


def test_two_processes_share_the_queue_and_never_a_job(app: Application, settings: Settings) -> None:
    other = build(settings.model_copy(update={"model": app.settings.model}))
    try:
        jobs = [submit(app, 12) for _ in range(6)]
        for one in (app, other):
            one.runner.start()
        ended(app, *jobs)
        for job in jobs:
            assert (state(app, job).state, state(app, job).done) == ("done", 12)
            assert [one.document for one in services.load_run(app, job)] == documents(12)
    finally:
        other.close()


def test_a_job_for_another_model_waits_for_a_process_that_has_it(app: Application) -> None:
    job = submit(app, 1)
    with app.database.begin() as connection:
        connection.execute(update(RunRow).where(RunRow.id == job).values(source="iic/anderes@v1"))
    assert app.runner.take([job]) == []
    app.runner.start()
    assert job_services.wait_for_jobs(app, [job], 1.5) is False
    assert job_queries.sources(app.database) == ["iic/anderes@v1"]


def test_a_job_begun_with_other_weights_is_not_carried_on(app: Application) -> None:
    job = submit(app, 1)
    with app.database.begin() as connection:
        connection.execute(update(RunRow).where(RunRow.id == job).values(model="anderes", revision="v1"))
    app.runner.take([job])
    run = ended(app, job)
    assert run.state == "failed" and run.error is not None and "anderes" in run.error
    assert run.done == 0


def test_a_deleted_job_stops_and_leaves_its_documents(app: Application) -> None:
    job = start(app, 300)
    until(lambda: state(app, job).done >= 1)
    job_services.delete_job(app, job)
    until(lambda: not app.runner.holds(job))
    assert job_services.get_job(app, job) is None
    assert queries.count_documents(app.database) == 300


def test_imports_left_open_by_a_killed_process_are_closed_at_the_next_start(
    app: Application, settings: Settings
) -> None:
    run = app.store.start_run(
        task="ner", schema_id=None, schema=NER, model="m", revision="", dtype="", device="", threshold=0.5, total=3
    )
    again = build(settings)
    try:
        closed = state(again, run)
        assert closed.state == "failed" and closed.error is not None and "退出" in closed.error
        with pytest.raises(StorageError, match="没有剩下"):
            job_services.resume_job(again, run)
    finally:
        again.close()


def test_a_long_document_tells_which_of_its_windows_is_read_and_a_cancel_ends_it_between_two(app: Application) -> None:
    text = SENTENCE * 2000
    app.engine.limits = replace(app.engine.limits, max_length=64)
    job = job_services.start_job(app, [Document(text)], task="ner", schema=NER)
    seen: list[Reading] = []

    def read_some() -> bool:
        reading = job_services.reading(app, state(app, job))
        seen.extend([reading] if reading is not None else [])
        return bool(seen) and seen[-1].done > 100

    until(read_some)
    assert {(one.documents, one.step) for one in seen} == {(1, 1)}
    assert len({one.asked for one in seen}) == 1 and seen[0].asked > 1000
    assert [one.done for one in seen] == sorted(one.done for one in seen)
    assert seen[-1].left_s is not None and seen[-1].left_s > 0
    asked = time.monotonic()
    job_services.cancel_job(app, job)
    until(app.runner.idle)
    assert time.monotonic() - asked < 5
    assert state(app, job).state == "cancelled"
    until(lambda: app.engine.scheduler.waiting_tokens == 0)
    assert job_services.reading(app, state(app, job)) is None
