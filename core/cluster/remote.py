"""The engine of another process or machine behind the interface of our own: `annotate`, `check`, and what it is."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import requests

from core.cluster.answering import Model
from core.cluster.wire import check_ask, read_error, read_result, weigh, write_ask
from core.errors import BusyError, Cancelled, DeviceError, EngineAwayError, RexError
from core.inference.documents import Item
from core.schemas.schema import Schema
from core.telemetry.measures import measured
from core.types import AnnotatedDocument

REQUEST_TOKENS, REQUEST_DOCUMENTS = 32_000, 64
"""About how much one request asks: enough for several batches, little enough to lose when the connection breaks."""

REQUESTS_AT_ONCE = 6
"""Requests of one caller on their way, so that the engine always has some to form batches of."""

CONNECT_S, ANSWER_S, LOOK_S = 3.0, 600.0, (1.0, 3.0)
PATIENCE_S, URGENT_PATIENCE_S = 30.0, 6.0
"""How long a request is tried again before it is given up; whoever sits and waits hears of it sooner."""

FRESH_S, POLL_S = 3.0, 0.1
AGAIN = (502, 503, 504)

Chunk = list[tuple[int, Item]]


class RemoteEngine:
    """An engine that answers at an address; safe to share between threads."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url
        bearer: dict[str, str | bytes] = {"Authorization": f"Bearer {token}".encode()} if token else {}
        self._headers = bearer | {"Content-Type": "application/json"}
        self._local = threading.local()
        self._known: Model | None = None
        self._asked_at = float("-inf")
        self._away: str = ""

    @property
    def known(self) -> Model | None:
        """What it was when it was last asked, without asking."""
        return self._known

    def model(self, *, timeout: tuple[float, float] = (CONNECT_S, 10.0)) -> Model:
        """What answers. Raises EngineAwayError when nobody does yet."""
        try:
            fields = self._try("GET", "/v1/model", timeout=timeout)
        except BusyError as error:
            raise EngineAwayError(f"引擎 {self.url}：{error}") from error
        try:
            self._known = Model(**fields)
        except TypeError as error:
            raise DeviceError(f"{self.url} 的回答不是引擎的：请检查 REX_ENGINE_URL") from error
        return self._known

    def away(self) -> str:
        """Why it cannot be asked now, in words, or ""; asks at most every few seconds and waits but a moment."""
        if time.monotonic() - self._asked_at > FRESH_S:
            try:
                self.model(timeout=LOOK_S)
                self._away = ""
            except RexError as error:
                self._away = str(error)
            self._asked_at = time.monotonic()
        return self._away

    def check(self, schema: Schema, *, task: str) -> None:
        """Raise SchemaError when its model cannot be asked this, EngineAwayError when it does not answer."""
        self._try("POST", "/v1/check", check_ask(task, schema.to_dict() or None))

    @measured
    def annotate(
        self,
        items: Iterable[Item],
        *,
        threshold: float | None = None,
        floor: float | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        urgent: bool = False,
        client: str = "",
    ) -> Iterator[tuple[int, AnnotatedDocument]]:
        """As `Engine.annotate`; documents travel in requests that may be repeated, each read once.

        Raises EngineAwayError when the engine stays away; what was yielded before is whole.
        """
        chunks = _chunks(items)
        flying: dict[Future[list[AnnotatedDocument]], Chunk] = {}
        stopped = threading.Event()

        def gone() -> bool:
            return stopped.is_set() or cancelled()

        def ask(chunk: Chunk) -> list[AnnotatedDocument]:
            asked = [item for _, item in chunk]
            body = write_ask(asked, threshold=threshold, floor=floor, urgent=urgent, client=client)
            fields = self._persist("/v1/annotate", body, urgent=urgent, cancelled=gone)
            answers = fields.get("results")
            if not isinstance(answers, list) or len(answers) != len(asked):
                raise DeviceError(f"{self.url} 的回答缺少文档：请检查 REX_ENGINE_URL 指向的引擎")
            return [read_result(one, item) for one, item in zip(answers, asked, strict=True)]

        pool = ThreadPoolExecutor(REQUESTS_AT_ONCE, thread_name_prefix="remote")
        try:
            while True:
                while len(flying) < REQUESTS_AT_ONCE and (chunk := next(chunks, None)) is not None:
                    flying[pool.submit(ask, chunk)] = chunk
                if not flying:
                    return
                ended, _ = wait(flying, timeout=POLL_S, return_when=FIRST_COMPLETED)
                if cancelled():
                    raise Cancelled("已取消")
                for future in ended:
                    chunk = flying.pop(future)
                    for (index, _), result in zip(chunk, future.result(), strict=True):
                        yield index, result
        finally:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Nothing is held here."""

    def _persist(self, path: str, body: bytes, *, urgent: bool, cancelled: Callable[[], bool]) -> dict[str, Any]:
        """Ask until there is an answer; under one key, so that what was read already is not read again."""
        key, pause_s = uuid.uuid4().hex, 0.2
        deadline = time.monotonic() + (URGENT_PATIENCE_S if urgent else PATIENCE_S)
        while True:
            try:
                return self._try("POST", path, body, key=key, timeout=(CONNECT_S, ANSWER_S))
            except (EngineAwayError, BusyError) as error:
                # Work that nobody waits for stands in line at a busy engine as long as it takes.
                late = time.monotonic() > deadline and (urgent or isinstance(error, EngineAwayError))
                if late:
                    raise
            if cancelled():
                raise Cancelled("已取消")
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 3.0)

    def _try(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        key: str = "",
        timeout: tuple[float, float] = (CONNECT_S, 10.0),
    ) -> dict[str, Any]:
        headers = self._headers | ({"Idempotency-Key": key} if key else {})
        try:
            # Never through a proxy of the environment, never to another address than the one that was set.
            answer = self._session.request(
                method,
                f"{self.url}{path}",
                data=body,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            )
            fields = answer.json()
        except requests.JSONDecodeError as error:
            if answer.status_code in AGAIN:
                raise EngineAwayError(self._told(f"HTTP {answer.status_code}")) from error
            raise DeviceError(
                f"{self.url} 的回答不是引擎的（HTTP {answer.status_code}）：请检查 REX_ENGINE_URL"
            ) from error
        except requests.RequestException as error:
            raise EngineAwayError(self._told(_reason(error))) from error
        if answer.status_code != 200:
            told = read_error(fields, f"引擎 {self.url} 回答了 HTTP {answer.status_code}")
            raise EngineAwayError(self._told(str(told))) if isinstance(told, Cancelled) else told
        return fields if isinstance(fields, dict) else {}

    def _told(self, reason: str) -> str:
        return f"引擎 {self.url} 没有回应（{reason}）：请检查它是否在运行。作业会等它回来"

    @property
    def _session(self) -> requests.Session:
        """One of this thread: sessions are not to be shared."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.trust_env = False
        return session


def _chunks(items: Iterable[Item]) -> Iterator[Chunk]:
    """Items of one task and schema together, as many as one request is to ask."""
    chunk: Chunk = []
    tokens = 0
    for index, item in enumerate(items):
        size = weigh({"text": item.document.text, "text_pair": item.document.text_pair})
        if chunk:
            first = chunk[0][1]
            other = (first.task.name, first.schema) != (item.task.name, item.schema)
            if other or len(chunk) == REQUEST_DOCUMENTS or tokens + size > REQUEST_TOKENS:
                yield chunk
                chunk, tokens = [], 0
        chunk.append((index, item))
        tokens += size
    if chunk:
        yield chunk


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.ConnectTimeout | requests.ReadTimeout):
        return "超时"
    return "连接不上" if isinstance(error, requests.ConnectionError) else type(error).__name__
