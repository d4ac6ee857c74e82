"""What an import may choose, and the keys under which a document's metadata says where it stood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Split = Literal["auto", "file", "line", "paragraph", "page", "row"]
SPLITS: tuple[Split, ...] = ("auto", "file", "line", "paragraph", "page", "row")

LINE, PARAGRAPH, PAGE, SHEET, ROW = "来源行", "来源段落", "来源页", "来源工作表", "来源表行"
PAGE_STARTS = "各页起点"


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Choices of one import; every default means "find out".

    `split` is for texts, docx and pdf; the columns are for tables. `pair_column` holds the second text of pair tasks;
    `metadata_columns` None keeps all columns.
    """

    encoding: str | None = None
    split: Split = "auto"
    text_column: str | None = None
    id_column: str | None = None
    metadata_columns: tuple[str, ...] | None = None
    pair_column: str | None = None


def page_of(metadata: Mapping[str, str], offset: int) -> int | None:
    """The page (from 1) that the character at `offset` of a document stands on; None when pages are unknown."""
    if PAGE_STARTS in metadata:
        starts = [int(start) for start in metadata[PAGE_STARTS].split()]
        first = int(metadata[PAGE].split("-")[0])
        return first + max(sum(start <= offset for start in starts) - 1, 0)
    return int(metadata[PAGE]) if metadata.get(PAGE, "").isdigit() else None
