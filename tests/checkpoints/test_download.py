"""Downloads against a small server that speaks the hub's protocol: progress, stopping, going on, damage, refusal."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest

from core.checkpoints import download
from core.checkpoints.files import read_origin, read_sums, wrong_files
from core.checkpoints.installed import DOWNLOADED, find_installed
from core.checkpoints.verify import verify_checkpoint
from core.config import Settings
from core.errors import Cancelled, CheckpointError
from core.model.checkpoint import locate

MODEL = "someone/tiny"
CHUNK = 64 * 1024


@dataclass
class Hub:
    """What the server has and what it was asked: (file, first byte)."""

    files: dict[str, bytes]
    asked: list[tuple[str, int]] = field(default_factory=list)
    damaged: str = ""
    slow: threading.Event = field(default_factory=threading.Event)
    address: str = ""


@pytest.fixture
def hub(checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    files = {path.name: path.read_bytes() for path in checkpoint_dir.iterdir() if path.is_file()}
    found = Hub(
        files | {"README.md": b"---\nlicense: Apache License 2.0\n---\n# tiny\n", "evil.py": b"raise SystemExit"}
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlparse(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            if not url.path.startswith(f"/api/v1/models/{MODEL}"):
                self.answer(404, json.dumps({"Code": 404, "Message": "no such model"}).encode())
            elif url.path.endswith("/repo/files"):
                rows = [
                    {"Path": name, "Name": name, "Type": "blob", "Size": len(data), "Sha256": sha256(data)}
                    for name, data in found.files.items()
                ]
                self.answer(200, json.dumps({"Code": 200, "Success": True, "Data": {"Files": rows}}).encode())
            elif url.path.endswith("/repo") and query.get("FilePath") in found.files:
                self.send(query["FilePath"])
            else:
                self.answer(200, json.dumps({"Code": 200, "Success": True, "Data": {}}).encode())

        def send(self, name: str) -> None:
            data = found.files[name]
            if name == found.damaged:
                data = bytes(len(data))
            asked = self.headers.get("Range", "")
            first = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
            found.asked.append((name, first))
            self.send_response(206 if first else 200)
            self.send_header("Content-Length", str(len(data) - first))
            if first:
                self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
            self.end_headers()
            for start in range(first, len(data), CHUNK):
                if found.slow.is_set():
                    threading.Event().wait(0.05)
                self.wfile.write(data[start : start + CHUNK])

        def answer(self, code: int, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: pytest shows what matters."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", found.address)
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture
def at(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path, model="someone/else", device="cpu")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_download_brings_data_files_only_and_is_checked_and_found(hub: Hub, at: Settings) -> None:
    told: list[tuple[float, float]] = []
    source = download.download(at, MODEL, tell=lambda done, total, name: told.append((done, total)))
    assert source == f"{MODEL}@master"
    one = find_installed(at, source)
    assert (one.kind, one.complete, one.has_sums, one.licence) == (DOWNLOADED, True, True, "Apache License 2.0")
    names = {path.name for path in one.directory.iterdir()}
    assert names >= {"config.json", "model.safetensors", "README.md"} and "evil.py" not in names
    assert told[-1][0] == told[-1][1] == sum(len(hub.files[name]) for name in read_sums(one.directory))
    assert wrong_files(one.directory) == [] and read_origin(one.directory)["base"] == MODEL
    assert all(check.holds for check in verify_checkpoint(at, one))
    assert locate(MODEL, revision="master", download_dir=at.download_dir) == one.directory
    asked = len(hub.asked)
    assert download.download(at, MODEL) == source and len(hub.asked) == asked


def test_a_stopped_download_goes_on_where_it_was_and_can_be_thrown_away(hub: Hub, at: Settings) -> None:
    hub.slow.set()
    weights = len(hub.files["model.safetensors"])
    stop = threading.Event()

    def tell(done: float, total: float, name: str) -> None:
        if name == "model.safetensors" and done > weights / 2:
            stop.set()

    with pytest.raises(Cancelled, match="接着进行"):
        download.download(at, MODEL, tell=tell, cancelled=stop.is_set)
    half = find_installed(at, f"{MODEL}@master")
    assert not half.complete and half.size_bytes > 0
    hub.slow.clear()
    hub.asked.clear()
    download.download(at, MODEL)
    assert [first for name, first in hub.asked if name == "model.safetensors"][0] > 0
    assert find_installed(at, MODEL).complete and wrong_files(half.directory) == []
    with pytest.raises(CheckpointError, match="已经完整"):
        download.discard(at, MODEL, "master")
    (half.directory / ".complete").unlink()
    download.discard(at, MODEL, "master")
    assert not half.directory.exists()


def test_an_unknown_model_and_an_impossible_name_are_told(hub: Hub, at: Settings) -> None:
    with pytest.raises(CheckpointError, match="无法从 ModelScope 取得模型 no/body.*\n.*没有网络时"):
        download.download(at, "no/body")
    for wrong in ("../x", "a", "a/b/c", "http://x/y"):
        with pytest.raises(CheckpointError, match="不是 ModelScope 模型编号"):
            download.download(at, wrong)
    with pytest.raises(CheckpointError, match="版本"):
        download.download(at, MODEL, revision="../../x")


@pytest.mark.slow
def test_a_file_that_is_not_what_the_hub_announced_is_refused(hub: Hub, at: Settings) -> None:
    hub.damaged = "vocab.txt"
    with pytest.raises(CheckpointError, match="vocab.txt"):
        download.download(at, MODEL)
    assert not find_installed(at, f"{MODEL}@master").complete
