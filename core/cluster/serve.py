"""The HTTP service with one engine in this process; loads the model while it already says that it lives."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import secrets
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette

from core.cluster.answering import Load, Model, answer, check, load_of, model_of
from core.cluster.http import Bounds, make_app
from core.cluster.wire import Ask
from core.config import Settings
from core.errors import BusyError, InputError, RexError
from core.inference.assembly import load_engine
from core.inference.engine import Engine

TOKEN_FILE = "engine.token"
CALLS_AT_ONCE = 64
"""Requests that wait for the engine side by side; it forms batches over all of them."""


class LocalBackend:
    """One engine of this process, and threads that wait for it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="serve")
        self._engine: Engine | None = None
        self._model: Model | None = None
        self._problem: RexError | None = None
        threading.Thread(target=self._load, name="serve-load", daemon=True).start()

    def _load(self) -> None:
        try:
            engine = load_engine(self._settings)
            self._engine, self._model = engine, model_of(engine)
        except RexError as error:
            self._problem = error

    async def model(self) -> Model | None:
        """The model; None while it is not loaded. Raises what kept it from being loaded."""
        if self._problem is not None:
            raise self._problem
        return self._model

    def load(self) -> list[Load]:
        """What the engine has read."""
        return [load_of()]

    async def check(self, task: str, schema: Any) -> None:
        """Raise SchemaError or InputError when this cannot be asked."""
        await self._call(check, self._ready(), task, schema)

    async def annotate(self, ask: Ask) -> list[dict[str, Any]]:
        """The result of each document."""
        found: list[dict[str, Any]] = await self._call(answer, self._ready(), ask)
        return found

    def close(self) -> None:
        """Let the engine go."""
        if self._engine is not None:
            self._engine.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ready(self) -> Engine:
        if self._engine is None:
            raise self._problem or BusyError("模型还在加载：请稍后再试")
        return self._engine

    async def _call(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)


def is_loopback(host: str) -> bool:
    """Whether only this machine can come in by that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def find_token(settings: Settings, host: str) -> tuple[str, Path | None]:
    """The token to ask for, and the file it was generated into; on loopback none is needed unless one is set.

    Raises InputError when the file can be neither read nor written.
    """
    if given := settings.engine_token.get_secret_value():
        return given, None
    if is_loopback(host):
        return "", None
    path = settings.data_dir / TOKEN_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(32))
        token = path.read_text("ascii").strip()
    except OSError as error:
        raise InputError(f"无法读写令牌文件 {path}：{error}。请设置 REX_ENGINE_TOKEN") from error
    if len(token) < 16:
        raise InputError(f"令牌文件 {path} 里的令牌太短：请删除它后重新启动")
    return token, path


def allowed_hosts(host: str, token: str) -> tuple[str, ...]:
    """Names under which the service may be called: without a token only those of this machine, so that no page of
    another site can reach it by a name that it made point here.
    """
    return () if token else ("localhost", "127.0.0.1", "[::1]", "::1", host)


def local_app(backend: LocalBackend, *, host: str, token: str, bounds: Bounds | None = None) -> Starlette:
    """The service of one engine."""
    return make_app(backend, token=token, hosts=allowed_hosts(host, token), bounds=bounds)


def serve_here(settings: Settings, *, host: str, port: int, token: str, bounds: Bounds) -> None:
    """Serve until SIGINT or SIGTERM. Raises InputError when the port is taken."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InputError(f"无法使用 {host}:{port}（{error}）：请换一个 --port 或 --host") from error
    backend = LocalBackend(settings)
    try:
        app = local_app(backend, host=host, token=token, bounds=bounds)
        uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=30)
    finally:
        backend.close()
