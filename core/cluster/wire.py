"""What travels between an engine behind HTTP and those who ask it: documents there, findings back, as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core import errors
from core.errors import DeviceError, InputError, RexError
from core.inference.documents import Item
from core.storage.codec import document_inputs, dump_candidates, dump_paths, load_candidates, load_paths
from core.types import AnnotatedDocument, Annotation, Document

MAX_DOCUMENTS = 1000
"""Documents of one request at most."""

_KINDS: dict[str, type[RexError]] = {
    kind.__name__: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RexError)
}


@dataclass(frozen=True, slots=True)
class Ask:
    """One request as it came: documents as in JSON lines, one task and schema for all that bring none of their own.

    floor: what exceeds it but not the threshold is answered as candidates; urgent: somebody waits for it; client:
    whose turn it takes; paths: also answer in the reference's flat form.
    """

    task: str
    documents: tuple[Any, ...]
    schema: Any = None
    threshold: float | None = None
    floor: float | None = None
    urgent: bool = False
    client: str = ""
    paths: bool = False

    @property
    def weight(self) -> int:
        """About how many tokens the model reads: characters, and the schema once for each document."""
        schema = len(json.dumps(self.schema, ensure_ascii=False)) if self.schema is not None else 0
        return sum(weigh(document) + schema for document in self.documents)


def weigh(document: Any) -> int:
    """About how many tokens a document has."""
    if isinstance(document, str):
        return len(document)
    return len(str(document.get("text", ""))) + len(str(document.get("text_pair") or ""))


def read_ask(body: bytes) -> Ask:
    """The request in a body. Raises InputError saying which field is wrong."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(f"请求不是合法的 JSON：{error}") from error
    if not isinstance(fields, dict):
        raise InputError('请求应为 JSON 对象，例如 {"task": "ner", "schema": {"人物": null}, "documents": ["…"]}')
    kinds: dict[str, tuple[type, ...]] = {
        "task": (str,),
        "documents": (list,),
        "schema": (dict, list, str, type(None)),
        "threshold": (int, float, type(None)),
        "floor": (int, float, type(None)),
        "urgent": (bool,),
        "client": (str,),
        "paths": (bool,),
    }
    unknown = [name for name in fields if name not in kinds]
    if unknown:
        raise InputError(f"请求里有不认识的字段 {'、'.join(map(str, unknown[:5]))}；可用：{'、'.join(kinds)}")
    for name in ("task", "documents"):
        if name not in fields:
            raise InputError(f"请求缺少字段 {name}")
    for name, value in fields.items():
        if not isinstance(value, kinds[name]) or (name in ("threshold", "floor") and isinstance(value, bool)):
            raise InputError(f"请求的字段 {name} 类型不对")
    documents = fields["documents"]
    if not all(isinstance(one, str | dict) for one in documents):
        raise InputError("documents 的每一项应为字符串或对象")
    if len(documents) > MAX_DOCUMENTS:
        raise InputError(f"一次请求最多 {MAX_DOCUMENTS} 个文档，这里有 {len(documents)} 个：请分几次")
    return Ask(**{**fields, "documents": tuple(documents)})


def write_ask(
    items: Sequence[Item], *, threshold: float | None, floor: float | None, urgent: bool, client: str
) -> bytes:
    """The request for items of one task and schema."""
    first = items[0]
    fields = {
        "task": first.task.name,
        "schema": first.schema.to_dict() or None,
        "documents": [_document(item.document) for item in items],
        "threshold": threshold,
        "floor": floor,
        "urgent": urgent,
        "client": client,
        "paths": True,
    }
    return json.dumps(fields).encode("ascii")


def _document(document: Document) -> dict[str, Any]:
    """What a result depends on; the name and the metadata stay where they are."""
    fields: dict[str, Any] = {"text": document.text, "id": document.id}
    if document.text_pair is not None:
        fields["text_pair"] = document.text_pair
    return fields | {key: value for key, value in document_inputs(document).items() if value}


def write_result(result: AnnotatedDocument, *, paths: bool) -> dict[str, Any]:
    """A result without its text, which the asker has; scores as they are."""
    fields: dict[str, Any] = {
        "id": result.document.id,
        "task": result.task,
        "windows": result.windows,
        "annotations": [_annotation(one) for one in result.annotations],
        "notes": list(result.notes),
        "error": result.error,
    }
    if result.candidates:
        fields["candidates"] = dump_candidates(result.candidates)
    return fields | ({"paths": dump_paths(result.paths)} if paths else {})


def read_result(fields: Mapping[str, Any], item: Item) -> AnnotatedDocument:
    """The result for the document that was asked about. Raises DeviceError when it does not belong to it."""
    document = item.document
    try:
        return AnnotatedDocument(
            document,
            item.task.name,
            tuple(_read(one, document.text) for one in fields["annotations"]),
            windows=int(fields["windows"]),
            paths=load_paths(fields.get("paths", ())),
            notes=tuple(map(str, fields["notes"])),
            error=str(fields["error"]),
            candidates=load_candidates(fields.get("candidates", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DeviceError(f"引擎的回答无法使用（{error}）：请检查 REX_ENGINE_URL 指向的是同一版本的引擎") from error


def write_error(error: RexError) -> dict[str, Any]:
    """An error of ours, so that the asker can raise the same."""
    return {"error": {"kind": type(error).__name__, "message": str(error)}}


def read_error(fields: Any, fallback: str) -> RexError:
    """The error in an answer; without one, a DeviceError that says `fallback`."""
    told = fields.get("error") if isinstance(fields, dict) else None
    if not isinstance(told, dict):
        return DeviceError(fallback)
    return _KINDS.get(str(told.get("kind")), DeviceError)(str(told.get("message") or fallback))


def check_ask(task: str, schema: Any) -> bytes:
    """The request to check a schema, or to answer one."""
    return json.dumps({"task": task, "schema": schema}).encode("ascii")


def _annotation(one: Annotation) -> dict[str, Any]:
    return {
        "type": one.type,
        "start": one.start,
        "end": one.end,
        "text": one.text,
        "score": one.score,
        "children": _annotations(one.children),
    }


def _annotations(some: Iterable[Annotation]) -> list[dict[str, Any]]:
    return [_annotation(one) for one in some]


def _read(fields: Mapping[str, Any], text: str) -> Annotation:
    start, end = fields["start"], fields["end"]
    if start is not None and text[start:end] != fields["text"]:
        raise ValueError(f"[{start}, {end}] ≠ {fields['text']!r}")
    children = tuple(_read(one, text) for one in fields["children"])
    return Annotation(str(fields["type"]), start, end, str(fields["text"]), float(fields["score"]), children)
