"""The services on a real application: annotating, importing, exporting, memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core import services
from core.bootstrap import build
from core.config import Settings
from core.services import Application
from core.storage import queries
from core.types import AnnotatedDocument, Document

SENTENCE = "小说家陈静1972年3月出生于杭州，毕业于浙江大学，丈夫是画家林涛。"
NER = {"人物": None, "地理位置": None, "组织机构": None}


@pytest.fixture
def app(settings: Settings, checkpoint_dir: Path) -> Iterator[Application]:
    application = build(settings.model_copy(update={"model": str(checkpoint_dir)}))
    yield application
    application.close()


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


def _essence(result: AnnotatedDocument) -> object:
    spans = [(one.type, one.start, one.end, one.text, round(one.score, 6)) for one in result.annotations]
    return result.document.text, spans, result.windows, result.notes, result.error


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
