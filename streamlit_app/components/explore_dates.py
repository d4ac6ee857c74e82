"""Dates as people write them, and the stretches of time that findings are counted in. Pure; no drawing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta

DAY, WEEK, MONTH, YEAR = UNITS = ("day", "week", "month", "year")
_WRITTEN = re.compile(
    r"\s*(\d{4})\s*(?:[-/.年]\s*(\d{1,2})\s*(?:[-/.月]\s*(\d{1,2})\s*日?|月)?|年)?(?:[T\s]+\d{1,2}[:时点].*)?\s*"
)
_DIGITS = re.compile(r"\s*(\d{4})(\d{2})(\d{2})\s*")


def read_date(value: str) -> date | None:
    """The day that a value names, the first one of a month or year; None when it is no date.

    Read are 2024-09-22, 2024/9/22, 2024.9.22, 2024年9月22日, 20240922, each with or without a time behind it, and
    months and years alone.
    """
    found = _DIGITS.fullmatch(value) or _WRITTEN.fullmatch(value)
    if found is None:
        return None
    year, month, day = (int(part) if part else 1 for part in found.groups())
    try:
        return date(year, month, day)
    except ValueError:
        return None


def begin_of(day: date, unit: str) -> date:
    """The first day of the day's week (a Monday), month or year."""
    if unit == WEEK:
        return day - timedelta(days=day.weekday())
    if unit == MONTH:
        return day.replace(day=1)
    return day.replace(month=1, day=1) if unit == YEAR else day


def fitting_unit(days: Iterable[date]) -> str:
    """The unit that gives no more than about sixty columns."""
    known = list(days)
    length = (max(known) - min(known)).days if known else 0
    return next((unit for unit, most in ((DAY, 62), (WEEK, 430), (MONTH, 1900)) if length <= most), YEAR)


def series(
    counts: Iterable[tuple[str, str, int]], unit: str | None = None
) -> tuple[dict[str, dict[date, int]], str, int]:
    """(value, type, count) rows as, for each type, the count in each stretch of time.

    Also the unit used (`unit`, or the one that fits) and how many findings have a value that is no date.
    """
    dated: list[tuple[date, str, int]] = []
    lost = 0
    for value, kind, count in counts:
        day = read_date(value)
        if day is None:
            lost += count
        else:
            dated.append((day, kind, count))
    chosen = unit or fitting_unit(day for day, _, _ in dated)
    found: dict[str, Counter[date]] = {}
    for day, kind, count in dated:
        found.setdefault(kind, Counter())[begin_of(day, chosen)] += count
    return {kind: dict(sorted(its.items())) for kind, its in found.items()}, chosen, lost
