"""Cards of every kind and in every state, played from a script, for tests and pictures on a machine without one.

Nothing of the product imports this: it is put in the place of the driver from outside.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from core.gpu.monitor import GpuMonitor
from core.gpu.nvml import MEMORY_V2, THRESHOLD_SHUTDOWN, NvmlFailure
from core.gpu.records import TorchMemory

GIB = 1024**3
MIB = 1024**2
WORKER_PID = 4321


class ScriptedDriver:
    """Answers by function name; an answer may be a value, a failure, or a function of the arguments."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {**copy.deepcopy(HEALTHY), **answers}
        self.asked: list[str] = []

    def query(self, function: str, *arguments: Any) -> Any:
        """The scripted answer; raises NvmlFailure where the script says so."""
        self.asked.append(function)
        if function not in self.answers:
            raise NvmlFailure(13)
        answer = self.answers[function]
        if callable(answer):
            answer = answer(*arguments)
        if isinstance(answer, NvmlFailure):
            raise answer
        return answer


def memory(handle: str, version: int | None = None) -> SimpleNamespace:
    """80 GiB, of which 20 used and 1 the driver's; the first form counts the driver's as used."""
    return held(80, 20, 1)(handle, version)


def held(total: float, used: float, reserved: float) -> Callable[..., SimpleNamespace]:
    """A card's memory in GiB, in both forms of the question."""
    free = total - used - reserved

    def answer(handle: str, version: int | None = None) -> SimpleNamespace:
        sizes = {"total": round(total * GIB), "free": round(free * GIB)}
        if version == MEMORY_V2:
            return SimpleNamespace(**sizes, used=round(used * GIB), reserved=round(reserved * GIB))
        return SimpleNamespace(**sizes, used=round((used + reserved) * GIB))

    return answer


def process(pid: int, gib: float | None) -> SimpleNamespace:
    """A process on a card."""
    return SimpleNamespace(pid=pid, usedGpuMemory=None if gib is None else round(gib * GIB))


def nothing_heard(events: Any, timeout_ms: int) -> NvmlFailure:
    """No XID error came."""
    return NvmlFailure(10)


HEALTHY: dict[str, Any] = {
    "nvmlInit": None,
    "nvmlShutdown": None,
    "nvmlDeviceGetCount": 1,
    "nvmlDeviceGetHandleByIndex": lambda index: f"card-{index}",
    "nvmlDeviceGetUUID": lambda handle: f"GPU-ABC-{handle}",
    "nvmlDeviceGetName": "NVIDIA H200",
    "nvmlDeviceGetPciInfo": SimpleNamespace(busId="00000000:1B:00.0"),
    "nvmlDeviceGetComputeMode": 0,
    "nvmlDeviceGetDriverModel_v2": NvmlFailure(3),
    "nvmlDeviceGetDriverModel": NvmlFailure(3),
    "nvmlSystemGetDriverVersion": "580.95.05",
    "nvmlSystemGetCudaDriverVersion_v2": 13000,
    "nvmlDeviceGetCudaComputeCapability": (9, 0),
    "nvmlDeviceGetMemoryInfo": memory,
    "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=37, memory=12),
    "nvmlDeviceGetTemperatureV": 41,
    "nvmlDeviceGetTemperatureThreshold": lambda handle, kind: 95 if kind == THRESHOLD_SHUTDOWN else 90,
    "nvmlDeviceGetFieldValues": lambda handle, fields: [
        SimpleNamespace(nvmlReturn=0, value=SimpleNamespace(uiVal=48)) for _ in fields
    ],
    "nvmlDeviceGetPowerUsage": 123_400,
    "nvmlDeviceGetEnforcedPowerLimit": 700_000,
    "nvmlDeviceGetTotalEnergyConsumption": 9_876_000,
    "nvmlDeviceGetClockInfo": 1980,
    "nvmlDeviceGetMaxClockInfo": 1980,
    "nvmlDeviceGetPerformanceState": 0,
    "nvmlDeviceGetCurrentClocksEventReasons": 0x1,
    "nvmlDeviceGetFanSpeed": NvmlFailure(3),
    "nvmlDeviceGetEccMode": [1, 1],
    "nvmlDeviceGetTotalEccErrors": 0,
    "nvmlDeviceGetRemappedRows": (0, 0, 0, 0),
    "nvmlDeviceGetMigMode": [0, 0],
    "nvmlDeviceGetComputeRunningProcesses": [process(4_000_001, 15)],
    "nvmlDeviceGetGraphicsRunningProcesses": [],
    "nvmlDeviceGetMPSComputeRunningProcesses": [],
    "nvmlDeviceGetProcessUtilization": NvmlFailure(6),
    "nvmlSystemGetProcessName": "/usr/bin/python3 -m other.work",
    "nvmlEventSetCreate": "events",
    "nvmlDeviceRegisterEvents": None,
    "nvmlEventSetWait_v2": nothing_heard,
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A machine: the driver's answers at a moment (seconds), what PyTorch of our worker holds, by bare UUID, then.

    `events`: what happened before, seconds ago, kind and sentence; `xids`: errors of the first card, told once.
    """

    answers: Callable[[float], Mapping[str, Any]]
    torch: Callable[[float], Mapping[str, TorchMemory] | None] = lambda now: {}
    events: tuple[tuple[float, str, str], ...] = ()
    xids: tuple[int, ...] = ()

    def driver(self, clock: Callable[[], float] = lambda: 0.0) -> ScriptedDriver:
        """A driver that answers as of `clock`."""
        made = ScriptedDriver()
        untold = list(self.xids)

        def query(function: str, *arguments: Any) -> Any:
            if function == "nvmlEventSetWait_v2" and untold:
                return SimpleNamespace(device="card-0", eventType=8, eventData=untold.pop(0))
            made.answers = {**HEALTHY, **self.answers(clock())}
            return ScriptedDriver.query(made, function, *arguments)

        made.query = query  # type: ignore[method-assign]
        return made


class ScriptedWorker:
    """The process of a model, as the monitor follows it."""

    def __init__(self, torch: Callable[[], Mapping[str, TorchMemory] | None], *, pid: int = WORKER_PID) -> None:
        self.info = SimpleNamespace(pid=pid)
        self._torch = torch

    def cards(self) -> dict[str, TorchMemory] | None:
        """What PyTorch holds there."""
        told = self._torch()
        return None if told is None else dict(told)


def played(scenario: Scenario, clock: Callable[[], float], **options: Any) -> GpuMonitor:
    """A monitor of a scripted machine."""
    monitor = GpuMonitor(backend=scenario.driver(clock), clock=clock, **options)
    monitor.follow(ScriptedWorker(lambda: scenario.torch(clock())))
    return monitor


def wave(now: float, period_s: float, low: float, high: float) -> float:
    """A value that goes up and down as loads do: steep, with a flat top."""
    return low + (high - low) / (1 + math.exp(-6 * math.sin(2 * math.pi * now / period_s)))


def torch_on(index: int, allocated: float, reserved: float, *, ooms: int = 0) -> TorchMemory:
    """PyTorch's memory on a card, sizes in GiB."""
    return TorchMemory(
        device_index=index,
        allocated_bytes=round(allocated * GIB),
        reserved_bytes=round(reserved * GIB),
        peak_allocated_bytes=round((allocated + 0.75 * (reserved - allocated)) * GIB),
        peak_reserved_bytes=round(reserved * GIB),
        inactive_split_bytes=round(0.2 * (reserved - allocated) * GIB),
        alloc_retries=ooms,
        ooms=ooms,
        active_bytes=round((allocated + 0.05) * GIB),
        segments=round(12 + 4 * reserved),
    )
