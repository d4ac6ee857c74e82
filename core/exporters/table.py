"""The tables of formats in the README and in docs/formats.md, made from the code."""

from __future__ import annotations

from core.exporters.files import FORMATS, FULL, NONE, PART
from core.readers.annotated import ANNOTATED_FORMATS

SIGNS = {FULL: "✓", PART: "partly", NONE: "–"}
KEPT = ("overlap", "relations", "events", "classes", "scores", "document")
_HEADINGS = {"overlap": "nested, overlapping", "document": "id, name, metadata"}


# Formats that one reader tells apart by itself.
READ_AS = {"bioes": "conll", "jsonl": "native"}
# Formats of tables: of those of another program the texts are read.
TABLES = ("csv", "xlsx")


def readable() -> tuple[str, ...]:
    """The formats whose annotations can be read, those that are only read included."""
    return (*ANNOTATED_FORMATS, "bioes", "csv", "xlsx", "parquet")


def format_table() -> str:
    """Markdown: each format, whether its annotations are read and written, and what a written file keeps."""
    headings = ["format", "name", "reads", "writes", *(_HEADINGS.get(name, name) for name in KEPT)]
    rows = [headings, ["---"] * len(headings)]
    known = readable()
    for name, one in FORMATS.items():
        kept = [SIGNS[getattr(one, part)] for part in KEPT]
        reads = "✓" if name in known else "–"
        rows.append([f"`{name}`", one.title_en, reads, "✓", *kept])
    rows += [[f"`{name}`", name, "✓", "–", *["–"] * len(KEPT)] for name in known if name not in FORMATS]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def short_table() -> str:
    """Markdown for the README: each format, whether annotations are read and written, and what is not kept whole."""
    known = readable()
    rows = [["format", "name", "reads", "writes", "not kept whole"], ["---"] * 5]
    for name, one in FORMATS.items():
        lost = [_HEADINGS.get(part, part) for part in KEPT if getattr(one, part) != FULL]
        reads = "✓" if name in known else "–"
        rows.append([f"`{name}`", one.title_en, reads, "✓", "; ".join(lost) or "–"])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
