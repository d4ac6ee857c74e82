"""What reading a file gives: documents, and an account of everything that was skipped, assumed or changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from core.types import Document

# Problems beyond this many of one kind are counted, not listed.
LISTED = 20

Item = tuple[Document, dict[str, Any] | None]
"""A document and the schema that its line brought, or None."""


@dataclass(frozen=True, slots=True)
class ReadReport:
    """The documents of one file.

    `schemas` has one entry a document: the schema its line brought, or None. `problems` names what could
    not be used, line by line; `notes` says what was assumed or changed; `columns` are a table's columns.
    """

    documents: tuple[Document, ...]
    schemas: tuple[dict[str, Any] | None, ...]
    encoding: str
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(slots=True)
class Account:
    """What a reader has to say of its file; filled while the documents are taken, complete after the last."""

    encoding: str = ""
    columns: tuple[str, ...] = ()
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Tally:
    """Things of one kind: how many, and the first of them in words or numbers."""

    count: int = 0
    first: list[Any] = field(default_factory=list)

    def add(self, one: object) -> None:
        """Count one more; it is kept when few are."""
        self.count += 1
        if len(self.first) < LISTED:
            self.first.append(one)

    def lines(self, kind: str) -> tuple[str, ...]:
        """The first ones as they are, then a line counting the rest."""
        rest = self.count - len(self.first)
        return (*self.first, *((f"另有 {rest} 处{kind}未逐一列出（共 {self.count} 处）。",) if rest else ()))

    def rows(self, kind: str) -> tuple[str, ...]:
        """One line naming the rows or lines concerned, or nothing."""
        if not self.count:
            return ()
        listed = "、".join(str(number) for number in self.first)
        rest = f" 等共 {self.count} 行" if self.count > len(self.first) else ""
        return (f"第 {listed} 行{rest}{kind}。",)


def shorten(problems: Sequence[str], kind: str) -> tuple[str, ...]:
    """The first problems, then a line counting the rest."""
    tally = Tally()
    for problem in problems:
        tally.add(problem)
    return tally.lines(kind)
