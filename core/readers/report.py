"""What reading a file gives: documents, and an account of everything that was skipped, assumed or changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.types import Document

# Problems beyond this many of one kind are counted, not listed.
LISTED = 20


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


@dataclass(frozen=True, slots=True)
class Parsed:
    """What one format's parser found, before the file's encoding is added."""

    documents: tuple[Document, ...]
    schemas: tuple[dict[str, Any] | None, ...]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


def shorten(problems: Sequence[str], kind: str) -> tuple[str, ...]:
    """The first problems, then a line counting the rest."""
    if len(problems) <= LISTED:
        return tuple(problems)
    return (*problems[:LISTED], f"另有 {len(problems) - LISTED} 处{kind}未逐一列出（共 {len(problems)} 处）。")


def numbered(numbers: Sequence[int], kind: str) -> tuple[str, ...]:
    """One line naming the rows or lines concerned, or nothing."""
    if not numbers:
        return ()
    listed = "、".join(str(number) for number in numbers[:LISTED])
    rest = f" 等共 {len(numbers)} 行" if len(numbers) > LISTED else ""
    return (f"第 {listed} 行{rest}{kind}。",)
