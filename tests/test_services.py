"""The services on a real application: stored runs, cancelling, restarting, exporting."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from core import services
from core.bootstrap import build
from core.config import Settings
from core.errors import InputError, SchemaError
from core.services import Application
from core.storage import queries
from core.types import AnnotatedDocument, Document, Span

SENTENCE = "小说家陈静1972年3月出生于杭州，毕业于浙江大学，丈夫是画家林涛。"
NER = {"人物": None, "地理位置": None, "组织机构": None}
WAIT_S = 60


@pytest.fixture
def app(settings: Settings, checkpoint_dir: Path) -> Iterator[Application]:
    application = build(settings.model_copy(update={"model": str(checkpoint_dir)}))
    yield application
    application.close()


def _documents(count: int) -> list[Document]:
    return [Document(f"{number}。{SENTENCE}", id=f"d{number}") for number in range(count)]


def test_the_model_is_not_loaded_before_its_first_use(app: Application, checkpoint_dir: Path) -> None:
    before = services.model_status(app)
    assert (before.loaded, before.name, before.device) == (False, checkpoint_dir.name, None)
    services.annotate(app, [Document(SENTENCE)], task="ner", schema=NER)
    after = services.model_status(app)
    assert (after.loaded, after.device, after.dtype, after.revision) == (True, "cpu", "float32", "local")
    assert after.parameters is not None
    assert after.parameters > 100_000


def test_documents_are_annotated_in_the_order_given(app: Application) -> None:
    documents = [Document(SENTENCE * 5), Document(" "), Document(SENTENCE)]
    results = services.annotate(app, documents, task="ner", schema=json.dumps(NER))
    assert [result.document for result in results] == documents
    assert [bool(result.error) for result in results] == [False, True, False]
    assert ("人物", "陈静") in {(one.type, one.text) for one in results[2].annotations}


def test_a_job_stores_its_run_with_device_dtype_schema_and_every_document(app: Application) -> None:
    documents = [*_documents(4), Document("  ", id="blank")]
    job = services.start_job(app, documents, task="ner", schema=NER, schema_name="三类", threshold=0.4)
    assert job.wait(WAIT_S)
    assert (job.state, job.error, job.done) == ("done", None, 5)
    (run_id,) = job.run_ids
    run = queries.get_run(app.database, run_id)
    assert (run.state, run.task, run.total, run.done) == ("done", "ner", 5, 5)
    assert (run.device, run.dtype, run.revision) == ("cpu", "float32", "local")
    assert run.model == services.model_status(app).name
    assert (run.threshold, dict(run.schema), run.schema_name) == (0.4, NER, "三类")
    assert run.finished_at is not None
    stored = services.load_run(app, run_id)
    assert [result.document.id for result in stored] == ["d0", "d1", "d2", "d3", "blank"]
    assert [_essence(one) for one in stored] == [_essence(one) for one in job.results]
    assert "没有文字" in stored[-1].error
    assert services.get_job(app, job.id) is job


def _essence(result: AnnotatedDocument) -> object:
    spans = [(one.type, one.start, one.end, one.text, round(one.score, 6)) for one in result.annotations]
    return result.document.text, spans, result.windows, result.notes, result.error


@contextmanager
def _paused(app: Application) -> Iterator[None]:
    """The model rests: nothing goes on before the block has ended."""
    resting, over = threading.Event(), threading.Event()

    def rest() -> None:
        resting.set()
        over.wait(WAIT_S)

    thread = threading.Thread(target=app.engine.scheduler.between, args=(rest,))
    thread.start()
    assert resting.wait(WAIT_S)
    try:
        yield
    finally:
        over.set()
        thread.join(WAIT_S)


def test_a_cancelled_job_keeps_and_stores_what_was_finished(app: Application) -> None:
    job = services.start_job(app, _documents(400), task="ner", schema=NER)
    deadline = time.monotonic() + WAIT_S
    while job.done < 3 and time.monotonic() < deadline:
        time.sleep(0.002)
    with _paused(app):  # the job cannot go on before it was told to stop
        job.cancel()
    assert job.wait(WAIT_S)
    assert job.state == "cancelled"
    assert 3 <= job.done < 400
    run = queries.get_run(app.database, job.run_ids[0])
    assert (run.state, run.total, run.done) == ("cancelled", 400, job.done)
    stored = services.load_run(app, job.run_ids[0])
    assert [_essence(one) for one in stored] == [_essence(one) for one in job.results]


def test_results_are_stored_while_the_job_still_runs(app: Application) -> None:
    services.annotate(app, [Document(SENTENCE)], task="ner", schema=NER)
    job = services.start_job(app, _documents(200), task="ner", schema=NER)
    deadline = time.monotonic() + WAIT_S
    while job.done < 2 and time.monotonic() < deadline:
        time.sleep(0.002)
    with _paused(app):
        stored = len(services.load_run(app, job.run_ids[0]))
        assert queries.get_run(app.database, job.run_ids[0]).state == "running"
        job.cancel()
    assert 2 <= stored < 200
    assert job.wait(WAIT_S)


def test_runs_left_open_by_a_killed_process_are_closed_at_the_next_start(app: Application, settings: Settings) -> None:
    run_id = app.store.start_run(
        task="ner",
        schema_id=None,
        schema=NER,
        model="m",
        revision="",
        dtype="float32",
        device="cpu",
        threshold=0.5,
        total=3,
    )
    assert queries.get_run(app.database, run_id).state == "running"
    again = build(settings)
    try:
        run = queries.get_run(again.database, run_id)
        assert run.state == "failed"
        assert run.error is not None
        assert "退出" in run.error
        assert run.finished_at is not None
    finally:
        again.close()


def test_a_failed_job_says_why_in_the_stored_run(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **options: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(app.engine.scheduler.owner, "finish", broken)
    job = services.start_job(app, _documents(2), task="ner", schema=NER)
    assert job.wait(WAIT_S)
    assert job.state == "failed"
    assert job.error == "RuntimeError: broken"
    run = queries.get_run(app.database, job.run_ids[0])
    assert (run.state, run.error, run.done) == ("failed", "RuntimeError: broken", 0)


def test_what_cannot_be_asked_is_refused_before_a_job_starts(app: Application) -> None:
    with pytest.raises(SchemaError, match="需要模式"):
        services.start_job(app, _documents(1), task="ner")
    with pytest.raises(SchemaError, match="太长"):
        services.start_job(app, _documents(1), task="ner", schema=["长" * 400])
    with pytest.raises(InputError, match="没有可分析的文档"):
        services.start_job(app, [], task="ner", schema=NER)
    assert queries.count_runs(app.database) == 0


def test_an_overview_reads_one_document_with_several_tasks_and_stores_a_run_for_each(app: Application) -> None:
    schemas = {"sentiment": None, "ner": NER}
    job = services.start_overview(app, Document(SENTENCE), schemas=schemas)
    assert job.wait(WAIT_S)
    assert job.error is None
    assert [result.task for result in job.results] == ["sentiment", "ner"]
    tasks = [queries.get_run(app.database, run_id).task for run_id in job.run_ids]
    assert tasks == ["sentiment", "ner"]
    for run_id, result in zip(job.run_ids, job.results, strict=True):
        assert [_essence(one) for one in services.load_run(app, run_id)] == [_essence(result)]


def test_the_inputs_of_a_document_come_back_from_a_stored_run(app: Application) -> None:
    document = Document(
        "小红说她累",
        id="c",
        candidates=(Span(0, 2, "小红"),),
        pronouns=(Span(3, 4, "她"),),
        metadata={"来源": "测试"},
    )
    job = services.start_job(app, [document], task="coref")
    assert job.wait(WAIT_S)
    assert [one.document for one in services.load_run(app, job.run_ids[0])] == [document]


@pytest.mark.parametrize("format", ["csv", "jsonl", "rex"])
def test_results_are_exported_with_what_was_found(app: Application, format: str) -> None:
    results = services.annotate(app, [Document(SENTENCE, id="d1")], task="ner", schema=NER)
    file = services.export(results, format)
    assert "陈静" in file.data.decode("utf-8-sig")


def test_a_file_is_imported_as_documents(app: Application) -> None:
    report = services.import_file(app, "a.jsonl", '{"text": "甲"}\n{"text": "乙"}\n'.encode())
    assert [document.text for document in report.documents] == ["甲", "乙"]


def test_a_saved_schema_gets_a_new_version_only_when_it_changed(app: Application) -> None:
    first = services.save_schema(app, "人物", task="ner", schema=["人物"])
    assert services.save_schema(app, "人物", task="ner", schema={"人物": None}) == first
    assert services.save_schema(app, "人物", task="ner", schema=["人物", "时间"]) != first
    assert [one.version for one in queries.schema_versions(app.database, "人物")] == [2, 1]


def test_flushing_memory_leaves_the_model_usable(app: Application) -> None:
    before = services.annotate(app, [Document(SENTENCE)], task="ner", schema=NER)
    services.flush_memory(app)
    after = services.annotate(app, [Document(SENTENCE)], task="ner", schema=NER)
    assert [_essence(one) for one in before] == [_essence(one) for one in after]


def test_an_unloaded_model_comes_back_with_its_next_use(app: Application) -> None:
    before = services.annotate(app, [Document(SENTENCE)], task="ner", schema=NER)
    assert services.model_status(app).tenant is not None
    services.unload_model(app)
    status = services.model_status(app)
    assert (status.loaded, status.tenant) == (False, None)
    after = services.annotate(app, [Document(SENTENCE)], task="ner", schema=NER)
    assert [_essence(one) for one in before] == [_essence(one) for one in after]
    assert services.reload_model(app).loaded
    kinds = [event.kind for event in app.monitor.events()]
    assert kinds == ["model", "unload", "model", "unload", "model"]


def test_a_flush_before_the_first_use_loads_no_model(app: Application) -> None:
    assert services.flush_memory(app).before.rss_bytes
    services.unload_model(app)
    assert not services.model_status(app).loaded


def test_a_short_request_is_answered_while_a_long_job_runs(app: Application) -> None:
    services.annotate(app, [Document(SENTENCE)], task="ner", schema=NER)
    job = services.start_job(app, _documents(600), task="ner", schema=NER)
    (result,) = services.annotate(app, [Document(SENTENCE)], task="ner", schema=NER)
    assert not result.error
    assert job.state == "running"
    job.cancel()
    assert job.wait(WAIT_S)


def test_the_model_may_have_a_process_of_its_own(settings: Settings, checkpoint_dir: Path) -> None:
    application = build(settings.model_copy(update={"model": str(checkpoint_dir), "worker": "process"}))
    try:
        results = services.annotate(application, [Document(SENTENCE)], task="ner", schema=NER)
        assert ("人物", "陈静") in {(one.type, one.text) for one in results[0].annotations}
        status = services.model_status(application)
        assert status.worker == "process"
        assert status.pid is not None and psutil.pid_exists(status.pid)
        assert services.flush_memory(application).before.rss_bytes
        services.unload_model(application)
        assert not services.model_status(application).loaded
        assert not psutil.pid_exists(status.pid)
    finally:
        application.close()
