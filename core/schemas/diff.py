"""The difference between two versions of a schema. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from core.schemas.schema import Schema

ADDED, REMOVED, KEPT = "added", "removed", "kept"


@dataclass(frozen=True, slots=True)
class Line:
    """One type of either version: `kind` is "added", "removed" or "kept"."""

    kind: str
    path: tuple[str, ...]


def diff(old: Schema, new: Schema) -> list[Line]:
    """Every type of both versions in the new one's order, removed ones behind what stood before them."""
    before, after = list(old.paths()), list(new.paths())
    known, wanted = set(before), set(after)
    lines = [Line(KEPT if path in known else ADDED, path) for path in after]
    for number, path in enumerate(before):
        if path not in wanted:
            previous = before[number - 1] if number else None
            place = next((at for at, line in enumerate(lines) if line.path == previous), -1)
            lines.insert(place + 1, Line(REMOVED, path))
    return lines


def same(old: Schema, new: Schema) -> bool:
    """Whether both ask for the same types, in whatever order."""
    return set(old.paths()) == set(new.paths())
