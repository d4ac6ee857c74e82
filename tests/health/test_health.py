"""Readiness, numbers and log of a desk that serves, over real HTTP and with a real (small) network."""

from __future__ import annotations

import json
import logging
import stat
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core import bootstrap, services
from core.config import Settings
from core.health.server import start_health
from core.job_services import submit_job, wait_for_jobs
from core.services import Application
from core.telemetry import logs
from core.telemetry.logs import log, log_error, start_logging, take_over, told_with
from core.types import Document

MARKER = "机密标记七四一"
PATIENCE_S = 60.0


@pytest.fixture
def served(settings: Settings, checkpoint_dir: Path) -> Iterator[Application]:
    """A desk that loads its model ahead and answers probes on a port that the system chose."""
    chosen = settings.model_copy(
        update={"preload": True, "health_port": 0, "log_file": str(settings.data_dir / "logs" / "desk.log")}
    )
    app = bootstrap.serve(chosen)
    yield app
    app.close()
    start_logging("INFO")


@pytest.fixture
def port(served: Application, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    served.settings = served.settings.model_copy(update={"health_port": free_port()})
    server = start_health(served, None)
    assert server is not None
    yield server.port
    server.close()


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int, path: str, accept: str = "") -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept": accept})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def numbers(port: int) -> dict[tuple[str, str], float]:
    status, text = ask(port, "/metrics")
    assert status == 200
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def lines(app: Application) -> list[dict]:
    return [json.loads(line) for line in Path(app.settings.log_file).read_text("utf-8").splitlines()]


def until_loaded(app: Application) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not services.model_status(app).loaded:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_probes_and_numbers_follow_what_the_desk_does_and_the_log_holds_no_text(served: Application, port: int) -> None:
    until_loaded(served)
    assert ask(port, "/healthz")[0] == 200 and ask(port, "/nowhere")[0] == 404
    status, said = ask(port, "/readyz")
    assert status == 200 and json.loads(said)["model"] == "loaded"

    before = numbers(port)
    assert before["rex_ready", ""] == before["rex_model_loaded", ""] == 1
    assert before["rex_memory_rss_bytes", ""] > 2**20 and before["process_open_fds", ""] > 0
    assert ("rex_engine_events_total", "oom") in before and ("rex_engine_events_total", "restart") in before

    documents = [Document(f"{MARKER}，第{n}篇。", id=f"{MARKER}-{n}", name=f"{MARKER}.txt") for n in range(12)]
    services.annotate(served, documents[:1], task="ner", schema={MARKER: None})
    job = submit_job(served, documents, task="ner", schema={"人物": None}, schema_name=MARKER)
    assert wait_for_jobs(served, [job], PATIENCE_S)
    after = numbers(port)

    def grown(name: str, label: str = "") -> float:
        return after[name, label] - before.get((name, label), 0.0)

    assert grown("rex_requests_total", "interactive,ok") == 1 and grown("rex_requests_total", "background,ok") >= 1
    assert grown("rex_request_seconds_count", "interactive") == 1
    assert grown("rex_documents_total", "ok") == 13
    assert grown("rex_tokens_total") > 0 and grown("rex_batches_total") >= 2
    assert after["rex_jobs", "done"] == 1 and after["rex_queue_tokens", ""] == 0

    with pytest.raises(Exception, match="."):
        services.annotate(served, documents[:1], task="ner", schema={MARKER: {MARKER: 3}})
    logging.getLogger("some.library").warning("could not read %s", MARKER)
    try:
        raise ValueError(MARKER)
    except ValueError as error:
        log_error("test", error)
        logging.getLogger("some.library").exception("failed with %s", MARKER)

    written = lines(served)
    text = Path(served.settings.log_file).read_text("utf-8")
    assert MARKER not in text
    events = [one["event"] for one in written]
    assert {"start", "model.ready", "jobs.begin", "jobs.end", "request", "test"} <= set(events)
    assert "failed with %s" in events and "could not read %s" in events
    (failed,) = [one for one in written if one["event"] == "failed with %s"]
    assert failed["error"] == "ValueError" and any("test_health.py" in place for place in failed["where"])
    (read,) = [one for one in written if one["event"] == "request" and one.get("jobs") == [job]]
    (begun,) = [one for one in written if one["event"] == "jobs.begin" and one.get("jobs") == [job]]
    assert read["request"] == begun["request"] and read["documents"] == 12 and read["outcome"] == "ok"
    assert all({"timestamp", "level", "event"} <= one.keys() for one in written)
    assert stat.S_IMODE(Path(served.settings.log_file).stat().st_mode) == 0o600


def test_openmetrics_is_one_document_too(served: Application, port: int) -> None:
    status, text = ask(port, "/metrics", "application/openmetrics-text; version=1.0.0")
    assert status == 200 and text.count("# EOF") == 1 and text.endswith("# EOF\n")


def test_a_model_that_cannot_be_loaded_leaves_the_desk_alive_and_not_ready(settings: Settings) -> None:
    chosen = settings.model_copy(update={"preload": True, "model": "/no/such/model", "health_port": free_port()})
    app = bootstrap.serve(chosen)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            status, said = ask(chosen.health_port, "/readyz")
            assert status == 503
            if json.loads(said)["model"] == "failed":
                break
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert "/no/such/model" in json.loads(said)["reason"]
        assert ask(chosen.health_port, "/healthz")[0] == 200 and numbers(chosen.health_port)["rex_ready", ""] == 0
    finally:
        app.close()
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{chosen.health_port}/healthz", timeout=5)


def test_without_preloading_an_unused_model_does_not_stand_in_the_way(settings: Settings) -> None:
    number = free_port()
    first = bootstrap.serve(settings.model_copy(update={"health_port": number}))
    second = bootstrap.serve(settings.model_copy(update={"health_port": number}))  # the port is taken: it serves on
    try:
        status, said = ask(number, "/readyz")
        assert status == 200 and json.loads(said)["model"] == "waiting"
    finally:
        second.close()
        first.close()


def test_the_log_is_turned_over_and_fields_that_are_not_known_stay_out(tmp_path: Path) -> None:
    file = tmp_path / "desk.log"
    start_logging("INFO", str(file), turn_over_bytes=2000, keep_files=2)
    try:
        with told_with(jobs=[7]):
            for number in range(60):
                log("request", documents=number, text=MARKER)
        log("quiet", level="debug")
    finally:
        start_logging("INFO")
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["desk.log", "desk.log.1", "desk.log.2"]
    last = json.loads(file.read_text("utf-8").splitlines()[-1])
    assert last["left_out"] == ["text"] and last["jobs"] == [7] and last["documents"] == 59
    assert all(path.stat().st_size <= 2000 and MARKER not in path.read_text("utf-8") for path in tmp_path.iterdir())


def test_a_library_with_handlers_of_its_own_is_taken_over(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    logger = logging.getLogger("chatty.part")
    logger.propagate = False
    logger.addHandler(logging.StreamHandler(sys.stdout))
    start_logging("INFO", str(tmp_path / "desk.log"))
    try:
        take_over("chatty")
        try:
            raise ValueError(MARKER)
        except ValueError as error:
            logger.error("uncaught", exc_info=error)
    finally:
        start_logging("INFO")
    assert MARKER not in capsys.readouterr().out
    assert json.loads((tmp_path / "desk.log").read_text("utf-8"))["error"] == "ValueError"


def test_a_log_that_cannot_be_written_is_told_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(logs.StorageError, match="REX_LOG_FILE"):
        start_logging("INFO", str(tmp_path / "file" / "desk.log"))
