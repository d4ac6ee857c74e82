"""The HTTP service on Ray Serve: one replica with an engine on each card, and a door that deals requests out.

The door cuts a request into stretches of about as many tokens, so that replicas share a large one; the scheduler in
each replica forms batches of a counted number of tokens over all that reaches it.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from core.cluster.answering import Load, Model, answer, check, load_of, model_of
from core.cluster.http import Bounds, make_app
from core.cluster.ray_start import connected, share
from core.cluster.serve import CALLS_AT_ONCE, allowed_hosts
from core.cluster.wire import Ask, weigh
from core.config import Settings
from core.errors import DeviceError, EngineAwayError, RexError
from core.inference.assembly import load_engine

NAME = "rex"
STRETCH_TOKENS = 8_000
"""About the tokens of one stretch: some batches on a card, so that no replica waits for another for long."""

START_S = 600


class Replica:
    """One engine."""

    def __init__(self, settings: Settings) -> None:
        self._engine = load_engine(settings)

    def model(self) -> Model:
        """What answers."""
        return model_of(self._engine)

    def check(self, task: str, schema: Any) -> RexError | None:
        """The error that asking this would meet; errors of ours travel as values, for Ray would wrap them."""
        try:
            check(self._engine, task, schema)
        except RexError as error:
            return error
        return None

    def annotate(self, ask: Ask) -> tuple[list[dict[str, Any]], Load] | RexError:
        """The result of each document and what was read so far, or what stopped them all."""
        try:
            return answer(self._engine, ask), load_of()
        except RexError as error:
            return error


class RayBackend:
    """The replicas, as the HTTP service asks them."""

    def __init__(self, replicas: Any) -> None:
        self._replicas = replicas
        self._model: Model | None = None
        self._loads: dict[str, Load] = {}

    async def model(self) -> Model | None:
        """The model of the replicas; they have loaded it before the door opens."""
        if self._model is None:
            self._model = await self._call("model")
        return self._model

    def load(self) -> list[Load]:
        """What each replica had read when it last answered; one that was killed keeps its line."""
        return list(self._loads.values())

    async def check(self, task: str, schema: Any) -> None:
        """Raise SchemaError or InputError when this cannot be asked."""
        await self._call("check", task, schema)

    async def annotate(self, ask: Ask) -> list[dict[str, Any]]:
        """The result of each document, from as many replicas as there are stretches."""
        found = await asyncio.gather(*(self._call("annotate", one) for one in stretches(ask)))
        for _, load in found:  # stretches end in any order: the one that had read most is the last
            self._loads[load.process] = max(load, self._loads.get(load.process, load), key=lambda one: one.documents)
        return [result for some, _ in found for result in some]

    async def _call(self, method: str, *arguments: Any) -> Any:
        from ray.exceptions import RayError

        try:
            outcome = await getattr(self._replicas, method).remote(*arguments)
        except RayError as error:  # reading has no effect: whoever asks again is answered by another replica
            raise EngineAwayError(
                f"读这批文档的进程退出了（{type(error).__name__}），正在重新启动：请稍后再试"
            ) from error
        if isinstance(outcome, RexError):
            raise outcome
        return outcome


def stretches(ask: Ask) -> Iterator[Ask]:
    """The request cut where about `STRETCH_TOKENS` are full; a long document stays whole. At least one."""
    empty = replace(ask, documents=())
    each = empty.weight if not ask.documents else replace(ask, documents=("",)).weight
    some: list[Any] = []
    tokens = 0
    for document in ask.documents:
        size = weigh(document) + each
        if some and tokens + size > STRETCH_TOKENS:
            yield replace(ask, documents=tuple(some))
            some, tokens = [], 0
        some.append(document)
        tokens += size
    yield replace(ask, documents=tuple(some))


class Door:
    """What Ray Serve's proxy hands requests to: the same service as that of one process."""

    def __init__(self, replicas: Any, token: str, hosts: tuple[str, ...], bounds: Bounds) -> None:
        self._app = make_app(RayBackend(replicas), token=token, hosts=hosts, bounds=bounds)

    def __serve_build_asgi_app__(self) -> Any:
        return self._app


@contextmanager
def serving_on_ray(
    settings: Settings, address: str, *, host: str, port: int, token: str, bounds: Bounds, actors: int = 0
) -> Iterator[Any]:
    """Serve while the block runs; yields the module `ray`.

    Raises InputError without Ray, DeviceError when replicas do not start.
    """
    with connected(address) as ray:
        from ray import serve

        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        lot = share(ray, settings, actors=actors)
        options = {"num_gpus": lot.gpus} if lot.gpus else {"num_cpus": max(1.0, lot.cpus - 1)}
        deploy: Any = serve.deployment
        replicas = deploy(
            Replica,
            name="replica",
            num_replicas=lot.actors,
            max_ongoing_requests=CALLS_AT_ONCE,
            ray_actor_options=options,
            health_check_period_s=5,
        )
        door = deploy(serve.ingress()(Door), name="door", max_ongoing_requests=1000, ray_actor_options={"num_cpus": 0})
        hosts = allowed_hosts(host, token)
        serve.start(http_options={"host": host, "port": port})
        try:
            serve.run(
                door.bind(replicas.bind(lot.settings), token, hosts, bounds),
                name=NAME,
                route_prefix="/",
                blocking=False,
            )
        except (RuntimeError, TimeoutError) as error:
            raise DeviceError(f"Ray Serve 没有启动：{error}。请查看 Ray 的日志") from error
        try:
            yield ray
        finally:
            serve.delete(NAME)
            serve.shutdown()


def serve_on_ray(
    settings: Settings, address: str, *, host: str, port: int, token: str, bounds: Bounds, actors: int = 0
) -> None:
    """Serve until SIGINT or SIGTERM; as `serving_on_ray` otherwise."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with serving_on_ray(settings, address, host=host, port=port, token=token, bounds=bounds, actors=actors):
        stop.wait()
