"""Our own result form: one JSON object a document, trees kept; the one that loses nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, BinaryIO

from core.exporters.jsonl import write_line
from core.exporters.report import About, Losses
from core.types import AnnotatedDocument, Annotation, Span

SCORE_DIGITS = 6


def write(results: Iterable[AnnotatedDocument], target: BinaryIO, losses: Losses, about: About) -> None:
    """One line for each document, as `to_dict` has it, with what is known of its run under `run`."""
    run = {
        key: value
        for key, value in {
            "id": about.run,
            "model": about.model,
            "revision": about.revision,
            "threshold": about.threshold,
            "finished": about.finished,
            "schema": about.schema,
        }.items()
        if value not in ("", None)
    }
    for result in results:
        write_line(target, to_dict(result) | ({"run": run} if run else {}))


def to_dict(result: AnnotatedDocument) -> dict[str, Any]:
    """The document and its annotation tree as plain JSON values; optional keys are left out when empty.

    Keys: id, name?, text, text_pair?, task, windows, annotations, notes?, metadata?, aspects?, candidates?,
    pronouns?, error?. Offsets are code points of `text`, end exclusive; scores are rounded to 6 digits.
    """
    document = result.document
    fields: dict[str, Any] = {"id": document.id}
    if document.name:
        fields["name"] = document.name
    fields["text"] = document.text
    if document.text_pair is not None:
        fields["text_pair"] = document.text_pair
    fields["task"] = result.task
    fields["windows"] = result.windows
    fields["annotations"] = [_annotation(annotation) for annotation in result.annotations]
    optional = {
        "notes": list(result.notes),
        "metadata": dict(document.metadata),
        "aspects": list(document.aspects),
        "candidates": _bounds(document.candidates),
        "pronouns": _bounds(document.pronouns),
        "error": result.error,
    }
    return fields | {key: value for key, value in optional.items() if value}


def near_to_list(result: AnnotatedDocument) -> list[dict[str, Any]]:
    """The candidates, best first, as JSON values: type, start, end, text, score, and those `above` it.

    No exported file has them: `annotate --candidates` prints them under `near`.
    """
    found = []
    for one in result.candidates:
        chain = [{key: value for key, value in _annotation(a).items() if key != "children"} for a in one.above]
        own = {key: value for key, value in _annotation(one.annotation).items() if key != "children"}
        found.append(own | ({"above": chain} if chain else {}))
    return found


def _annotation(annotation: Annotation) -> dict[str, Any]:
    return {
        "type": annotation.type,
        "start": annotation.start,
        "end": annotation.end,
        "text": annotation.text,
        "score": round(annotation.score, SCORE_DIGITS),
        "children": [_annotation(child) for child in annotation.children],
    }


def _bounds(spans: Iterable[Span]) -> list[list[int]]:
    return [[span.start, span.end] for span in spans]
