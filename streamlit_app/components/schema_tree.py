"""A schema as a tree in the browser: keyboard, mouse, drag and drop; every step comes back as an action."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from core.schemas.lint import Hint
from core.schemas.schema import Schema, SchemaType
from streamlit_app.i18n import t

FRONTEND = Path(__file__).resolve().parents[1] / "frontend"
_COMPONENT = st.components.v2.component(
    "schema_tree",
    html='<div class="rext"></div>',
    css=(FRONTEND / "schema_tree.css").read_text(encoding="utf-8"),
    js=(FRONTEND / "schema_tree.js").read_text(encoding="utf-8"),
)
WORDS = (
    "label", "add", "undo", "redo", "open", "close", "filter", "child", "up", "down", "in", "out", "copy", "rename",
    "delete", "better", "new",
)  # fmt: skip
KEYS = (
    ("↑ ↓", "go"),
    ("Enter", "rename"),
    ("+", "add"),
    ("Alt ↑↓←→", "move"),
    ("Del", "delete"),
    ("Ctrl Z", "undo"),
)


def schema_tree(
    schema: Schema,
    hints: Sequence[Hint],
    *,
    nested: bool,
    undo: bool,
    redo: bool,
    ticket: int,
    focus: Sequence[str] | None,
    key: str,
    on_action: Callable[[], None],
) -> None:
    """Draw the tree; a step calls `on_action` and is at `st.session_state[key].action`.

    `ticket` changes with every schema; the row at `focus` is chosen when it does.
    """
    rows = list(_rows(schema.types, (), hints))
    words: dict[str, Any] = {name: t(f"tree.{name}") for name in WORDS}
    words["count"] = t("tree.count", count=len(rows))
    words["keys"] = [[keys, t(f"tree.key.{name}")] for keys, name in KEYS if nested or name != "in"]
    data = {
        "rows": rows,
        "nested": nested,
        "undo": undo,
        "redo": redo,
        "ticket": ticket,
        "focus": list(focus) if focus else None,
        "words": words,
    }
    _COMPONENT(key=key, data=data, on_action_change=on_action)


def _rows(types: Sequence[SchemaType], above: tuple[str, ...], hints: Sequence[Hint]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for index, one in enumerate(types):
        path = (*above, one.name)
        below = _rows(one.children, path, hints)
        rows.append(
            {
                "path": list(path),
                "index": index,
                "first": index == 0,
                "last": index == len(types) - 1,
                "children": bool(one.children),
                "below": len(below),
                "hints": [{"text": hint.text, "better": hint.better} for hint in hints if hint.path == path],
            }
        )
        rows += below
    return rows
