"""The engine behind HTTP: who may ask, what is answered, and what is refused."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from core.cluster.http import Bounds, make_app
from core.cluster.serve import TOKEN_FILE, LocalBackend, find_token, is_loopback, local_app
from core.cluster.wire import read_ask, read_result, write_ask, write_result
from core.config import Settings
from core.errors import DeviceError, InputError
from core.inference.assembly import load_engine
from core.inference.documents import Item
from core.schemas.schema import parse_schema
from core.tasks import find_task
from core.types import Document, Span

SCHEMA = {"人物": None, "地理位置": None}
TEXT = "😀刘志诚在广州市会见了陈静。"
ASK = {"task": "ner", "schema": SCHEMA, "documents": [TEXT, {"id": "b", "text": "𠮷野家在南京路。"}], "threshold": 0.2}


@pytest.fixture(scope="module")
def backend(checkpoint_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBackend]:
    """One engine for all tests of this file."""
    settings = Settings(
        _env_file=None, model=str(checkpoint_dir), device="cpu", cpu_threads=1, data_dir=tmp_path_factory.mktemp("data")
    )
    backend = LocalBackend(settings)
    deadline = time.monotonic() + 60
    while backend._model is None and time.monotonic() < deadline:
        assert backend._problem is None
        time.sleep(0.02)
    yield backend
    backend.close()


@pytest.fixture
def client(backend: LocalBackend) -> Iterator[TestClient]:
    with TestClient(local_app(backend, host="127.0.0.1", token=""), base_url="http://127.0.0.1:8680") as client:
        yield client


def told(answer: Any) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["kind"], error["message"]


def test_findings_come_in_order_with_offsets_into_the_text_that_was_sent(client: TestClient) -> None:
    answer = client.post("/v1/annotate", json=ASK).json()
    assert [one["id"] for one in answer["results"]] == ["", "b"] and answer["model"]["device"] == "cpu"
    texts = [TEXT, "𠮷野家在南京路。"]
    found = [
        (text, one) for text, result in zip(texts, answer["results"], strict=True) for one in result["annotations"]
    ]
    assert found and all(text[one["start"] : one["end"]] == one["text"] for text, one in found)
    assert "paths" not in answer["results"][0]


def test_a_document_that_cannot_be_read_does_not_stop_the_others(client: TestClient) -> None:
    documents = [{"id": "leer", "text": " "}, {"id": "ohne"}, TEXT, {"text": TEXT, "schema": {"": None}}]
    results = client.post("/v1/annotate", json={**ASK, "documents": documents}).json()["results"]
    assert [bool(one["error"]) for one in results] == [True, True, False, True]
    assert [one["id"] for one in results] == ["leer", "ohne", "", ""]


def test_it_says_whether_the_model_is_loaded(client: TestClient, backend: LocalBackend) -> None:
    assert client.get("/healthz").json() == {"alive": True}
    assert client.get("/readyz").json()["ready"] is True
    assert client.get("/v1/model").json()["parameters"] > 0

    class Loading(LocalBackend):
        def __init__(self) -> None:
            self._engine = self._model = self._problem = None

    with TestClient(make_app(Loading(), token="")) as early:
        assert early.get("/healthz").status_code == 200 and early.get("/readyz").status_code == 503
        status, kind, _ = told(early.post("/v1/annotate", json=ASK))
        assert (status, kind) == (503, "BusyError")


def test_batches_are_formed_by_tokens_over_all_documents_and_it_tells_how_many(client: TestClient) -> None:
    def load() -> dict[str, Any]:
        told = client.get("/v1/load").json()
        (engine,) = told["engines"]
        assert told["waiting_tokens"] == 0 and engine["process"].endswith(f"/{os.getpid()}")
        return dict(engine)

    before = load()
    client.post("/v1/annotate", json={**ASK, "documents": [TEXT] * 90})
    documents, tokens, batches = (load()[name] - before[name] for name in ("documents", "tokens", "batches"))
    assert documents == 90 and tokens / 1024 <= batches < 30  # 1,024 tokens fit into a batch on the CPU


def test_what_cannot_be_asked_is_refused_with_the_reason(client: TestClient) -> None:
    def refused(**changes: Any) -> tuple[int, str, str]:
        return told(client.post("/v1/annotate", json={**ASK, **changes}))

    assert refused(schema={})[:2] == (422, "SchemaError")
    assert refused(task="unbekannt")[:2] == (422, "InputError")
    assert refused(threshold="hoch")[0] == refused(threshold=1.5)[0] == refused(documents="text")[0] == 422
    assert "不认识的字段 schemas" in refused(schemas={})[2]
    assert "最多 1000" in refused(documents=["字"] * 1001)[2]
    assert told(client.post("/v1/check", json={"task": "ner", "schema": {"": None}}))[1] == "SchemaError"
    assert client.post("/v1/check", json={"task": "nli"}).json() == {"ok": True}


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_request_is_refused(client: TestClient, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    for path in ("/v1/annotate", "/v1/check"):
        assert client.post(path, content=body, headers=headers).status_code == 422
    assert client.post("/v1/annotate", content=json.dumps(ASK)).status_code == 415


def test_a_body_that_is_too_large_is_not_read(backend: LocalBackend) -> None:
    app = make_app(backend, token="", bounds=Bounds(body_bytes=1000))
    with TestClient(app) as client:
        large = {**ASK, "documents": ["字" * 2000]}
        assert told(client.post("/v1/annotate", json=large))[0] == 413
        pieces = (b'{"task": "', *[b"x" * 500] * 5)
        headers = {"Content-Type": "application/json"}
        assert told(client.post("/v1/annotate", content=iter(pieces), headers=headers))[0] == 413


def test_a_token_is_asked_for_and_compared_as_a_whole(backend: LocalBackend) -> None:
    with TestClient(make_app(backend, token="geheim-令牌")) as client:
        assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200
        for given in ("", "Bearer geheim", "Basic geheim"):
            answer = client.post("/v1/annotate", json=ASK, headers={"Authorization": given})
            assert answer.status_code == 401 and "REX_ENGINE_TOKEN" in answer.text
        right = {"Authorization": "Bearer geheim-令牌".encode()}
        assert client.post("/v1/annotate", json=ASK, headers=right).status_code == 200


def test_without_a_token_only_this_machine_s_names_are_answered(client: TestClient) -> None:
    assert client.get("/healthz", headers={"Host": "boese.example"}).status_code == 400
    assert client.get("/healthz", headers={"Host": "localhost:8680"}).status_code == 200


def test_another_address_makes_a_token_that_nobody_else_can_read(settings: Settings) -> None:
    assert find_token(settings, "127.0.0.1") == ("", None)
    token, path = find_token(settings, "0.0.0.0")
    assert path == settings.data_dir / TOKEN_FILE and len(token) > 30
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert find_token(settings, "0.0.0.0") == (token, path)
    given = settings.model_copy(update={"engine_token": SecretStr("eigenes")})
    assert find_token(given, "127.0.0.1") == ("eigenes", None) and "eigenes" not in repr(given)
    path.write_text("kurz")
    with pytest.raises(InputError, match="太短"):
        find_token(settings, "0.0.0.0")


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("10.0.0.8", False),
        ("a.org", False),
    ],
)
def test_addresses_of_this_machine_are_known(host: str, is_own: bool) -> None:
    assert is_loopback(host) is is_own


class Counting:
    """A backend that counts, and waits until it is let go."""

    def __init__(self, backend: LocalBackend) -> None:
        self.model, self.check, self._annotate, self.calls = backend.model, backend.check, backend.annotate, 0
        self.fail = False

    async def annotate(self, ask: Any) -> Any:
        self.calls += 1
        if self.fail:
            raise DeviceError("设备出错")
        return await self._annotate(ask)


def test_a_request_that_is_repeated_is_read_once(backend: LocalBackend) -> None:
    counting = Counting(backend)
    with TestClient(make_app(counting, token="")) as client:
        headers = {"Idempotency-Key": "k1"}
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: client.post("/v1/annotate", json=ASK, headers=headers).json(), range(4)))
        assert all(one == answers[0] for one in answers) and counting.calls == 1
        client.post("/v1/annotate", json={**ASK, "threshold": 0.9}, headers=headers)
        client.post("/v1/annotate", json=ASK)
        client.post("/v1/annotate", json=ASK)
        assert counting.calls == 4
        counting.fail = True
        failing = {"Idempotency-Key": "k2"}
        assert told(client.post("/v1/annotate", json=ASK, headers=failing))[:2] == (500, "DeviceError")
        counting.fail = False
        assert client.post("/v1/annotate", json=ASK, headers=failing).status_code == 200


def test_more_than_may_wait_is_held_back(backend: LocalBackend) -> None:
    app = make_app(backend, token="", bounds=Bounds(waiting_tokens=1))
    with TestClient(app) as client, ThreadPoolExecutor(6) as pool:
        long = {**ASK, "documents": [TEXT * 30] * 2}
        answers = list(pool.map(lambda _: client.post("/v1/annotate", json=long), range(6)))
    statuses = [one.status_code for one in answers]
    assert 200 in statuses and 503 in statuses and set(statuses) == {200, 503}
    assert {one.headers.get("Retry-After") for one in answers if one.status_code == 503} == {"1"}


def test_a_document_travels_there_and_its_result_back_unchanged(checkpoint_dir: Path, settings: Settings) -> None:
    document = Document(
        TEXT, id="x", name="n", candidates=(Span(1, 4, "刘志诚"),), pronouns=(Span(0, 1, "😀"),), metadata={"a": "b"}
    )
    schema = parse_schema(SCHEMA)
    item = Item(document, find_task("re"), schema)
    ask = read_ask(write_ask([item], threshold=0.3, floor=0.01, urgent=True, client="c"))
    assert (ask.task, ask.schema, ask.threshold, ask.floor, ask.urgent) == ("re", schema.to_dict(), 0.3, 0.01, True)
    engine = load_engine(settings.model_copy(update={"model": str(checkpoint_dir), "cpu_threads": 1}))
    try:
        ((_, result),) = engine.annotate([item], threshold=0.1, floor=0.01)
    finally:
        engine.close()
    sent = json.loads(json.dumps(write_result(result, paths=True)))
    assert read_result(sent, item) == result and result.annotations and result.paths
    sent["annotations"][0]["start"] += 1
    with pytest.raises(DeviceError, match="REX_ENGINE_URL"):
        read_result(sent, item)
