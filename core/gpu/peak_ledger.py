"""The highest memory since the start and since somebody reset it, kept from every reading."""

from __future__ import annotations

from core.gpu.records import CardPeak, Peaks, Sample
from core.gpu.watch import held_bytes


class PeakLedger:
    """Used under the lock of its monitor."""

    def __init__(self, now_s: float) -> None:
        self._ever = Peaks(now_s)
        self._recent = Peaks(now_s)

    def hear(self, sample: Sample) -> None:
        """Fold one reading."""
        self._ever, self._recent = _folded(self._ever, sample), _folded(self._recent, sample)

    def reset(self, now_s: float) -> None:
        """Forget the most since the last reset; the next reading begins anew."""
        self._recent = Peaks(now_s)

    def peaks(self) -> tuple[Peaks, Peaks]:
        """Since the start, and since the last reset."""
        return self._ever, self._recent


def _folded(peaks: Peaks, sample: Sample) -> Peaks:
    cards = dict(peaks.cards)
    for card in sample.cards:
        if card.torch is None or card.uuid is None:
            continue
        old, torch = cards.get(card.uuid, CardPeak()), card.torch
        cards[card.uuid] = CardPeak(
            max(old.allocated_bytes, torch.peak_allocated_bytes),
            max(old.reserved_bytes, torch.peak_reserved_bytes),
            max(old.held_bytes, held_bytes(card) or 0),
        )
    own = (sample.host.rss_bytes or 0) + (sample.host.worker_rss_bytes or 0)
    return Peaks(peaks.since_s, cards, max(peaks.host_bytes, own))
