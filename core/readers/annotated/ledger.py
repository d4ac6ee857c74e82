"""What the readers of annotated files have to say: what was repaired, what was not, what was assumed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from core.readers.report import Account, Tally


@dataclass(frozen=True, slots=True)
class ImportReport:
    """An annotated file as it was read: counts, and in words what was repaired and what could not be used."""

    format: str
    documents: int
    annotations: int
    repaired: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Ledger:
    """Filled while a file is read; `offsets` is the unit to count in, or "auto"."""

    offsets: str = "auto"
    account: Account = field(default_factory=Account)
    repaired: Counter[str] = field(default_factory=Counter)
    problems: Tally = field(default_factory=Tally)
    notes: Counter[str] = field(default_factory=Counter)

    def problem(self, place: str, reason: str) -> None:
        """Something that could not be used, and where."""
        self.problems.add(f"{place}：{reason}")

    def report(self, format: str, *, documents: int, annotations: int) -> ImportReport:
        """The account in its final form."""
        notes = [note if count == 1 else f"{note}（{count} 处）" for note, count in self.notes.items()]
        return ImportReport(
            format,
            documents,
            annotations,
            repaired=tuple(f"{count} 个位置：{kind}" for kind, count in self.repaired.items()),
            problems=(*self.account.problems, *self.problems.lines("问题")),
            notes=(*self.account.notes, *notes),
        )
