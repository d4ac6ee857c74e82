"""A schema as the rows of a table (type and the path above it), and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.errors import SchemaError
from core.schemas.schema import Schema, parse_schema
from streamlit_app.i18n import t

SEPARATOR = " / "
COLUMNS = ("type", "above")
Row = tuple[str, str]  # (type, path of the type above; empty at the top)


def rows_of(schema: Schema) -> list[Row]:
    """Every type with the path of the type above it, parents first."""
    return [(path[-1], SEPARATOR.join(path[:-1])) for path in schema.paths()]


def schema_of(rows: Sequence[Row]) -> Schema:
    """The schema that the rows describe; rows without a type are skipped.

    Raises SchemaError naming every row whose parent is missing or whose type is written twice.
    """
    tree: dict[str, Any] = {}
    nodes: dict[str, dict[str, Any]] = {"": tree}
    problems: list[str] = []
    waiting = [(number, name, above.strip()) for number, (name, above) in enumerate(rows, 1) if name.strip()]
    while ready := [row for row in waiting if row[2] in nodes]:
        waiting = [row for row in waiting if row[2] not in nodes]
        for number, name, above in ready:
            if name in nodes[above]:
                problems.append(t("schema.row.twice", row=number, name=name))
                continue
            nodes[above][name] = nodes[SEPARATOR.join(filter(None, (above, name)))] = {}
    problems += [t("schema.row.orphan", row=number, name=name, above=above) for number, name, above in waiting]
    if problems:
        raise SchemaError(problems)
    return parse_schema(tree)
