"""A run as Python and as commands that repeat it. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.types import Document, Span

MOST_CHARACTERS = 2_000
"""A longer text is not written into a command but taken from the stored run."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a stored run asked: its number, task, schema (empty: the task's own), threshold, and checkpoint.

    `model` is empty where the settings name it anyway.
    """

    run: int
    task: str
    schema: Mapping[str, Any]
    threshold: float
    model: str = ""


def as_commands(asked: Asked, documents: Sequence[Document]) -> str:
    """Commands for a POSIX shell, run in the directory of the project, that print the findings of these documents.

    One short text stands in the command itself; more are exported from the stored run first.
    """
    words = ["python", "-m", "core", "annotate", "--task", asked.task]
    if asked.schema and asked.task != "coref":
        words += ["--schema", json.dumps(asked.schema, ensure_ascii=False)]
    words += ["--threshold", f"{asked.threshold:g}"]
    if asked.model:
        words += ["--model", asked.model]
    if len(documents) == 1 and (own := _own_words(documents[0])) is not None:
        return _line([*words, *own])
    name = f"run-{asked.run}.jsonl"
    export = ["python", "-m", "core", "export", "--job", str(asked.run), "--format", "native", "--which", "machine"]
    return "\n".join([_line([*export, "--output", name]), _line([*words, "--input", name])])


def as_python(asked: Asked, documents: Sequence[Document]) -> str:
    """A script, run in the directory of the project, that prints the findings of these documents."""
    short = len(documents) == 1 and len(documents[0].text) + len(documents[0].text_pair or "") <= MOST_CHARACTERS
    spans = short and (documents[0].candidates or documents[0].pronouns)
    names = "Document, Span" if spans else "Document"
    imports = ["from core import bootstrap, services"]
    if asked.model:
        imports.append("from core.config import Settings")
    if short:
        imports.append(f"from core.types import {names}")
    settings = f"Settings().with_model({asked.model!r})" if asked.model else ""
    given = (
        f"[{_document(documents[0])}]" if short else f"[one.document for one in services.load_run(app, {asked.run})]"
    )
    schema = dict(asked.schema) if asked.schema and asked.task != "coref" else None
    call = f"task={asked.task!r}, schema={schema!r}, threshold={asked.threshold:g}"
    return "\n".join(
        [
            *imports,
            "",
            f"app = bootstrap.build({settings})",
            f"documents = {given}",
            f"for result in services.annotate(app, documents, {call}):",
            "    for one in result.annotations:",
            "        print(one.type, one.text, one.start, one.end, round(one.score, 3))",
            "        for child in one.children:",
            "            print('   ', child.type, child.text, child.start, child.end, round(child.score, 3))",
            "app.close()",
        ]
    )


def _line(words: Sequence[str]) -> str:
    return " ".join(shlex.quote(word) for word in words)


def _own_words(document: Document) -> list[str] | None:
    """Options that give the document, or None when it is too long or says what options cannot."""
    if len(document.text) + len(document.text_pair or "") > MOST_CHARACTERS or "\x00" in document.text:
        return None
    marked = (document.candidates, document.pronouns)
    if any(document.text.find(span.text) != span.start for spans in marked for span in spans):
        return None  # an option means the first occurrence of a word
    words = ["--text", document.text]
    if document.text_pair is not None:
        words += ["--text-pair", document.text_pair]
    for option, values in (
        ("--aspect", document.aspects),
        ("--candidate", [span.text for span in document.candidates]),
        ("--pronoun", [span.text for span in document.pronouns]),
    ):
        words += [word for value in values for word in (option, value)]
    return words


def _document(document: Document) -> str:
    fields = [repr(document.text)]
    if document.text_pair is not None:
        fields.append(f"text_pair={document.text_pair!r}")
    if document.aspects:
        fields.append(f"aspects={document.aspects!r}")
    fields += [f"{name}={_spans(spans)}" for name, spans in _marks(document) if spans]
    return f"Document({', '.join(fields)})"


def _marks(document: Document) -> list[tuple[str, tuple[Span, ...]]]:
    return [("candidates", document.candidates), ("pronouns", document.pronouns)]


def _spans(spans: Sequence[Span]) -> str:
    return "(" + "".join(f"Span({one.start}, {one.end}, {one.text!r}), " for one in spans) + ")"
