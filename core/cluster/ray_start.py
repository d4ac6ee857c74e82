"""Ray, which is an extra: whether it is here, where its cluster is, and what each actor of ours gets of it."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil

from core.config import ROOT, Settings
from core.errors import DeviceError, InputError

LOCAL, AUTO = "local", "auto"
ADDRESS = re.compile(r"(?:\w[\w.-]*|\[[0-9a-fA-F:]+\]):\d{1,5}", re.ASCII)
TRIES = 3
"""How often a cluster of this machine is started: Ray gives up after 30 seconds, too few on a crowded machine."""

CORES_OF_AN_ACTOR = 4
BUSY = "机器太忙时它起不来：请稍后再试，或不加 --ray 在一个进程里处理"
UNKNOWN = "请检查地址；集群要求令牌时，请设置 RAY_AUTH_MODE=token 和与集群相同的 RAY_AUTH_TOKEN"
MISSING = "没有安装 Ray：请运行 pip install -r requirements-ray.txt；不加 --ray 则在这台机器上处理，结果文件相同"


@dataclass(frozen=True, slots=True)
class Lot:
    """How many actors there are, what each is given, and its settings."""

    actors: int
    cpus: float
    gpus: float
    settings: Settings


def available() -> bool:
    """Whether Ray is installed."""
    return importlib.util.find_spec("ray") is not None


def check_address(address: str) -> None:
    """Raise InputError for an address that no cluster can have."""
    if address not in (LOCAL, AUTO) and not ADDRESS.fullmatch(address):
        raise InputError(f"Ray 集群的地址“{address}”无效：请写 local、auto，或 主机:端口，例如 10.0.0.5:6379")


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """The module `ray`, connected: local starts a cluster of this machine, auto and host:port find one.

    Raises InputError without Ray or for a malformed address, DeviceError when nobody answers there.
    """
    check_address(address)
    if not available():
        raise InputError(MISSING)
    import ray

    ours = not ray.is_initialized()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    if ours:
        _connect(ray, address)
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():  # Ray's own would end the process with an abort
                signal.signal(number, handler)
    try:
        yield ray
    finally:
        if ours:
            ray.shutdown()


def _connect(ray: Any, address: str) -> None:
    begin: dict[str, Any] = {"address": address}
    if address == LOCAL:
        # Without this Ray's workers give way to every other process of the machine, which no engine here does.
        begin |= {"include_dashboard": False, "_system_config": {"worker_niceness": 0}}
    for left in reversed(range(TRIES if address == LOCAL else 1)):
        before = set(psutil.Process().children(recursive=True))
        try:
            ray.init(
                **begin,
                log_to_driver=False,
                logging_level=logging.WARNING,
                # The actors import this very tree; machines of a cluster have it at the same place.
                runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}},
            )
            return
        except Exception as error:  # a node that does not come up in time is a bare Exception
            for process in set(psutil.Process().children(recursive=True)) - before:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            if not left:
                hint = BUSY if address == LOCAL else UNKNOWN
                raise DeviceError(f"连不上 Ray 集群 {address}：{error}。{hint}") from error


def share(ray: Any, settings: Settings, *, actors: int) -> Lot:
    """Divide the cluster: a card each, or on the CPU the cores; 0 actors: as many as there is room for.

    Raises InputError when so many have no room.
    """
    if actors < 0:
        raise InputError(f"--actors {actors} 无效：请取 1 或更大的数，0 为自动")
    has = ray.cluster_resources()
    cards, cores = int(has.get("GPU", 0)), int(has.get("CPU", 1))
    # An actor is a process of its own already.
    ground = settings.model_copy(update={"worker": "thread"})
    if cards and settings.device != "cpu":
        if actors > cards:
            raise InputError(f"--actors {actors}：集群只有 {cards} 张卡，每张卡一个")
        return Lot(actors or cards, 0.0, 1.0, ground)
    # One core stays with Ray Data itself where there are several.
    count = actors or max(1, cores // CORES_OF_AN_ACTOR)
    if count > cores:
        raise InputError(f"--actors {count}：集群只有 {cores} 个核")
    threads = max(1, cores // count)
    update = {"device": "cpu", "cpu_threads": settings.cpu_threads or threads}
    return Lot(count, float(threads), 0.0, ground.model_copy(update=update))
