"""Who holds the network: the one interface behind which it lives in this process or in one of its own."""

from __future__ import annotations

import gc
import itertools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from core.config import Settings
from core.errors import DeviceError, GpuMemoryError
from core.gpu.flush import FlushReport, MemoryReading, flush, read_memory
from core.gpu.meter import gib
from core.gpu.profiles import Profile
from core.gpu.records import TorchMemory
from core.gpu.tenant import Tenant, TenantStatus, move_in
from core.gpu.torch_view import new_window, torch_memory
from core.inference.forward import run as forward
from core.inference.graphs import Graphs
from core.inference.matching import Matched, match
from core.inference.packing import Packed, Ragged, Raw, lay_out
from core.inference.pauses import pausing
from core.model.backends import check_attention
from core.model.checkpoint import Checkpoint, load_weights, read_files, resolve_device

THREAD, PROCESS = "thread", "process"
GRAPHS_BYTES = 768 * 2**20
"""What all sizes of `graphs.py` take together, roughly: their pool, and 20 MiB of the driver's for each."""

STAGES = ("device", "weights", "attention", "calibration")
"""Of loading: start of the device, weights into its memory, check of the kernel, measuring of batches."""

Pause = Callable[[], None]
Record = Callable[[str, str], None]
"""Takes the kind of an event (load, trim, oom, shrink, flush, restart, unload) and a sentence for the screen."""


@dataclass(frozen=True, slots=True)
class OwnerInfo:
    """A loaded network: `worker` is thread or process, `pid` the process that holds it.

    `threads`: of one pass on the CPU; `load_s`: seconds. `stages`: what else came before the first batch, with its
    seconds.
    """

    worker: str
    pid: int
    profile: Profile
    device: str
    dtype: str
    parameters: int
    threads: int
    load_s: float
    stages: tuple[tuple[str, float], ...] = ()


class Recalled(Exception):
    """The batch was not begun: it was called back."""


class DeviceOwner(Protocol):
    """Holds the network; one thread at a time calls it, except for `info`, `loaded`, `cards` and `recall`."""

    @property
    def depth(self) -> int:
        """Batches that may be begun before the first is finished."""

    @property
    def info(self) -> OwnerInfo | None:
        """What is or was loaded last; None before the first load."""

    @property
    def loaded(self) -> bool:
        """Whether the network is in memory."""

    def load(self) -> OwnerInfo:
        """Load the network unless it is loaded."""

    def unload(self) -> None:
        """Let the network go; the next batch loads it again."""

    def start(self, batch: Ragged) -> None:
        """Begin a batch behind those begun before; never raises. `finish` must follow before anything but this."""

    def finish(self, pause: Pause | None = None) -> Matched:
        """Wait for the first batch that was begun; raises what it met, Recalled when that was `recall`.

        On the CPU of this process `pause` is called between its steps, and may `run` other batches.
        """

    def recall(self) -> None:
        """Call back what is begun only in name, behind a batch that runs; from any thread, never waits for a batch."""

    def run(self, batch: Ragged) -> Matched:
        """Begin a batch and wait for it."""

    def memory(self) -> MemoryReading:
        """What the process of the network holds now."""

    def cards(self) -> dict[str, TorchMemory] | None:
        """PyTorch's memory by card as last heard, without waiting; None when CUDA refuses to say."""

    def new_window(self) -> dict[str, TorchMemory] | None:
        """Begin a new window of PyTorch's peaks; the memory with those of the old one, None when CUDA is gone."""

    def flush(self) -> FlushReport:
        """Give cached memory back."""

    def trim(self) -> None:
        """Give cached memory back in a pause."""

    def status(self) -> TenantStatus | None:
        """Card, profile and budget as last heard, without waiting; None while the network is not loaded."""

    def close(self) -> None:
        """Let everything go, for good."""


@dataclass(frozen=True, slots=True)
class Held:
    """A network and the tenancy that bounds its memory."""

    checkpoint: Checkpoint
    tenant: Tenant
    graphs: Graphs | None = None
    stages: tuple[tuple[str, float], ...] = ()


Load = Callable[[Record], Held]


def silent(kind: str, text: str) -> None:
    """The record of those who tell nobody."""


def hold(checkpoint: Checkpoint) -> Load:
    """Use a checkpoint that is loaded already."""

    def load(record: Record) -> Held:
        settings = Settings(device=str(checkpoint.device), dtype=str(checkpoint.dtype).removeprefix("torch."))
        return Held(checkpoint, move_in(settings, checkpoint.device, record=record))

    return load


def from_settings(settings: Settings) -> Load:
    """Load what the settings name, inside the memory budget, and measure what batches cost."""

    def load(record: Record) -> Held:
        begun = [time.monotonic()]
        device = resolve_device(settings.device)
        files = read_files(settings.model, revision=settings.model_revision, download_dir=settings.download_dir)
        tenant = move_in(settings, device, record=record)
        profile = tenant.profile
        begun.append(time.monotonic())
        try:
            checkpoint = tenant.governor.load(
                lambda: load_weights(files, device=str(device), dtype=profile.dtype, threads=profile.cpu_threads)
            )
        except GpuMemoryError as error:  # whose `row` would blame a prompt
            raise DeviceError(str(error)) from error
        begun.append(time.monotonic())
        if doubt := check_attention(profile.attention, device, checkpoint.dtype):
            record("error", doubt)
        checkpoint.model.plm.backend = profile.attention
        begun.append(time.monotonic())
        if device.type == "cuda":
            # Cached memory is given back behind a collection, in every probe and later: what is loaded stays, and need
            # not be looked through each time.
            gc.collect()
            gc.freeze()
        tenant.governor.calibrate(
            lambda rows, width: forward(checkpoint.model, blank(rows, width), device), widest=profile.max_length
        )
        recorded = profile.graphs and device.type == "cuda"
        if recorded and settings.graphs == "auto" and not _leaves_room(tenant):
            record("shrink", f"显存预算容不下满批和录制的图（约 {gib(GRAPHS_BYTES)}）：小批次逐步执行")
            recorded = False
        begun.append(time.monotonic())
        taken = zip(STAGES, (round(b - a, 3) for a, b in itertools.pairwise(begun)), strict=True)
        graphs = Graphs(checkpoint.model, device, record=record) if recorded else None
        return Held(checkpoint, tenant, graphs, tuple(taken))

    return load


def _leaves_room(tenant: Tenant) -> bool:
    """Whether a full batch fits beside all graphs."""
    profile, governor = tenant.profile, tenant.governor
    rows = max(1, profile.batch_tokens // profile.max_length)
    return governor.largest_rows(profile.max_length, besides=GRAPHS_BYTES) >= rows


def blank(rows: int, width: int) -> Packed:
    """A batch of that size that asks nothing, to measure with."""
    ids = np.zeros((4, rows, width), np.int16)
    ids[1] = np.arange(width)
    return Packed(
        ids=ids,
        lengths=np.full(rows, width, np.int32),
        text_starts=np.ones(rows, np.int32),
        class_indices=np.full(rows, -1, np.int32),
        marks=np.stack((np.arange(rows), np.zeros(rows)), axis=1).astype(np.int32),
        bars=np.full(rows, np.inf, np.float32),
        max_distance=width - 1,
    )


class LocalOwner:
    """The network in this process, loaded on first use."""

    depth = 1

    def __init__(self, load: Load, *, record: Record = silent) -> None:
        self._load, self._record = load, record
        self._held: Held | None = None
        self._batch: Ragged | None = None
        self._info: OwnerInfo | None = None

    @property
    def info(self) -> OwnerInfo | None:
        """What is or was loaded last; None before the first load."""
        return self._info

    @property
    def loaded(self) -> bool:
        """Whether the network is in memory."""
        return self._held is not None

    def load(self) -> OwnerInfo:
        """Load the network unless it is loaded."""
        return self._hold()[1]

    def unload(self) -> None:
        """Let the network go; the next batch loads it again."""
        if self._held is not None:
            name = self._held.checkpoint.name
            self._held = None
            gc.unfreeze()  # what was loaded may go, cycles too
            flush()
            self._record("unload", f"已卸载 {name}")

    def start(self, batch: Ragged) -> None:
        """Keep the batch for `finish`: this process has nobody to hand it to."""
        self._batch = batch

    def finish(self, pause: Pause | None = None) -> Matched:
        """Run the batch that was begun; on the CPU with `pause` between its steps."""
        batch, self._batch = self._batch, None
        if batch is None:
            raise ValueError("no batch was begun")
        packed = lay_out(batch)
        return match(self.compute(packed, pause), packed)

    def compute(self, packed: Packed, pause: Pause | None = None) -> Raw:
        """Run the network on a batch; on the CPU with `pause` between its steps."""
        held = self._hold()[0]
        network, device = held.checkpoint.model, held.checkpoint.device
        with pausing(network, pause if device.type == "cpu" else None):
            raw: Raw = held.tenant.governor.run(packed, lambda part: forward(network, part, device, graphs=held.graphs))
        return raw

    def recall(self) -> None:
        """Nothing waits behind a batch here."""

    def run(self, batch: Ragged) -> Matched:
        """Run a batch."""
        self.start(batch)
        return self.finish()

    def memory(self) -> MemoryReading:
        """What this process holds now."""
        return read_memory()

    def cards(self) -> dict[str, TorchMemory] | None:
        """PyTorch's memory by card; None when CUDA refuses to say, for instance after a fault."""
        try:
            return torch_memory()
        except RuntimeError:
            return None

    def new_window(self) -> dict[str, TorchMemory] | None:
        """Begin a new window of PyTorch's peaks in this process."""
        try:
            return new_window()
        except RuntimeError:
            return None

    def flush(self) -> FlushReport:
        """Give cached memory back."""
        return flush()

    def trim(self) -> None:
        """Give cached memory back in a pause."""
        if self._held is not None:
            self._held.tenant.governor.trim()

    def status(self) -> TenantStatus | None:
        """Card, profile and budget now; None while the network is not loaded."""
        held = self._held
        return None if held is None else held.tenant.status()

    def close(self) -> None:
        """Let the network go."""
        self._held = None

    def _hold(self) -> tuple[Held, OwnerInfo]:
        if self._held is None or self._info is None:
            held = self._load(self._record)
            checkpoint = held.checkpoint
            self._info = OwnerInfo(
                worker=THREAD,
                pid=os.getpid(),
                profile=held.tenant.profile,
                device=str(checkpoint.device),
                dtype=str(checkpoint.dtype).removeprefix("torch."),
                parameters=checkpoint.parameters,
                threads=torch.get_num_threads(),
                load_s=checkpoint.load_s,
                stages=held.stages,
            )
            self._held = held
            self._record("model", f"已加载 {checkpoint.name}（{self._info.device}，{self._info.dtype}）")
        return self._held, self._info
