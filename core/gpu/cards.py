"""One reading of every card: each value fails alone, with its reason kept."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from core.gpu import nvml
from core.gpu.nvml import Driver, NvmlFailure
from core.gpu.records import THROTTLE_REASONS, GpuProcess, GpuSnapshot, TorchMemory
from core.gpu.torch_view import bare_uuid

TORCH_UNREADABLE = "PyTorch 的显存读数失败，通常因为此前发生过 CUDA 错误：请重启服务"
_FIELDS = frozenset(field.name for field in fields(GpuSnapshot))


class _Reading:
    """Collects the values of one card; a failed query leaves None and its reason."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.values: dict[str, Any] = {}
        self.missing: dict[str, str] = {}
        self.lost = False

    def ask(self, name: str, functions: tuple[str, ...] | str, *arguments: Any) -> Any:
        """The first answer among `functions`; later ones are older names of the same question."""
        for function in (functions,) if isinstance(functions, str) else functions:
            try:
                return self.driver.query(function, *arguments)
            except NvmlFailure as failure:
                self.missing[name] = failure.reason
                self.lost = self.lost or failure.code == nvml.LOST
        return None

    def keep(self, name: str, value: Any) -> None:
        """Store one value; what has a value is not missing."""
        self.values[name] = value
        if value is not None:
            self.missing.pop(name, None)


def read_cards(
    driver: Driver, torch: Mapping[str, TorchMemory] | None, *, own_pids: Sequence[int] = ()
) -> tuple[GpuSnapshot, ...]:
    """Every card, or in MIG mode every instance.

    `torch` is keyed by bare UUID; None when PyTorch could not be read. `own_pids`: the processes that count as ours,
    the likeliest first; empty: this one. Raises NvmlFailure when NVML is gone.
    """
    pids = tuple(own_pids) or (os.getpid(),)
    cards: list[GpuSnapshot] = []
    for index in range(int(driver.query("nvmlDeviceGetCount"))):
        try:
            handle = driver.query("nvmlDeviceGetHandleByIndex", index)
        except NvmlFailure as failure:
            cards.append(GpuSnapshot(index=index, problem=failure.reason))
            continue
        instances = _mig_instances(driver, handle)
        if not instances:
            cards.append(_read_card(driver, index, handle, torch=torch, pids=pids))
        for number, instance in instances:
            part = (number, instance)
            cards.append(_read_card(driver, index, handle, torch=torch, pids=pids, instance=part, of=len(instances)))
    return tuple(cards)


def _mig_instances(driver: Driver, handle: Any) -> list[tuple[int, Any]]:
    """Number and handle of each MIG instance that this process may see."""
    try:
        if driver.query("nvmlDeviceGetMigMode", handle)[0] != 1:
            return []
        slots = driver.query("nvmlDeviceGetMaxMigDeviceCount", handle)
    except NvmlFailure:
        return []
    found = []
    for number in range(int(slots)):
        try:
            found.append((number, driver.query("nvmlDeviceGetMigDeviceHandleByIndex", handle, number)))
        except NvmlFailure:
            continue  # an empty slot
    return found


def _read_card(
    driver: Driver,
    index: int,
    handle: Any,
    *,
    torch: Mapping[str, TorchMemory] | None,
    pids: Sequence[int],
    instance: tuple[int, Any] | None = None,
    of: int = 0,
) -> GpuSnapshot:
    """One card; of a MIG `instance` memory and processes are its own, heat, power and clocks the whole card's."""
    reading = _Reading(driver)
    ask, keep = reading.ask, reading.keep
    part = instance[1] if instance else handle
    keep("uuid", ask("uuid", "nvmlDeviceGetUUID", part))
    keep("name", ask("name", "nvmlDeviceGetName", handle))
    keep("driver_version", ask("driver_version", "nvmlSystemGetDriverVersion"))
    cuda = ask("cuda_version", "nvmlSystemGetCudaDriverVersion_v2")
    keep("cuda_version", None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}")
    capability = ask("capability", "nvmlDeviceGetCudaComputeCapability", handle)
    keep("capability", None if capability is None else ".".join(str(number) for number in capability))
    _read_memory(reading, part)
    _read_load(reading, handle, whole=instance is None)
    ecc = ask("ecc_enabled", "nvmlDeviceGetEccMode", handle)
    keep("ecc_enabled", None if ecc is None else bool(ecc[0]))
    errors = ("nvmlDeviceGetTotalEccErrors", handle, nvml.ECC_UNCORRECTED, nvml.ECC_VOLATILE)
    keep("ecc_uncorrected", ask("ecc_uncorrected", *errors))
    mig = ask("mig_enabled", "nvmlDeviceGetMigMode", handle)
    keep("mig_enabled", None if mig is None else mig[0] == 1)
    keep("mig_instance", instance[0] if instance else None)

    readings = torch or {}
    own_torch = readings.get(bare_uuid(reading.values["uuid"] or ""))
    if own_torch is None and instance and of == 1:
        # Some drivers give PyTorch the UUID of the whole card: with one visible instance that is no doubt.
        own_torch = readings.get(bare_uuid(ask("parent_uuid", "nvmlDeviceGetUUID", handle) or ""))
    if torch is None:
        reading.missing["torch"] = TORCH_UNREADABLE
    _read_processes(reading, part, pids=pids, in_use=torch is None or own_torch is not None)
    return GpuSnapshot(
        index=index,
        torch=own_torch,
        missing={name: reason for name, reason in reading.missing.items() if name in _FIELDS},
        problem=NvmlFailure(nvml.LOST).reason if reading.lost else None,
        **reading.values,
    )


def _read_memory(reading: _Reading, handle: Any) -> None:
    memory = reading.ask("total_bytes", "nvmlDeviceGetMemoryInfo", handle, nvml.MEMORY_V2)
    if memory is None:  # drivers before 510 know only the first form, which counts its own memory as used
        memory = reading.ask("total_bytes", "nvmlDeviceGetMemoryInfo", handle)
    for name, attribute in (("total_bytes", "total"), ("used_bytes", "used"), ("free_bytes", "free")):
        value = getattr(memory, attribute, None)
        reading.keep(name, None if value is None else int(value))
        if value is None:
            reading.missing[name] = reading.missing["total_bytes"]
    reserved = getattr(memory, "reserved", None)
    reading.keep("driver_bytes", None if reserved is None else int(reserved))


def _read_load(reading: _Reading, handle: Any, *, whole: bool) -> None:
    ask, keep = reading.ask, reading.keep
    # NVML has no utilisation of a MIG instance, and the whole card's would mislead.
    rates = ask("utilisation_percent", "nvmlDeviceGetUtilizationRates", handle) if whole else None
    reason = reading.missing.get("utilisation_percent", NvmlFailure(nvml.NOT_SUPPORTED).reason)
    for name, attribute in (("utilisation_percent", "gpu"), ("memory_utilisation_percent", "memory")):
        keep(name, getattr(rates, attribute, None))
        if rates is None:
            reading.missing[name] = reason
    temperature = ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature")
    keep("temperature_c", ask("temperature_c", temperature, handle, nvml.SENSOR_GPU))
    threshold = ("nvmlDeviceGetTemperatureThreshold", handle, nvml.THRESHOLD_SLOWDOWN)
    keep("slowdown_temperature_c", ask("slowdown_temperature_c", *threshold))
    values = ask("memory_temperature_c", "nvmlDeviceGetFieldValues", handle, [nvml.FIELD_MEMORY_TEMPERATURE])
    if values and values[0].nvmlReturn == 0:
        keep("memory_temperature_c", int(values[0].value.uiVal))
    for name, function in (
        ("power_w", "nvmlDeviceGetPowerUsage"),
        ("power_limit_w", "nvmlDeviceGetEnforcedPowerLimit"),
    ):
        milliwatts = ask(name, function, handle)
        keep(name, None if milliwatts is None else milliwatts / 1000)
    for name, function, clock in (
        ("sm_clock_mhz", "nvmlDeviceGetClockInfo", nvml.CLOCK_SM),
        ("sm_clock_max_mhz", "nvmlDeviceGetMaxClockInfo", nvml.CLOCK_SM),
        ("memory_clock_mhz", "nvmlDeviceGetClockInfo", nvml.CLOCK_MEMORY),
        ("memory_clock_max_mhz", "nvmlDeviceGetMaxClockInfo", nvml.CLOCK_MEMORY),
    ):
        keep(name, ask(name, function, handle, clock))
    keep("performance_state", ask("performance_state", "nvmlDeviceGetPerformanceState", handle))
    reasons = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
    keep("throttle", decode_throttle(ask("throttle", reasons, handle)))
    keep("fan_percent", ask("fan_percent", "nvmlDeviceGetFanSpeed", handle))


def decode_throttle(bits: int | None) -> tuple[str, ...] | None:
    """The names behind NVML's clock event bits; None stays None."""
    return None if bits is None else tuple(name for bit, name in THROTTLE_REASONS.items() if bits & bit)


def _read_processes(reading: _Reading, handle: Any, *, pids: Sequence[int], in_use: bool) -> None:
    """Who is on the card, and how much of it is ours (see GpuSnapshot.own_source); `in_use`: by our PyTorch."""
    found: dict[int, GpuProcess] = {}
    answered = False
    for function in ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses"):
        listed = reading.ask("processes", function, handle)
        answered = answered or listed is not None
        for process in listed or ():
            if process.pid not in found:
                found[process.pid] = _process(reading, process)

    listed_own = [pid for pid in pids if pid in found]
    if not in_use:
        # Nothing but PyTorch uses CUDA in our processes; a number like ours in the list is the host's, not ours.
        source, ours = "none", None
    elif listed_own:
        source, ours = "pid", listed_own[0]
    elif len(found) == 1:
        source, ours = "only", next(iter(found))
    else:
        source, ours = "hidden", None
    if ours is not None:
        found[ours] = replace(found[ours], own=True)
    processes = tuple(sorted(found.values(), key=lambda process: -(process.memory_bytes or 0)))
    reading.keep("processes", processes if answered else None)
    reading.keep("own_source", source)
    reading.keep("own_bytes", 0 if source == "none" else found[ours].memory_bytes if ours is not None else None)


def _process(reading: _Reading, process: Any) -> GpuProcess:
    path = reading.ask("process_name", "nvmlSystemGetProcessName", process.pid) or ""
    memory = process.usedGpuMemory
    return GpuProcess(
        pid=int(process.pid),
        name=os.path.basename(path.split(" ")[0]),
        memory_bytes=None if memory is None else int(memory),
    )
