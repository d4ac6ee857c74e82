"""On a Ray cluster of this machine, with several actors: what is killed loses and doubles nothing."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from streamlit.testing.v1 import AppTest

from core import batch_services, bootstrap
from core.cluster.batch import Batch, run_batch
from core.cluster.output import read_manifest, read_progress
from core.cluster.ray_batch import on_ray
from core.config import ROOT, Settings
from core.errors import InputError
from core.job_services import wait_for_jobs
from core.storage import queries
from streamlit_app.resources import application

HERE = importlib.util.find_spec("ray") is not None
NEEDS_RAY = pytest.mark.skipif(not HERE, reason="Ray is not installed: pip install -r requirements-ray.txt")
SCHEMA = {"人物": None, "地理位置": None}
DOCUMENTS, PART, WAIT_S = 600, 20, 600


def test_without_ray_it_says_how_to_add_it(batch: Batch, tiny: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.cluster.ray_start.available", lambda: False)
    with pytest.raises(InputError, match="pip install -r requirements-ray.txt"):
        run_batch(batch, tiny, work=on_ray("local"))
    assert run_batch(batch, tiny).state == "done"  # here it goes on, in the same folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Documents that take a while."""
    folder = tmp_path / "many"
    folder.mkdir()
    rows = [
        json.dumps({"id": f"k{n}", "text": f"{n}：刘志诚在广州市会见陈静。" * 10}, ensure_ascii=False)
        for n in range(DOCUMENTS)
    ]
    (folder / "rows.jsonl").write_text("\n".join(rows), "utf-8")
    return folder


def command_for(many: Path, output: Path) -> list[str]:
    command = [sys.executable, "-m", "core", "batch", "--input", str(many), "--output", str(output), "--task", "ner"]
    command += ["--schema", json.dumps(SCHEMA), "--part-documents", str(PART), "--ray", "local", "--actors", "2"]
    return [*command, "--json"]


@contextmanager
def started(command: list[str], tiny: Settings) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "REX_MODEL": tiny.model, "REX_CPU_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def wait_for(condition: Callable[[], Any], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition(), process.communicate()[1] if process.poll() is not None else "too slow"


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, errors
    result: dict[str, Any] = json.loads(output[output.index("{") :])
    return result


def check_whole(output: Path) -> None:
    """Every document once, whole parts only, offsets exact."""
    rows = [json.loads(line) for path in output.glob("part-*") for line in path.read_text("utf-8").splitlines()]
    assert Counter(row["id"] for row in rows) == Counter({f"k{n}": 1 for n in range(DOCUMENTS)})
    assert all(row["text"][one["start"] : one["end"]] == one["text"] for row in rows for one in row["annotations"])
    assert not [row for row in rows if row.get("error")]
    kept = read_manifest(output)
    assert Counter(one for record in kept for one in record.ids) == Counter(row["id"] for row in rows)


@NEEDS_RAY
@pytest.mark.slow
def test_a_killed_actor_loses_and_doubles_nothing(many: Path, tiny: Settings, tmp_path: Path) -> None:
    output = tmp_path / "out"
    with started(command_for(many, output), tiny) as process:
        wait_for(lambda: len(read_manifest(output)) >= 2, process)
        victim = int(read_manifest(output)[-1].made_by["process"].rpartition("/")[2])
        os.kill(victim, signal.SIGKILL)
        result = ended(process)
    assert result["done"] == DOCUMENTS
    pids = {record.made_by["process"] for record in read_manifest(output)}
    assert len(pids) >= 2
    check_whole(output)


@NEEDS_RAY
@pytest.mark.slow
def test_a_killed_driver_goes_on_where_it_was(many: Path, tiny: Settings, tmp_path: Path) -> None:
    output = tmp_path / "out"
    with started(command_for(many, output), tiny) as process:
        wait_for(lambda: len(read_manifest(output)) >= 3, process)
        process.kill()
        process.wait()
    kept = len(read_manifest(output))
    assert 3 <= kept < DOCUMENTS / PART
    with started(command_for(many, output), tiny) as process:
        result = ended(process)
    assert result["resumed"] >= 3 * PART and result["done"] == DOCUMENTS
    check_whole(output)


@NEEDS_RAY
@pytest.mark.slow
def test_a_stopped_driver_says_so_and_leaves_no_actor(many: Path, tiny: Settings, tmp_path: Path) -> None:
    output = tmp_path / "out"
    with started(command_for(many, output), tiny) as process:
        wait_for(lambda: len(read_manifest(output)) >= 1, process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130
    assert read_progress(output)["state"] == "cancelled"
    pids = {int(record.made_by["process"].rpartition("/")[2]) for record in read_manifest(output)}
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and any(Path(f"/proc/{pid}").exists() for pid in pids):
        time.sleep(0.2)
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


@NEEDS_RAY
@pytest.mark.slow
def test_ray_serve_answers_a_desk_survives_a_killed_replica_and_ends_with_all_its_processes(
    tiny: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    command = [sys.executable, "-m", "core", "serve", "--ray", "local", "--actors", "2", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    texts = [f"{n}：刘志诚在广州市。" for n in range(800)]
    ask = {"task": "ner", "schema": SCHEMA, "documents": texts, "threshold": 0.2}

    def call(path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def post(body: dict[str, Any]) -> tuple[int, Any]:
        return call("/v1/annotate", body)

    def ready() -> bool:
        try:
            return bool(call("/readyz")[1].get("ready"))
        except (OSError, ValueError):
            return False

    with started(command, tiny) as process:
        wait_for(ready, process)
        engines: list[dict[str, Any]] = []
        for asked in range(1, 21):  # Ray deals stretches out by chance: after some requests both have read
            status, found = post(ask)
            assert status == 200 and len(found["results"]) == len(texts)
            for text, result in zip(texts, found["results"], strict=True):
                assert all(text[one["start"] : one["end"]] == one["text"] for one in result["annotations"])
            engines = call("/v1/load")[1]["engines"]
            assert sum(one["documents"] for one in engines) == asked * len(texts)
            if len(engines) == 2:
                break
        assert len(engines) == 2
        for one in engines:  # batches hold a counted number of tokens, 1,024 on the CPU, over many documents
            assert one["tokens"] / 1024 <= one["batches"] < one["documents"] / 4
        assert post({**ask, "schema": {}})[0] == 422
        a_desk_that_uses_it(url, monkeypatch, tmp_path)
        replicas = [pid for pid in replica_pids() if pid]
        assert len(replicas) >= 2
        os.kill(replicas[0], signal.SIGKILL)
        deadline = time.monotonic() + WAIT_S
        while (status := post({**ask, "threshold": 0.3})[0]) != 200 and time.monotonic() < deadline:
            assert status == 503
            time.sleep(0.5)
        assert status == 200
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) > 4
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        _, alive = psutil.wait_procs(family, timeout=30)
        assert not alive and time.monotonic() - began < 60


def a_desk_that_uses_it(url: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """The page of entities over the application of a desk whose engine is there."""
    for name, value in {"REX_ENGINE_URL": url, "REX_DATA_DIR": str(folder / "desk"), "REX_THRESHOLD": "0.9"}.items():
        monkeypatch.setenv(name, value)
    application.clear()
    try:
        page = AppTest.from_file(str(ROOT / "streamlit_app" / "app.py"), default_timeout=120).run()
        page.switch_page("../pages/entities.py").run()
        page.text_area(key="ner-text").set_value("刘志诚在广州市会见了陈静。").run()
        page.button(key="ner-run").click().run()
        job = page.session_state["ner-job"]
        app = application()
        assert wait_for_jobs(app, [job], 120) and not page.run().exception
        done = queries.get_run(app.database, job)
        assert (done.state, done.done, done.failed, done.source) == ("done", 1, 0, url)
        assert app.loaded_engine is None  # no model in the desk's own process
    finally:
        application.clear()


@NEEDS_RAY
@pytest.mark.slow
def test_the_page_gives_a_batch_to_a_running_cluster_and_follows_it(
    tiny: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    for name, value in {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "of-this-test-alone"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("REX_CPU_THREADS", "1")
    head = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--num-cpus=2", f"--port={port}"]
    scratch = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # a path of a test is too long for its sockets
    head += ["--include-dashboard=false", f"--temp-dir={scratch}"]
    cluster = subprocess.Popen(head, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    application.clear()
    desk = bootstrap.build(tiny)
    try:
        folder = batch_services.batch_folder(desk)
        rows = [json.dumps({"id": f"d{n}", "text": f"{n}：刘志诚在广州市。"}, ensure_ascii=False) for n in range(90)]
        (folder / "投诉.jsonl").write_text("\n".join(rows), "utf-8")
        wait_for_port(port, cluster)
        page = AppTest.from_function(draw_batches, default_timeout=120).run()
        page.get_by_key("batch-ray").set_value("auto").run()
        page.text_input(key="batch-address").set_value("kein Ort").run()
        page.button(key="batch-start").click().run()
        assert "无效" in page.error[0].value and not batch_services.list_batches(desk)
        page.text_input(key="batch-address").set_value(f"127.0.0.1:{port}")
        page.number_input(key="batch-actors").set_value(2)
        page.button(key="batch-start").click().run()
        assert not page.exception and not page.error
        (batch,) = batch_services.list_batches(desk)
        ended = batch_services.wait_for_batch(desk, batch.id, WAIT_S)
        assert (ended.state, ended.progress["done"], ended.error) == ("done", 90, "")
        page.run()
        assert any(f"127.0.0.1:{port}" in one.value.replace("\\", "") for one in page.caption)
        found = [json.loads(line) for path in (folder / ended.output).glob("part-*") for line in path.open("rb")]
        assert Counter(row["id"] for row in found) == Counter({f"d{n}": 1 for n in range(90)})
    finally:
        desk.close()
        application.clear()
        family = psutil.Process(cluster.pid).children(recursive=True)
        cluster.send_signal(signal.SIGTERM)
        cluster.wait(60)
        for process in psutil.wait_procs(family, timeout=20)[1]:
            process.kill()
        shutil.rmtree(scratch, ignore_errors=True)


def draw_batches() -> None:
    from streamlit_app.components.batch_jobs import batch_jobs
    from streamlit_app.resources import application

    batch_jobs(application())


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + WAIT_S
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the cluster did not start")


def replica_pids() -> list[int]:
    """The processes that call themselves a replica of ours."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"ServeReplica:rex:replica" in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found
