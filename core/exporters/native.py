"""Our own result form: one JSON object a document, trees kept."""

from __future__ import annotations

from typing import Any

from core.types import AnnotatedDocument, Annotation

SCORE_DIGITS = 6


def to_dict(result: AnnotatedDocument) -> dict[str, Any]:
    """The document and its annotation tree as plain JSON values; optional keys are left out when empty.

    Keys: id, name?, text, text_pair?, task, windows, annotations, notes?, metadata?. Offsets are code points
    of `text`, end exclusive; scores are rounded to 6 digits.
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
    if result.notes:
        fields["notes"] = list(result.notes)
    if document.metadata:
        fields["metadata"] = dict(document.metadata)
    return fields


def _annotation(annotation: Annotation) -> dict[str, Any]:
    return {
        "type": annotation.type,
        "start": annotation.start,
        "end": annotation.end,
        "text": annotation.text,
        "score": round(annotation.score, SCORE_DIGITS),
        "children": [_annotation(child) for child in annotation.children],
    }
