"""Where the input of a batch may lie: folders, file:///, and s3:// as pyarrow's own client reads it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from core.cluster import parts
from core.cluster.batch import Batch, run_batch
from core.cluster.parts import divide, lines_of, list_files, open_file
from core.config import Settings
from core.errors import FormatError, InputError


class Bucket(BaseHTTPRequestHandler):
    """As much of an object store as listing and reading needs; `root` holds the objects of the bucket `texts`."""

    root: Path
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        _, bucket, key = [*unquote(address.path).split("/", 2), ""][:3]
        if "Credential=key/" not in self.headers.get("Authorization", ""):
            return self.answer(403, b"<Error><Code>AccessDenied</Code><Message>denied</Message></Error>")
        if bucket != "texts":
            return self.answer(404, b"<Error><Code>NoSuchBucket</Code><Message>none</Message></Error>")
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        if "list-type" in query:
            return self.answer(200, self.listing(query).encode())
        if not key:
            return self.answer(200, b"")
        path = self.root / key
        if not path.is_file():
            return self.answer(404, b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>")
        data = path.read_bytes()
        if (given := self.headers.get("Range", "")) and self.command == "GET":
            first, last = (int(one) for one in given.removeprefix("bytes=").split("-"))
            last = min(last, len(data) - 1)
            return self.answer(206, data[first : last + 1], {"Content-Range": f"bytes {first}-{last}/{len(data)}"})
        self.answer(200, data, {"Last-Modified": formatdate(path.stat().st_mtime, usegmt=True)})

    def listing(self, query: dict[str, str]) -> str:
        prefix = query.get("prefix", "")
        keys = {str(path.relative_to(self.root)): path for path in sorted(self.root.rglob("*")) if path.is_file()}
        found = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{path.stat().st_size}</Size>"
            "<LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>"
            for key, path in keys.items()
            if key.startswith(prefix)
        )
        count = f"<KeyCount>{found.count('<Contents>')}</KeyCount>"
        return f"<ListBucketResult><Name>texts</Name><IsTruncated>false</IsTruncated>{count}{found}</ListBucketResult>"

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/xml", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *values: object) -> None:
        """Nothing on the screen of the tests."""


@pytest.fixture
def store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a running object store whose bucket `texts` holds the folder of input."""
    handler = type("Here", (Bucket,), {"root": folder})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    parts._bucket.cache_clear()
    yield address
    server.shutdown()
    server.server_close()
    parts._bucket.cache_clear()


def test_a_bucket_is_read_as_a_folder_is(batch: Batch, folder: Path, store: str, tiny: Settings) -> None:
    here, there = list_files(str(folder)), list_files("s3://texts/")
    assert [(one.name, one.size_bytes) for one in there] == [(one.name, one.size_bytes) for one in here]
    assert [one.uri for one in there] == ["s3://texts/sub/二.parquet", "s3://texts/一.jsonl"]
    for near, far in zip(here, there, strict=True):
        with open_file(near.uri) as one, open_file(far.uri) as other:
            assert one.read() == other.read()
        assert [(part.first, part.rows) for part in divide(near, documents=7)] == [
            (part.first, part.rows) for part in divide(far, documents=7)
        ]
    assert [one.name for one in list_files("s3://texts/sub")] == ["二.parquet"]
    assert [one.name for one in list_files("s3://texts/**/*.parquet")] == ["sub/二.parquet"]
    assert [one.name for one in list_files("s3://texts/一.jsonl")] == ["一.jsonl"]
    ended = run_batch(replace(batch, input="s3://texts/sub"), tiny)
    assert (ended.state, ended.done, ended.failed) == ("done", 17, 0)
    with pytest.raises(InputError, match="s3://texts/nichts 不存在"):
        list_files("s3://texts/nichts")


def test_a_store_that_refuses_or_is_not_there_says_what_to_check(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    with pytest.raises(FormatError, match="AWS_ACCESS_KEY_ID.*AWS_ENDPOINT_URL"):
        list_files("s3://texts/sub")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("gs://bucket/x", "不支持的输入地址"),
        ("http://host/x.jsonl", "不支持的输入地址"),
        ("s3:///x", "桶的名称"),
        ("s3://key:secret@bucket/x", "AWS_"),
        ("s3://bu*et/x", "桶的名称"),
        ("file://host/x", "完整路径"),
        ("file:///nichts/da", "不存在"),
    ],
)
def test_an_address_that_cannot_be_read_is_refused_at_once(given: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        list_files(given)


def test_a_file_address_is_the_path_behind_it(tmp_path: Path) -> None:
    folder = tmp_path / "报告 100%"
    folder.mkdir()
    (folder / "一.jsonl").write_text(json.dumps({"text": "李娜在武汉。"}, ensure_ascii=False), "utf-8")
    for given in (f"file://{folder}", f"file://{folder}/*.jsonl", f"file://{folder}/一.jsonl"):
        (file,) = list_files(given)
        assert (file.name, file.uri) == ("一.jsonl", str(folder / "一.jsonl"))
        with open_file(file.uri) as stream:
            assert json.loads(next(lines_of(stream)))["text"] == "李娜在武汉。"
