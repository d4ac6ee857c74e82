"""A driver that answers from a script, so that every state of a card can be tested without one."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest

from core.gpu.nvml import MEMORY_V2, NvmlFailure

GIB = 1024**3


class ScriptedDriver:
    """Answers by function name; an answer may be a value, a failure, or a function of the arguments."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {**copy.deepcopy(HEALTHY), **answers}
        self.asked: list[str] = []

    def query(self, function: str, *arguments: Any) -> Any:
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
    if version == MEMORY_V2:
        return SimpleNamespace(total=80 * GIB, used=20 * GIB, free=59 * GIB, reserved=1 * GIB)
    return SimpleNamespace(total=80 * GIB, used=21 * GIB, free=59 * GIB)


HEALTHY: dict[str, Any] = {
    "nvmlInit": None,
    "nvmlShutdown": None,
    "nvmlDeviceGetCount": 1,
    "nvmlDeviceGetHandleByIndex": lambda index: f"card-{index}",
    "nvmlDeviceGetUUID": lambda handle: f"GPU-ABC-{handle}",
    "nvmlDeviceGetName": "NVIDIA H200",
    "nvmlSystemGetDriverVersion": "580.95.05",
    "nvmlSystemGetCudaDriverVersion_v2": 13000,
    "nvmlDeviceGetCudaComputeCapability": (9, 0),
    "nvmlDeviceGetMemoryInfo": memory,
    "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=37, memory=12),
    "nvmlDeviceGetTemperatureV": 41,
    "nvmlDeviceGetTemperatureThreshold": 90,
    "nvmlDeviceGetFieldValues": lambda handle, fields: [
        SimpleNamespace(nvmlReturn=0, value=SimpleNamespace(uiVal=48)) for _ in fields
    ],
    "nvmlDeviceGetPowerUsage": 123_400,
    "nvmlDeviceGetEnforcedPowerLimit": 700_000,
    "nvmlDeviceGetClockInfo": 1980,
    "nvmlDeviceGetMaxClockInfo": 1980,
    "nvmlDeviceGetPerformanceState": 0,
    "nvmlDeviceGetCurrentClocksEventReasons": 0x1,
    "nvmlDeviceGetFanSpeed": NvmlFailure(3),
    "nvmlDeviceGetEccMode": [1, 1],
    "nvmlDeviceGetTotalEccErrors": 0,
    "nvmlDeviceGetMigMode": [0, 0],
    "nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=4_000_001, usedGpuMemory=15 * GIB)],
    "nvmlDeviceGetGraphicsRunningProcesses": [],
    "nvmlSystemGetProcessName": "/usr/bin/python3 -m other.work",
}


@pytest.fixture
def scripted() -> type[ScriptedDriver]:
    return ScriptedDriver
