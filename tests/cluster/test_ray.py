"""On a Ray cluster of this machine, with several actors: what is killed loses and doubles nothing."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.cluster.batch import Batch, run_batch
from core.cluster.output import read_manifest, read_progress
from core.cluster.ray_batch import on_ray
from core.config import Settings
from core.errors import InputError

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
def test_ray_serve_answers_as_one_process_does_and_survives_a_killed_replica(tiny: Settings) -> None:
    port = free_port()
    command = [sys.executable, "-m", "core", "serve", "--ray", "local", "--actors", "2", "--port", str(port)]
    ask = {
        "task": "ner",
        "schema": SCHEMA,
        "documents": [f"{n}：刘志诚在广州市。" * 60 for n in range(40)],
        "threshold": 0.2,
    }

    def post(body: dict[str, Any]) -> tuple[int, Any]:
        data = json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/annotate", data, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                return bool(json.load(answer)["ready"])
        except OSError:
            return False

    with started(command, tiny) as process:
        wait_for(ready, process)
        status, found = post(ask)
        assert status == 200 and len(found["results"]) == 40
        for text, result in zip(ask["documents"], found["results"], strict=True):
            assert all(text[one["start"] : one["end"]] == one["text"] for one in result["annotations"])
        assert post({**ask, "schema": {}})[0] == 422
        replicas = [pid for pid in replica_pids() if pid]
        assert len(replicas) >= 2
        os.kill(replicas[0], signal.SIGKILL)
        deadline = time.monotonic() + WAIT_S
        while (status := post({**ask, "threshold": 0.3})[0]) != 200 and time.monotonic() < deadline:
            assert status == 503
            time.sleep(0.5)
        assert status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 0


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
