"""The manual flush on a machine without a card."""

from __future__ import annotations

import gc
import sys

import pytest

from core.gpu.flush import FlushReport, MemoryReading, flush


class Knot:
    """Refers to itself, so only the garbage collector removes it."""

    def __init__(self) -> None:
        self.itself = self


def test_a_flush_collects_garbage_and_reports_host_memory():
    gc.collect()
    Knot()
    report = flush()
    assert report.objects >= 1
    assert report.before.rss_bytes > 0 and report.after.rss_bytes > 0
    assert not report.on_gpu and report.freed_reserved_bytes is None and report.freed_card_bytes is None


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc gives heap pages back on request")
def test_freed_heap_goes_back_to_the_machine():
    # Small blocks stay in the C heap after they are freed, all the more when some between them live on.
    blocks = [bytes(bytearray(2000)) for _ in range(50_000)]
    kept = blocks[::1000]
    del blocks
    report = flush()
    assert report.trimmed and report.freed_rss_bytes > -(1024**2)
    assert len(kept) == 50


def test_differences_are_before_minus_after():
    report = FlushReport(
        before=MemoryReading(rss_bytes=10, allocated_bytes=5, reserved_bytes=9, card_used_bytes=20),
        after=MemoryReading(rss_bytes=4, allocated_bytes=5, reserved_bytes=6, card_used_bytes=17),
        waited_s=0.0,
        duration_s=0.0,
        objects=0,
        trimmed=True,
        on_gpu=True,
    )
    assert (report.freed_rss_bytes, report.freed_reserved_bytes, report.freed_card_bytes) == (6, 3, 3)
