"""Puts the engine together as the settings ask: files, owner of the network, scheduler."""

from __future__ import annotations

import gc
import sys

from core.config import Settings
from core.errors import DeviceError
from core.inference.engine import Engine
from core.inference.owner import DeviceOwner, LocalOwner, Record, from_settings, silent
from core.inference.owner_process import ProcessOwner
from core.inference.prompts import PieceEncoder
from core.inference.recursion import Limits, check_roots
from core.inference.scheduler import Scheduler
from core.inference.standby import dismiss
from core.model.checkpoint import read_files, resolve_device
from core.schemas.schema import Schema


def load_engine(settings: Settings, *, record: Record = silent, owner: DeviceOwner | None = None) -> Engine:
    """Load the model that the settings name, in this process or in one of its own; close the engine after use.

    `record(kind, text)` is told what happens to the model and its memory; `owner` holds the network in another way.
    """
    device = resolve_device(settings.device)
    files = read_files(settings.model, revision=settings.model_revision, download_dir=settings.download_dir)
    scheduler = Scheduler(
        owner or make_owner(settings, device.type, record=record),
        pad_id=files.tokenizer.pad_id,
        queue_tokens=settings.queue_tokens,
        trim_after_s=settings.trim_after_s,
        unload_after_s=settings.unload_after_s,
        record=record,
    )
    try:
        profile = scheduler.load().profile
    except BaseException:
        scheduler.close()
        raise
    limits = Limits(
        profile.max_length,
        settings.stride,
        settings.max_hint_length,
        settings.threshold,
        max_groups=files.config.groups_per_hint,
    )
    gc.freeze()  # what was loaded stays: the collector need not look through it again while documents are read
    return Engine(files, limits=limits, scheduler=scheduler)


def check_schema(settings: Settings, schema: Schema) -> None:
    """Raise SchemaError when the model that the settings name cannot be asked this; reads its tokenizer only."""
    files = read_files(settings.model, revision=settings.model_revision, download_dir=settings.download_dir)
    limits = Limits(
        settings.max_length, settings.stride, settings.max_hint_length, max_groups=files.config.groups_per_hint
    )
    check_roots(schema, PieceEncoder(files.tokenizer), limits)


def make_owner(settings: Settings, device_type: str, *, record: Record = silent) -> DeviceOwner:
    """The holder of the network that the settings ask for; not loaded yet. auto: a process on a card, else a thread."""
    apart = device_type == "cuda" if settings.worker == "auto" else settings.worker == "process"
    if not apart or sys.platform == "win32":
        dismiss()
    if not apart:
        return LocalOwner(from_settings(settings), record=record)
    if sys.platform == "win32":
        if settings.worker == "auto":
            return LocalOwner(from_settings(settings), record=record)
        raise DeviceError("REX_WORKER=process 在 Windows 上不可用：请改用 thread")
    return ProcessOwner(settings, record=record)
