"""RexUniNLU records: {"text", "info_list", "schema"} and, with their text, its answers {"text", "output"}."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from core.errors import InputError
from core.readers.annotated.align import Claim, align
from core.readers.annotated.build import items, make_document, text_of, whole
from core.readers.annotated.ledger import Ledger
from core.tasks import CLASS_MARKERS, annotation_tree, class_tree
from core.types import AnnotatedDocument, Annotation, Link, Path

_OWN = ("id", "name", "task", "text", "info_list", "output", "schema")
_PAIR = re.compile(r"段落1：(.*)；段落2：(.*)", re.DOTALL)
_IMPLICIT = "#"


def parse(value: Any, *, place: str, default_id: str, ledger: Ledger) -> Iterator[AnnotatedDocument]:
    """The document of one record: its paths, and the same as trees. Raises InputError."""
    if not isinstance(value, dict):
        raise InputError("应为对象")
    given = value["info_list"] if "info_list" in value else value.get("output")
    if given is None:
        raise InputError("没有 info_list 或 output")
    read = text_of(value.get("text"), "text")
    marker = next((one for one in CLASS_MARKERS.values() if read.startswith(one)), "")
    chains = [_elements(path) for path in items(given, "info_list")]
    flat = [element for chain in chains for element in chain]
    # an element at the marker stands there by agreement; only the others are looked up in the text
    placed = [one for one in flat if not (marker and one[1].end <= len(marker))]
    bounds = dict(
        zip(map(id, placed), align(read, [one[1] for one in placed], ledger=ledger, place=place), strict=True)
    )
    paths: list[Path] = []
    for chain in chains:
        links = []
        for element in chain:
            kind, claim = element
            found = bounds.get(id(element), (claim.start, claim.end))
            if found is None:
                break  # what follows hangs on it
            links.append(Link(kind, *found, read[slice(*found)], 1.0, 1.0))
        if links:
            paths.append(tuple(links))
    yield _document(value, read, paths, marker=marker, default_id=default_id)


def _document(
    value: dict[str, Any], read: str, paths: list[Path], *, marker: str, default_id: str
) -> AnnotatedDocument:
    implicit = any(link.end <= 1 and link.text == _IMPLICIT for path in paths for link in path)
    if not marker and read.startswith(_IMPLICIT) and (implicit or value.get("task") == "absa"):
        marker = _IMPLICIT
    shift = len(marker)
    text = read[shift:]
    pair = _PAIR.fullmatch(text)
    fields = {**value, "text": text}
    if pair:
        fields |= {"text": pair[1], "text_pair": pair[2]}
        shift += pair.start(1)
    metadata = {key: one for key, one in value.items() if key not in _OWN}
    document = make_document(fields, metadata, default_id=default_id)
    classes = [path for path in paths if marker and all(link.end <= len(marker) for link in path)]
    if marker == _IMPLICIT:
        classes = []
    spans = [path for path in paths if path not in classes]
    annotations: tuple[Annotation, ...] = (*class_tree(classes), *annotation_tree(spans, shift=shift))
    task = value.get("task")
    if not isinstance(task, str) or not task:
        task = "classification" if classes else "re" if any(len(path) > 1 for path in paths) else "ner"
    return AnnotatedDocument(document, task, annotations, paths=tuple(paths))


def _elements(path: Any) -> list[tuple[str, Claim]]:
    elements = []
    for one in items(path, "info_list 的每一项"):
        if not isinstance(one, dict):
            raise InputError("路径的每一步应为 {type, span, offset}")
        offset = items(one.get("offset"), "offset")
        if len(offset) != 2:
            raise InputError("offset 应为 [开始, 结束]")
        span = one.get("span")
        claim = Claim(whole(offset[0], "offset"), whole(offset[1], "offset"), span if isinstance(span, str) else None)
        elements.append((text_of(one.get("type"), "type"), claim))
    return elements
