"""Readings of cards and host: frozen, in bytes, watts, MHz and °C; None means "not available", never zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

THROTTLE_REASONS: Mapping[int, str] = {
    0x001: "idle",
    0x002: "app_clocks",
    0x004: "sw_power_cap",
    0x008: "hw_slowdown",
    0x010: "sync_boost",
    0x020: "sw_thermal",
    0x040: "hw_thermal",
    0x080: "hw_power_brake",
    0x100: "display_clock",
    0x200: "board_limit",
    0x400: "reliability",
}
# What slows a busy card down is worth a word; an idle card or chosen clocks are not.
ALERTS = frozenset({"hw_slowdown", "hw_thermal", "hw_power_brake"})
WARNINGS = frozenset({"sw_power_cap", "sw_thermal", "reliability"})
INFORMATION = frozenset(THROTTLE_REASONS.values()) - ALERTS - WARNINGS


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process that NVML sees on a card; `memory_bytes` is None where the driver does not tell (Windows).

    `user` is None where the number is that of another system, as in a container; `sm_percent` is the share of time.
    """

    pid: int
    name: str
    memory_bytes: int | None
    own: bool = False
    user: str | None = None
    sm_percent: int | None = None
    graphics: bool = False


@dataclass(frozen=True, slots=True)
class Xid:
    """An error that the driver reported of a card, by NVIDIA's number, and when it was heard."""

    time_s: float
    number: int


@dataclass(frozen=True, slots=True)
class TorchMemory:
    """What PyTorch of this process holds on one card; the peaks are those of the present window (`core.gpu.peaks`)."""

    device_index: int
    allocated_bytes: int
    reserved_bytes: int
    peak_allocated_bytes: int
    peak_reserved_bytes: int
    inactive_split_bytes: int
    alloc_retries: int
    ooms: int
    active_bytes: int = 0
    segments: int = 0

    @property
    def unused_share(self) -> float:
        """The part of what is held that is not handed out, 0 to 1; much of it under load means fragmentation."""
        return 1 - self.allocated_bytes / self.reserved_bytes if self.reserved_bytes else 0.0


@dataclass(frozen=True, slots=True)
class GpuSnapshot:
    """One card, or one MIG instance of it, at one instant.

    `used_bytes` leaves the driver's own `driver_bytes` out where the driver tells them apart.
    `own_bytes` is what this whole process holds; `own_source` says how that is known: "pid" (the driver
    lists our process), "only" (the one process listed must be ours), "none" (CUDA is not in use here),
    "hidden" (a container hides the process numbers: only PyTorch's part is known).
    `cuda_index` is CUDA's number of it; `visible` says whether this process may use it (CUDA_VISIBLE_DEVICES).
    `energy_j` counts since the driver was loaded; `xids` are the errors since the first reading.
    `missing` maps the name of each value that is None to the reason; `problem` is set when the card is gone.
    """

    index: int
    uuid: str | None = None
    name: str | None = None
    driver_version: str | None = None
    cuda_version: str | None = None
    capability: str | None = None
    pci_bus_id: str | None = None
    compute_mode: str | None = None
    driver_model: str | None = None
    cuda_index: int | None = None
    visible: bool | None = None
    total_bytes: int | None = None
    used_bytes: int | None = None
    free_bytes: int | None = None
    driver_bytes: int | None = None
    own_bytes: int | None = None
    own_source: str = "none"
    torch: TorchMemory | None = None
    utilisation_percent: int | None = None
    memory_utilisation_percent: int | None = None
    temperature_c: int | None = None
    memory_temperature_c: int | None = None
    slowdown_temperature_c: int | None = None
    shutdown_temperature_c: int | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    energy_j: float | None = None
    sm_clock_mhz: int | None = None
    sm_clock_max_mhz: int | None = None
    memory_clock_mhz: int | None = None
    memory_clock_max_mhz: int | None = None
    performance_state: int | None = None
    throttle: tuple[str, ...] | None = None
    fan_percent: int | None = None
    ecc_enabled: bool | None = None
    ecc_uncorrected: int | None = None
    ecc_lifetime: int | None = None
    remapped_rows: int | None = None
    remap_pending: bool | None = None
    remap_failed: bool | None = None
    xids: tuple[Xid, ...] | None = None
    mig_enabled: bool | None = None
    mig_instance: int | None = None
    processes: tuple[GpuProcess, ...] | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None

    @property
    def others_bytes(self) -> int | None:
        """Memory held by other processes; None where it cannot be told from our own."""
        if self.used_bytes is None or self.own_bytes is None:
            return None
        return max(0, self.used_bytes - self.own_bytes)


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """This process and the machine; `cpu_percent` counts one busy core as 100.

    `peak_rss_bytes` is this process's highest since it started; the worker is the process of the model, if it has one.
    """

    rss_bytes: int | None = None
    total_bytes: int | None = None
    available_bytes: int | None = None
    cpu_percent: float | None = None
    machine_cpu_percent: float | None = None
    cores: int | None = None
    threads: int | None = None
    peak_rss_bytes: int | None = None
    swap_bytes: int | None = None
    worker_rss_bytes: int | None = None
    worker_cpu_percent: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """Everything read at one instant (`time_s`, seconds since 1970); `reason` says why there are no cards."""

    time_s: float
    host: HostSnapshot
    cards: tuple[GpuSnapshot, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth a mark in the history: model loaded, job done, flush, out of memory."""

    time_s: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the memory bar."""

    kind: str
    size_bytes: int


def memory_segments(card: GpuSnapshot) -> tuple[Segment, ...]:
    """The card's memory by owner, adding up to its total; empty when the total is unknown.

    Kinds in drawing order: driver, others (or unattributed, where others and our own context cannot be
    told apart), outside_torch, torch_cached, torch_allocated, free.
    """
    if card.total_bytes is None or card.used_bytes is None:
        return ()
    # PyTorch is read an instant after the driver: never let its part exceed what the driver counted.
    reserved = min(card.torch.reserved_bytes, card.used_bytes) if card.torch else 0
    allocated = min(card.torch.allocated_bytes, reserved) if card.torch else 0
    outside = 0
    if card.own_bytes is None:
        rest = Segment("unattributed", card.used_bytes - reserved)
    else:
        own = min(max(card.own_bytes, reserved), card.used_bytes)
        outside = own - reserved
        rest = Segment("others", card.used_bytes - own)
    driver = min(card.driver_bytes or 0, card.total_bytes - card.used_bytes)
    parts = (
        Segment("driver", driver),
        rest,
        Segment("outside_torch", outside),
        Segment("torch_cached", reserved - allocated),
        Segment("torch_allocated", allocated),
        Segment("free", card.total_bytes - card.used_bytes - driver),
    )
    return tuple(part for part in parts if part.size_bytes > 0 or part.kind == "free")


@dataclass(frozen=True, slots=True)
class CardPeak:
    """The most on one card: handed out and held by our PyTorch, and all that we held."""

    allocated_bytes: int = 0
    reserved_bytes: int = 0
    held_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Peaks:
    """The most since `since_s`, by the card's UUID, and of our processes' memory on the host together."""

    since_s: float
    cards: Mapping[str, CardPeak] = field(default_factory=dict)
    host_bytes: int = 0


@dataclass(frozen=True, slots=True)
class SamplerStatus:
    """How the readings come: age of the last one, and `stalled` when the driver does not answer any more.

    `sessions` counts the screens that asked lately; with none, and no job running, the sampler pauses.
    """

    age_s: float | None
    interval_s: float
    stalled: bool
    paused: bool
    sessions: int
