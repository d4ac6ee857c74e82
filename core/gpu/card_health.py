"""Faults of a card: errors of its memory, rows taken out of use, and the XID errors that its driver reports."""

from __future__ import annotations

import time
from typing import Any

from core.gpu import nvml
from core.gpu.nvml import Driver, NvmlFailure
from core.gpu.reading import Reading
from core.gpu.records import Xid

KEPT = 20
"""XID errors remembered for each card."""


def read_health(reading: Reading, handle: Any) -> None:
    """ECC mode and uncorrected errors (since boot, ever), and remapped rows or retired pages."""
    ecc = reading.ask("ecc_enabled", "nvmlDeviceGetEccMode", handle)
    reading.keep("ecc_enabled", None if ecc is None else bool(ecc[0]))
    for name, counter in (("ecc_uncorrected", nvml.ECC_VOLATILE), ("ecc_lifetime", nvml.ECC_AGGREGATE)):
        reading.read(name, "nvmlDeviceGetTotalEccErrors", handle, nvml.ECC_UNCORRECTED, counter)
    rows = reading.ask("remapped_rows", "nvmlDeviceGetRemappedRows", handle)
    if rows is None:  # cards before Ampere retire whole pages instead
        pages = [reading.ask("remapped_rows", "nvmlDeviceGetRetiredPages", handle, cause) for cause in (0, 1)]
        known = [page for page in pages if page is not None]
        reading.keep("remapped_rows", sum(len(page) for page in known) if known else None)
        pending = reading.ask("remap_pending", "nvmlDeviceGetRetiredPagesPendingStatus", handle)
        reading.keep("remap_pending", None if pending is None else bool(pending))
    else:
        reading.keep("remapped_rows", int(rows[0]) + int(rows[1]))
        reading.keep("remap_pending", bool(rows[2]))
        reading.keep("remap_failed", bool(rows[3]))


class XidWatch:
    """Listens for XID errors from the moment it is opened; one that came before is not known to NVML."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._set: Any = None
        self._seen: dict[str, tuple[Xid, ...]] = {}
        self._reasons: dict[str, str] = {}

    def open(self) -> None:
        """Listen to every card; what cannot be listened to keeps its reason."""
        self._seen, self._reasons = {}, {}
        try:
            self._set = self._driver.query("nvmlEventSetCreate")
            cards = range(int(self._driver.query("nvmlDeviceGetCount")))
        except NvmlFailure as failure:
            self._set, self._reasons[""] = None, failure.reason
            return
        for index in cards:
            uuid = ""
            try:
                handle = self._driver.query("nvmlDeviceGetHandleByIndex", index)
                uuid = str(self._driver.query("nvmlDeviceGetUUID", handle))
                self._driver.query("nvmlDeviceRegisterEvents", handle, nvml.EVENT_XID, self._set)
                self._seen[uuid] = ()
            except NvmlFailure as failure:
                self._reasons[uuid or str(index)] = failure.reason

    def poll(self) -> list[Xid]:
        """What came since the last call; never waits."""
        new: list[Xid] = []
        while self._set is not None and len(new) < KEPT:
            try:
                event = self._driver.query("nvmlEventSetWait_v2", self._set, 0)
                uuid = str(self._driver.query("nvmlDeviceGetUUID", event.device))
            except NvmlFailure as failure:
                if failure.code != nvml.TIMED_OUT:  # it will not get better: say why, and stop asking
                    self._set, self._seen, self._reasons[""] = None, {}, failure.reason
                break
            if int(event.eventType) & nvml.EVENT_XID:
                one = Xid(time.time(), int(event.eventData))
                self._seen[uuid] = (*self._seen.get(uuid, ()), one)[-KEPT:]
                new.append(one)
        return new

    def of(self, uuid: str) -> tuple[Xid, ...] | str:
        """The errors of a card since it is listened to, or why it cannot be."""
        if uuid in self._seen:
            return self._seen[uuid]
        return self._reasons.get(uuid) or self._reasons.get("") or NvmlFailure(nvml.NOT_SUPPORTED).reason
