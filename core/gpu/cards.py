"""One reading of every card: each value fails alone, with its reason kept."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.gpu import nvml
from core.gpu.card_health import XidWatch, read_health
from core.gpu.card_load import read_load
from core.gpu.host import user_of
from core.gpu.nvml import Driver, NvmlFailure
from core.gpu.reading import Reading
from core.gpu.records import GpuProcess, GpuSnapshot, TorchMemory
from core.gpu.torch_view import bare_uuid
from core.gpu.visible import Part, Visible, cuda_numbers

TORCH_UNREADABLE = "PyTorch 的显存读数失败，通常因为此前发生过 CUDA 错误：请重启服务"
COMPUTE_MODES = ("default", "exclusive_thread", "prohibited", "exclusive_process")
DRIVER_MODELS = ("WDDM", "TCC", "MCDM")


@dataclass(frozen=True, slots=True)
class Seat:
    """A card, or one MIG instance of it: what is read as one."""

    index: int
    handle: Any = None
    instance: tuple[int, Any] | None = None
    instances: int = 0
    problem: str | None = None


def read_cards(
    driver: Driver,
    torch: Mapping[str, TorchMemory] | None,
    *,
    own_pids: Sequence[int] = (),
    visible: Visible | None = None,
    xids: XidWatch | None = None,
) -> tuple[GpuSnapshot, ...]:
    """Every card, or in MIG mode every instance.

    `torch` is keyed by bare UUID; None when PyTorch could not be read. `own_pids`: the processes that count as ours,
    the likeliest first; empty: this one. Raises NvmlFailure when NVML is gone.
    """
    pids = tuple(own_pids) or (os.getpid(),)
    cards = []
    for seat in _seats(driver):
        if seat.problem:
            cards.append(GpuSnapshot(index=seat.index, problem=seat.problem))
        else:
            cards.append(_read_card(driver, seat, torch=torch, pids=pids, xids=xids))
    return _numbered(driver, cards, torch or {}, visible or Visible())


def _seats(driver: Driver) -> list[Seat]:
    seats: list[Seat] = []
    for index in range(int(driver.query("nvmlDeviceGetCount"))):
        try:
            handle = driver.query("nvmlDeviceGetHandleByIndex", index)
        except NvmlFailure as failure:
            seats.append(Seat(index, problem=failure.reason))
            continue
        found = _mig_instances(driver, handle)
        seats += [Seat(index, handle, one, len(found)) for one in found] or [Seat(index, handle)]
    return seats


def _numbered(
    driver: Driver, cards: Sequence[GpuSnapshot], torch: Mapping[str, TorchMemory], visible: Visible
) -> tuple[GpuSnapshot, ...]:
    """The cards with CUDA's numbers: CUDA's own word where it is in use, else read from the environment."""
    if torch:
        return tuple(
            replace(card, visible=card.torch is not None, cuda_index=card.torch.device_index if card.torch else None)
            for card in cards
        )
    parents: dict[int, str] = {}
    for card in cards:
        if card.mig_instance is not None and card.index not in parents:
            try:
                handle = driver.query("nvmlDeviceGetHandleByIndex", card.index)
                parents[card.index] = str(driver.query("nvmlDeviceGetUUID", handle))
            except NvmlFailure:
                parents[card.index] = ""
    parts = [
        Part(card.index, card.uuid or "", card.name or "", parents.get(card.index, ""), card.mig_instance)
        for card in cards
    ]
    numbers = cuda_numbers(parts, visible)
    if numbers is None:
        return tuple(cards)
    return tuple(
        replace(card, visible=place in numbers, cuda_index=numbers.get(place)) for place, card in enumerate(cards)
    )


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
    seat: Seat,
    *,
    torch: Mapping[str, TorchMemory] | None,
    pids: Sequence[int],
    xids: XidWatch | None,
) -> GpuSnapshot:
    """One card; of a MIG instance memory and processes are its own, heat, power and clocks the whole card's."""
    reading = Reading(driver)
    ask, keep, handle, instance = reading.ask, reading.keep, seat.handle, seat.instance
    part = instance[1] if instance else handle
    _read_identity(reading, handle, part)
    _read_memory(reading, part)
    read_load(reading, handle, whole=instance is None)
    read_health(reading, handle)
    mig = ask("mig_enabled", "nvmlDeviceGetMigMode", handle)
    keep("mig_enabled", None if mig is None else mig[0] == 1)
    keep("mig_instance", instance[0] if instance else None)
    parent = reading.values["uuid"] if instance is None else ask("parent_uuid", "nvmlDeviceGetUUID", handle)
    if xids is not None:
        heard = xids.of(str(parent))
        keep("xids", None if isinstance(heard, str) else heard)
        if isinstance(heard, str):
            reading.missing["xids"] = heard

    readings = torch or {}
    own_torch = readings.get(bare_uuid(reading.values["uuid"] or ""))
    if own_torch is None and instance and seat.instances == 1:
        # Some drivers give PyTorch the UUID of the whole card: with one visible instance that is no doubt.
        own_torch = readings.get(bare_uuid(parent or ""))
    if torch is None:
        reading.missing["torch"] = TORCH_UNREADABLE
    keep("torch", own_torch)
    _read_processes(reading, part, pids=pids, in_use=torch is None or own_torch is not None)
    return reading.snapshot(seat.index)


def _read_identity(reading: Reading, handle: Any, part: Any) -> None:
    ask, keep = reading.ask, reading.keep
    reading.read("uuid", "nvmlDeviceGetUUID", part)
    reading.read("name", "nvmlDeviceGetName", handle)
    reading.read("driver_version", "nvmlSystemGetDriverVersion")
    cuda = ask("cuda_version", "nvmlSystemGetCudaDriverVersion_v2")
    keep("cuda_version", None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}")
    capability = ask("capability", "nvmlDeviceGetCudaComputeCapability", handle)
    keep("capability", None if capability is None else ".".join(str(number) for number in capability))
    bus = ask("pci_bus_id", "nvmlDeviceGetPciInfo", handle)
    address = getattr(bus, "busId", None)
    keep("pci_bus_id", address.decode() if isinstance(address, bytes) else address)
    keep("compute_mode", _word(COMPUTE_MODES, ask("compute_mode", "nvmlDeviceGetComputeMode", handle)))
    model = ask("driver_model", ("nvmlDeviceGetDriverModel_v2", "nvmlDeviceGetDriverModel"), handle)
    keep("driver_model", _word(DRIVER_MODELS, model[0] if isinstance(model, list | tuple) else model))


def _word(words: Sequence[str], number: int | None) -> str | None:
    if number is None:
        return None
    return words[number] if 0 <= number < len(words) else str(number)


def _read_memory(reading: Reading, handle: Any) -> None:
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


def _read_processes(reading: Reading, handle: Any, *, pids: Sequence[int], in_use: bool) -> None:
    """Who is on the card, and how much of it is ours (see GpuSnapshot.own_source); `in_use`: by our PyTorch."""
    found: dict[int, GpuProcess] = {}
    answered = False
    for kind in ("Compute", "Graphics", "MPSCompute"):
        listed = reading.ask("processes", f"nvmlDeviceGet{kind}RunningProcesses", handle)
        answered = answered or listed is not None
        for process in listed or ():
            if process.pid not in found:
                found[process.pid] = _process(reading, process, graphics=kind == "Graphics")
    for used in reading.ask("process_load", "nvmlDeviceGetProcessUtilization", handle, 0) or () if found else ():
        if used.pid in found:
            found[used.pid] = replace(found[used.pid], sm_percent=int(used.smUtil))

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


def _process(reading: Reading, process: Any, *, graphics: bool) -> GpuProcess:
    path = reading.ask("process_name", "nvmlSystemGetProcessName", process.pid) or ""
    path = path.decode("utf-8", "replace") if isinstance(path, bytes) else path
    name = os.path.basename(path.split(" ")[0])
    memory = process.usedGpuMemory
    return GpuProcess(
        pid=int(process.pid),
        name=name,
        memory_bytes=None if memory is None else int(memory),
        user=user_of(int(process.pid), name),
        graphics=graphics,
    )
