"""The engine as an HTTP service: who may ask, how much at once, and what is answered when it cannot be.

GET /healthz (it runs), /readyz (the model is loaded), /v1/model, /v1/load; POST /v1/check, /v1/annotate.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.cluster.answering import Load, Model
from core.cluster.wire import Ask, read_ask, write_error
from core.errors import BusyError, Cancelled, DeviceError, EngineAwayError, InputError, RexError, SchemaError

LOG = logging.getLogger("rex.serve")
KEY_HEADER = "Idempotency-Key"
KEPT_S, KEPT = 120.0, 256
"""How long, and how many, answers are kept for those whose connection broke before they heard them."""

Handler = Callable[[Request], Awaitable[Response]]


class Backend(Protocol):
    """What answers; raises RexError."""

    async def model(self) -> Model | None:
        """The model; None while it is not loaded. Raises what kept it from being loaded."""

    def load(self) -> list[Load]:
        """What each engine has read, as far as is known here."""

    async def check(self, task: str, schema: Any) -> None:
        """Raise SchemaError or InputError when this cannot be asked."""

    async def annotate(self, ask: Ask) -> list[dict[str, Any]]:
        """The result of each document, as `wire.write_result` has it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bytes of one request, and tokens (about) of all that are being answered, at most."""

    body_bytes: int = 16 * 2**20
    waiting_tokens: int = 4_000_000


class _Refused(Exception):
    """A request that is answered with this status."""

    def __init__(self, status: int, error: RexError, **headers: str) -> None:
        self.status, self.error, self.headers = status, error, headers


class _Answers:
    """Requests being answered and answers just given, by key: asked again, the same is not read twice."""

    def __init__(self, backend: Backend, bounds: Bounds) -> None:
        self._backend, self._bounds = backend, bounds
        self._tasks: dict[str, asyncio.Task[list[dict[str, Any]]]] = {}
        self._ended: dict[str, float] = {}
        self.waiting_tokens = 0

    async def get(self, ask: Ask, key: str) -> list[dict[str, Any]]:
        """The answer; goes on to its end even when nobody listens any more."""
        self._forget()
        task = self._tasks.get(key)
        if task is None:
            if self.waiting_tokens and self.waiting_tokens + ask.weight > self._bounds.waiting_tokens:
                raise BusyError(f"引擎正忙：约有 {self.waiting_tokens} 个词元在等待。请稍后再试")
            task = asyncio.create_task(self._answer(ask))
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._end(key, done))
        return await asyncio.shield(task)

    async def _answer(self, ask: Ask) -> list[dict[str, Any]]:
        weight = ask.weight
        self.waiting_tokens += weight
        try:
            return await self._backend.annotate(ask)
        finally:
            self.waiting_tokens -= weight

    def _end(self, key: str, done: asyncio.Task[list[dict[str, Any]]]) -> None:
        if done.cancelled() or done.exception() is not None:
            self._tasks.pop(key, None)  # whoever asks again gets another chance
        else:
            self._ended[key] = time.monotonic()

    def _forget(self) -> None:
        now = time.monotonic()
        old = [key for key, ended in self._ended.items() if now - ended > KEPT_S]
        for key in old or list(self._ended)[: max(0, len(self._ended) - KEPT)]:
            del self._ended[key], self._tasks[key]


def make_app(backend: Backend, *, token: str, hosts: tuple[str, ...] = (), bounds: Bounds | None = None) -> Starlette:
    """The service. `token` empty: everybody may ask; `hosts`: names under which it may be called, empty: any."""
    bounds = bounds or Bounds()
    answers = _Answers(backend, bounds)

    async def health(request: Request) -> Response:
        return JSONResponse({"alive": True})

    async def ready(request: Request) -> Response:
        model = await backend.model()
        known = {"ready": model is not None, "waiting_tokens": answers.waiting_tokens}
        return JSONResponse(known, 503 if model is None else 200)

    async def show_model(request: Request) -> Response:
        return JSONResponse(asdict(await _loaded(backend)))

    async def show_load(request: Request) -> Response:
        engines = [asdict(one) for one in backend.load()]
        return JSONResponse({"waiting_tokens": answers.waiting_tokens, "engines": engines})

    async def check(request: Request) -> Response:
        fields = _object(await _body(request, bounds))
        await backend.check(str(fields.get("task", "")), fields.get("schema"))
        return JSONResponse({"ok": True})

    async def annotate(request: Request) -> Response:
        body = await _body(request, bounds)
        ask = read_ask(body)
        model = await _loaded(backend)
        given = request.headers.get(KEY_HEADER, "")
        key = f"{given}/{hashlib.sha256(body).hexdigest()}" if given else f"{id(request)}/{time.monotonic_ns()}"
        return JSONResponse({"model": asdict(model), "results": await answers.get(ask, key)})

    routes = [
        Route("/healthz", _guarded(health, "")),
        Route("/readyz", _guarded(ready, "")),
        Route("/v1/model", _guarded(show_model, token)),
        Route("/v1/load", _guarded(show_load, token)),
        Route("/v1/check", _guarded(check, token), methods=["POST"]),
        Route("/v1/annotate", _guarded(annotate, token), methods=["POST"]),
    ]
    middleware = [Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))] if hosts else []
    return Starlette(routes=routes, middleware=middleware)


def _guarded(handler: Handler, token: str) -> Handler:
    """The handler for those who may, with every error told in the same form and no detail of unexpected ones."""

    async def guarded(request: Request) -> Response:
        try:
            if token and not hmac.compare_digest(_bearer(request), token.encode()):
                raise _Refused(401, InputError("令牌不对：请检查 REX_ENGINE_TOKEN"), **{"WWW-Authenticate": "Bearer"})
            return await handler(request)
        except _Refused as refused:
            return JSONResponse(write_error(refused.error), refused.status, headers=refused.headers)
        except RexError as error:
            again = {"Retry-After": "1"} if _status(error) == 503 else None
            return JSONResponse(write_error(error), _status(error), headers=again)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception:
            LOG.exception("%s %s", request.method, request.url.path)
            return JSONResponse(write_error(DeviceError("引擎内部出错：请查看它的日志")), 500)

    return guarded


def _status(error: RexError) -> int:
    if isinstance(error, BusyError | Cancelled | EngineAwayError):
        return 503
    return 422 if isinstance(error, InputError | SchemaError) else 500


def _bearer(request: Request) -> bytes:
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    return given.strip().encode("latin-1") if kind.lower() == "bearer" else b""


async def _loaded(backend: Backend) -> Model:
    model = await backend.model()
    if model is None:
        raise BusyError("模型还在加载：请稍后再试")
    return model


async def _body(request: Request, bounds: Bounds) -> bytes:
    """The body of a JSON request; one that is too large is not read to its end."""
    # A page of another site can send a form or a plain text without being asked, JSON it cannot.
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        raise _Refused(415, InputError("请用 Content-Type: application/json"))
    limit = f"请求超过 {bounds.body_bytes / 2**20:g} MB：请分几次"
    if int(request.headers.get("Content-Length") or 0) > bounds.body_bytes:
        raise _Refused(413, InputError(limit), Connection="close")
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > bounds.body_bytes:
            raise _Refused(413, InputError(limit), Connection="close")
    return bytes(body)


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(f"请求不是合法的 JSON：{error}") from error
    if not isinstance(fields, dict):
        raise InputError("请求应为 JSON 对象")
    return fields
