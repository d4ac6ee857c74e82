"""The machines that users meet, as scenarios of `scripts.scripted_cards`."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from core.gpu.nvml import CLOCK_SM, THRESHOLD_SHUTDOWN, NvmlFailure
from core.gpu.records import TorchMemory
from scripts.scripted_cards import WORKER_PID, Scenario, held, process, torch_on, wave

NAMES = {WORKER_PID: "/opt/rex/.venv/bin/python -c", 2211: "/usr/local/bin/vllm", 3127: "/usr/bin/python3 train.py"}
USUAL_EVENTS = (
    (1640.0, "load", "模型权重 269 MiB，上下文 503 MiB，预算 11.01 GiB"),
    (1638.0, "model", "已加载 nlp_deberta_rex-uninlu_chinese-base（cuda:0，float16）"),
    (1430.0, "job", "作业 12（ner）：0 / 2000 篇"),
    (1010.0, "job_end", "作业 12（ner）：2000 / 2000 篇，完成"),
    (760.0, "trim", "峰值已过：归还 1.92 GiB 缓存"),
    (300.0, "flush", "手动释放缓存"),
)


def _load(now: float, *, watts: float = 150, degrees: float = 45) -> dict[str, Any]:
    busy = wave(now, 700, 0.02, 1.0)
    return {
        "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=round(96 * busy), memory=round(41 * busy)),
        "nvmlDeviceGetTemperatureV": round(degrees * (0.72 + 0.28 * busy)),
        "nvmlDeviceGetPowerUsage": round(1000 * watts * (0.2 + 0.8 * busy)),
        "nvmlDeviceGetTotalEnergyConsumption": round(1000 * (8_640_000 + watts * 0.6 * (now % 100_000))),
        "nvmlDeviceGetCurrentClocksEventReasons": 0x0 if busy > 0.2 else 0x1,
        "nvmlDeviceGetClockInfo": lambda handle, kind: 1695 if kind == CLOCK_SM else 6251,
        "nvmlDeviceGetMaxClockInfo": lambda handle, kind: 1695 if kind == CLOCK_SM else 6251,
        "nvmlSystemGetProcessName": lambda pid: NAMES.get(pid, "/usr/bin/python3"),
    }


def _a10(now: float) -> dict[str, Any]:
    ours = 1.3 + _reserved(now) - 0.8
    return {
        **_load(now),
        "nvmlDeviceGetName": "NVIDIA A10",
        "nvmlDeviceGetCudaComputeCapability": (8, 6),
        "nvmlDeviceGetEnforcedPowerLimit": 150_000,
        "nvmlDeviceGetMemoryInfo": held(22.49, 4.0 + ours, 0.43),
        "nvmlDeviceGetComputeRunningProcesses": [process(WORKER_PID, ours), process(2211, 4.0)],
        "nvmlDeviceGetProcessUtilization": [SimpleNamespace(pid=WORKER_PID, smUtil=round(wave(now, 700, 1, 88)))],
        "nvmlDeviceGetTemperatureThreshold": lambda handle, kind: 98 if kind == THRESHOLD_SHUTDOWN else 95,
        "nvmlDeviceGetFieldValues": lambda handle, fields: [
            SimpleNamespace(nvmlReturn=3, value=SimpleNamespace(uiVal=0)) for _ in fields
        ],
    }


def _reserved(now: float) -> float:
    return wave(now, 700, 1.1, 6.2)


def _torch(now: float) -> Mapping[str, TorchMemory]:
    return {"abc-card-0": torch_on(0, wave(now, 700, 0.27, 3.1), _reserved(now))}


def _throttled(now: float) -> dict[str, Any]:
    slow = {"nvmlDeviceGetClockInfo": lambda handle, kind: 945 if kind == CLOCK_SM else 6251}
    return {
        **_a10(now),
        **slow,
        "nvmlDeviceGetTemperatureV": 96,
        "nvmlDeviceGetPowerUsage": 149_600,
        "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=99, memory=38),
        "nvmlDeviceGetCurrentClocksEventReasons": 0x4 | 0x20 | 0x40 | 0x2,
    }


def _mig(now: float) -> dict[str, Any]:
    def instance(handle: str, number: int) -> Any:
        return f"mig-{number}" if number in (0, 3) else NvmlFailure(6)

    def sizes(handle: str, version: int | None = None) -> Any:
        if handle == "card-0":
            return NvmlFailure(4)
        return held(9.75, 1.9 if handle == "mig-0" else 4.4, 0.01)(handle, version)

    def listed(handle: str) -> Any:
        return [process(WORKER_PID, 1.9)] if handle == "mig-0" else [process(3127, 4.4)]

    return {
        **_load(now, watts=400, degrees=52),
        "nvmlDeviceGetName": "NVIDIA A100-SXM4-80GB",
        "nvmlDeviceGetCudaComputeCapability": (8, 0),
        "nvmlDeviceGetEnforcedPowerLimit": 400_000,
        "nvmlDeviceGetMigMode": [1, 1],
        "nvmlDeviceGetMaxMigDeviceCount": 7,
        "nvmlDeviceGetMigDeviceHandleByIndex": instance,
        "nvmlDeviceGetMemoryInfo": sizes,
        "nvmlDeviceGetUUID": lambda handle: f"MIG-{handle}" if handle.startswith("mig") else f"GPU-ABC-{handle}",
        "nvmlDeviceGetUtilizationRates": NvmlFailure(3),
        "nvmlDeviceGetComputeRunningProcesses": listed,
    }


def _wddm(now: float) -> dict[str, Any]:
    return {
        **_a10(now),
        "nvmlDeviceGetName": "NVIDIA GeForce RTX 4080",
        "nvmlDeviceGetDriverModel_v2": [0, 0],
        "nvmlDeviceGetFanSpeed": 38,
        "nvmlDeviceGetEccMode": NvmlFailure(3),
        "nvmlDeviceGetTotalEccErrors": NvmlFailure(3),
        "nvmlDeviceGetRemappedRows": NvmlFailure(3),
        "nvmlDeviceGetRetiredPages": NvmlFailure(3),
        "nvmlDeviceGetRetiredPagesPendingStatus": NvmlFailure(3),
        "nvmlDeviceGetComputeRunningProcesses": [process(WORKER_PID, None), process(2211, None)],
        "nvmlEventSetCreate": NvmlFailure(3),
    }


def _several(now: float) -> dict[str, Any]:
    sizes = {"card-0": held(79.65, 61.2, 0.6), "card-1": held(79.65, 7.4, 0.6), "card-3": held(79.65, 0.0, 0.6)}

    def listed(handle: str) -> Any:
        return {"card-0": [process(3127, 61.2)], "card-1": [process(WORKER_PID, 7.4)]}.get(handle, [])

    def uses(handle: str) -> Any:
        busy = {"card-0": (99, 61), "card-1": (round(wave(now, 700, 2, 93)), 33)}.get(handle, (0, 0))
        return SimpleNamespace(gpu=busy[0], memory=busy[1])

    return {
        **_load(now),
        "nvmlDeviceGetCount": 4,
        "nvmlDeviceGetHandleByIndex": lambda index: NvmlFailure(15) if index == 2 else f"card-{index}",
        "nvmlDeviceGetName": "NVIDIA H100 80GB HBM3",
        "nvmlDeviceGetEnforcedPowerLimit": 700_000,
        "nvmlDeviceGetMemoryInfo": lambda handle, version=None: sizes[handle](handle, version),
        "nvmlDeviceGetComputeRunningProcesses": listed,
        "nvmlDeviceGetUtilizationRates": uses,
        "nvmlDeviceGetTemperatureV": lambda handle, sensor: {"card-0": 71, "card-1": 55}.get(handle, 33),
        "nvmlDeviceGetPowerUsage": lambda handle: {"card-0": 641_000, "card-1": 312_000}.get(handle, 71_000),
        "nvmlDeviceGetCurrentClocksEventReasons": lambda handle: {"card-0": 0x4, "card-3": 0x1}.get(handle, 0),
    }


def _sick(now: float) -> dict[str, Any]:
    return {
        **_a10(now),
        "nvmlDeviceGetTotalEccErrors": lambda handle, kind, counter: 2 if counter == 0 else 5,
        "nvmlDeviceGetRemappedRows": (0, 3, 1, 0),
    }


def _oom(now: float) -> dict[str, Any]:
    listed = [process(WORKER_PID, 2.2), process(2211, 19.5)]
    return {
        **_a10(now),
        "nvmlDeviceGetMemoryInfo": held(22.49, 21.7, 0.43),
        "nvmlDeviceGetComputeRunningProcesses": listed,
    }


def _refused(code: int) -> Scenario:
    return Scenario(lambda now: {"nvmlInit": NvmlFailure(code)})


SCENARIOS: dict[str, Scenario] = {
    "normal": Scenario(_a10, _torch, USUAL_EVENTS),
    "no_driver": _refused(12),
    "not_loaded": _refused(9),
    "mismatch": _refused(18),
    "mig": Scenario(_mig, lambda now: {"mig-0": torch_on(0, 0.4, 1.4)}, USUAL_EVENTS),
    "wddm": Scenario(_wddm, _torch),
    "container": Scenario(lambda now: {**_a10(now), "nvmlDeviceGetComputeRunningProcesses": []}, _torch, USUAL_EVENTS),
    "lost": Scenario(lambda now: {**_a10(now), "nvmlDeviceGetHandleByIndex": NvmlFailure(15)}),
    "throttled": Scenario(_throttled, _torch, USUAL_EVENTS),
    "oom": Scenario(
        _oom,
        lambda now: {"abc-card-0": torch_on(0, 1.2, 1.7, ooms=3)},
        (
            *USUAL_EVENTS,
            (41.0, "oom", "32 × 512 词元的批次显存不足（可用 412 MiB），拆分后重试"),
            (40.0, "shrink", "上下文增至 512 MiB，缓存上限降为 1.69 GiB"),
        ),
    ),
    "several": Scenario(_several, lambda now: {"abc-card-1": torch_on(0, 0.6, 6.9)}, USUAL_EVENTS),
    "sick": Scenario(_sick, _torch, USUAL_EVENTS, xids=(48,)),
}
"""By name; every one is played to the monitor and to the page."""
