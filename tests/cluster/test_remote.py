"""A desk whose engine is elsewhere: the same answers, plain words when it is away, and jobs that wait for it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from pydantic import SecretStr

from core import bootstrap, job_services, services
from core.bootstrap import Application
from core.cluster.http import make_app
from core.cluster.remote import RemoteEngine
from core.cluster.serve import LocalBackend
from core.config import Settings
from core.errors import Cancelled, DeviceError, EngineAwayError, InputError, SchemaError
from core.inference.assembly import load_engine
from core.storage import queries
from core.types import Document, Span

SCHEMA = {"人物": None, "地理位置": None}
TOKEN = "ein langes Geheimnis"


@pytest.fixture(scope="module")
def backend(checkpoint_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBackend]:
    """One engine for all tests of this file."""
    settings = Settings(
        _env_file=None, model=str(checkpoint_dir), device="cpu", cpu_threads=1, data_dir=tmp_path_factory.mktemp("data")
    )
    backend = LocalBackend(settings)
    while backend._model is None:
        assert backend._problem is None
        time.sleep(0.02)
    yield backend
    backend.close()


class Broken:
    """A backend before a line that breaks: the first answers never arrive."""

    def __init__(self, backend: LocalBackend) -> None:
        self.model, self.check, self._annotate = backend.model, backend.check, backend.annotate
        self.asked: list[int] = []

    async def annotate(self, ask: Any) -> Any:
        self.asked.append(len(ask.documents))
        return await self._annotate(ask)


@contextmanager
def serving(app: Any, port: int = 0) -> Iterator[int]:
    """Yield the port of a real server on this machine."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def desk(settings: Settings, port: int, token: str = TOKEN) -> Application:
    update = {"engine_url": f"http://127.0.0.1:{port}", "engine_token": SecretStr(token)}
    return bootstrap.build(settings.model_copy(update=update))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def texts(count: int) -> list[Document]:
    return [Document(f"😀第{n}条：刘志诚在广州市会见了陈静。", id=str(n), metadata={"n": str(n)}) for n in range(count)]


def test_answers_are_those_of_an_engine_in_this_process(backend: LocalBackend, settings: Settings) -> None:
    documents = texts(150)
    marked = Document(
        "小王把伞借给了小李，因为他没带伞。", candidates=(Span(0, 2, "小王"),), pronouns=(Span(12, 13, "他"),)
    )
    own = load_engine(backend._settings)
    with serving(make_app(backend, token=TOKEN)) as port:
        app = desk(settings, port)
        try:
            for some, task, schema in ((documents, "ner", SCHEMA), ([marked], "coref", None)):
                found = services.annotate(app, some, task=task, schema=schema, threshold=0.2, floor=0.1)
                items = services.make_items(some, task=task, schema=schema)
                wanted = dict(own.annotate(items, threshold=0.2, floor=0.1))
                for place, result in enumerate(found):
                    assert result.document is some[place]
                    assert replace(
                        result, document=wanted[place].document, annotations=(), paths=(), candidates=()
                    ) == (replace(wanted[place], annotations=(), paths=(), candidates=()))
                    for mine, theirs in zip(result.annotations, wanted[place].annotations, strict=True):
                        assert (mine.type, mine.start, mine.end, mine.text) == (
                            theirs.type,
                            theirs.start,
                            theirs.end,
                            theirs.text,
                        )
                        assert mine.score == pytest.approx(theirs.score, abs=1e-5)
            assert app.loaded_engine is None
            status = services.model_status(app)
            assert status.loaded and status.worker == "remote" and f":{port}" in str(status.device)
        finally:
            app.close()
            own.close()


def test_a_job_waits_while_the_engine_is_away_and_goes_on_when_it_is_back(
    backend: LocalBackend, settings: Settings
) -> None:
    port = free_port()
    app = desk(settings, port)
    try:
        with pytest.raises(EngineAwayError, match=f"http://127.0.0.1:{port} 没有回应"):
            job_services.start_job(app, texts(2), task="ner", schema=SCHEMA)
        job = job_services.submit_job(app, texts(120), task="ner", schema=SCHEMA, threshold=0.2)
        app.runner.start()
        assert not job_services.wait_for_jobs(app, [job], 2.5)
        assert queries.get_run(app.database, job).state == "queued" and app.engine_away
        assert not services.model_status(app).loaded
        with serving(make_app(backend, token=TOKEN), port):
            assert job_services.wait_for_jobs(app, [job], 60)
        done = queries.get_run(app.database, job)
        assert (done.state, done.done, done.failed) == ("done", 120, 0) and done.model == backend._model.name
        assert done.source == f"http://127.0.0.1:{port}"
    finally:
        app.close()


def test_a_job_in_the_middle_goes_back_into_the_queue_when_the_engine_leaves(
    backend: LocalBackend, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.cluster.remote.PATIENCE_S", 0.5)
    broken = Broken(backend)
    app = None
    try:
        with serving(make_app(broken, token=TOKEN)) as port:
            app = desk(settings, port)
            job = job_services.submit_job(app, texts(900), task="ner", schema=SCHEMA, threshold=0.2)
            app.runner.start()
            deadline = time.monotonic() + 30
            while not queries.get_run(app.database, job).done and time.monotonic() < deadline:
                time.sleep(0.02)
        deadline = time.monotonic() + 30
        while queries.get_run(app.database, job).state != "queued" and time.monotonic() < deadline:
            time.sleep(0.05)
        stopped = queries.get_run(app.database, job)
        assert stopped.state == "queued" and 0 < stopped.done < 900 and not stopped.error
        with serving(make_app(backend, token=TOKEN), port):
            assert job_services.wait_for_jobs(app, [job], 120)
        done = queries.get_run(app.database, job)
        assert (done.state, done.done, done.failed) == ("done", 900, 0)
    finally:
        if app is not None:
            app.close()


def test_errors_of_the_engine_are_raised_here_as_they_were_there(backend: LocalBackend, settings: Settings) -> None:
    with serving(make_app(backend, token=TOKEN)) as port:
        app = desk(settings, port)
        wrong = desk(settings, port, "falsch")
        try:
            with pytest.raises(SchemaError):
                services.annotate(app, texts(1), task="ner", schema={"字" * 600: None})
            with pytest.raises(SchemaError):
                job_services.submit_job(app, texts(1), task="ner", schema={"字" * 600: None})
            with pytest.raises(InputError, match="REX_ENGINE_TOKEN"):
                services.annotate(wrong, texts(1), task="ner", schema=SCHEMA)
            (result,) = services.annotate(app, [Document(" ", id="leer")], task="ner", schema=SCHEMA)
            assert result.error and not result.annotations
            with pytest.raises(InputError, match="REX_ENGINE_URL"):
                services.reload_model(app)
            with pytest.raises(Cancelled):
                list(
                    app.reader.annotate(
                        services.make_items(texts(500), task="ner", schema=SCHEMA), cancelled=lambda: True
                    )
                )
        finally:
            app.close()
            wrong.close()


def test_something_else_at_the_address_is_told_from_an_engine() -> None:
    async def page(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"<html>"})

    with serving(page) as port, pytest.raises(DeviceError, match="不是引擎的"):
        RemoteEngine(f"http://127.0.0.1:{port}").model()


@pytest.mark.parametrize("url", ["ftp://a", "host:80", "http://", "http://a b", "http://user:x@host", "http://h/?q=1"])
def test_an_address_that_cannot_be_called_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="REX_ENGINE_URL"):
        Settings(_env_file=None, engine_url=url)
    assert Settings(_env_file=None, engine_url="http://host:80/x/").engine_url == "http://host:80/x"


def test_jobs_name_the_address_and_another_model_is_read_here(settings: Settings) -> None:
    remote = settings.model_copy(update={"engine_url": "http://gpu:8600"})
    assert remote.model_source == "http://gpu:8600"
    assert remote.with_model(settings.model_source).model_source == settings.model_source
    assert settings.with_model("http://gpu:8600").model_source == "http://gpu:8600"
