"""Prints the README's table of tasks from tasks.jsonl and the model in use: `python docs/examples/table.py`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))  # so that it runs from anywhere without an installed package

from core import bootstrap, services  # noqa: E402
from core.cli_input import mark  # noqa: E402
from core.config import Settings  # noqa: E402
from core.types import Annotation, Document  # noqa: E402


def rows() -> list[dict[str, Any]]:
    """The examples, in the order of the table."""
    return [json.loads(line) for line in (HERE / "tasks.jsonl").read_text("utf-8").splitlines()]


def document(row: dict[str, Any]) -> Document:
    """The document of an example; marked words are found in its text."""
    return Document(
        row["text"],
        text_pair=row.get("text_pair"),
        aspects=tuple(row.get("aspects", ())),
        candidates=mark(row["text"], row.get("candidates", []), "候选词"),
        pronouns=mark(row["text"], row.get("pronouns", []), "代词"),
    )


def short(annotations: Sequence[Annotation]) -> str:
    """Findings on one line: type, text, score, and what hangs below in brackets."""
    parts = []
    for one in annotations:
        below = f" → [{short(one.children)}]" if one.children else ""
        parts.append(f"{one.type}{' ' + one.text if one.text else ''} {one.score:.2f}{below}")
    return "; ".join(parts) or "nothing"


def given(row: dict[str, Any]) -> str:
    """The input on one line."""
    extra = [value if isinstance(value, str) else "、".join(value) for key, value in row.items() if key in MORE]
    return " / ".join([row["text"], *extra])


MORE = ("text_pair", "aspects", "candidates", "pronouns")


def main() -> None:
    """One Markdown row a task."""
    app = bootstrap.build(Settings())
    for row in rows():
        (result,) = services.annotate(app, [document(row)], task=row["task"], schema=row.get("schema"))
        schema = json.dumps(row["schema"], ensure_ascii=False) if "schema" in row else "its own question"
        print(f"| `{row['task']}` | {given(row)} | `{schema}` | {result.error or short(result.annotations)} |")
    app.close()


if __name__ == "__main__":
    main()
