"""Which side a record belongs to: train, dev, or neither because it is held out or a duplicate."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache

from core.training.converters.record import Record
from core.training.heldout import normalise, normalised_sha1

_DEV_ROWS = 750
_MOST_DEV_PERCENT = 10

fingerprint = lru_cache(maxsize=4096)(normalised_sha1)


def group_of(record: Record) -> str:
    """The hash of what decides the side: the record's group, by default its key."""
    return fingerprint(record.group or record.key)


def dev_percent(groups: int) -> int:
    """The share (1 to 10 percent) that leaves about 750 of so many groups for development."""
    return min(_MOST_DEV_PERCENT, max(1, round(100 * _DEV_ROWS / max(1, groups))))


def choose_dev(groups: Iterable[str]) -> set[str]:
    """The groups that go to dev, by their hash alone, so that every run and every set chooses the same."""
    distinct = set(groups)
    percent = dev_percent(len(distinct))
    return {group for group in distinct if int(group, 16) % 100 < percent}


def is_held_out(record: Record, heldout: frozenset[str]) -> bool:
    """Whether the key, or the text as the model would read it, is in the held-out list."""
    return fingerprint(record.key) in heldout or fingerprint(record.text) in heldout


def identity(record: Record) -> bytes:
    """What makes two records the same question: task, normal form of the text, and schema."""
    schema = json.dumps(record.schema, ensure_ascii=False, sort_keys=True)
    return hashlib.sha1(f"{record.task}\n{normalise(record.text)}\n{schema}".encode()).digest()
