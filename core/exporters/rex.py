"""The two forms of RexUniNLU: the answer of the model (SPEC 8), and the record it is trained on (SPEC 10.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from typing import Any, BinaryIO

from core.exporters.graph import count
from core.exporters.jsonl import write_line
from core.exporters.report import About, Losses
from core.tasks import CLASS_MARKERS, CLASSIFY, MULTICLASSIFY
from core.types import AnnotatedDocument, Annotation

_IMPLICIT = "#"
Chain = tuple[Annotation, ...]


def to_rex(result: AnnotatedDocument) -> dict[str, Any]:
    """{"id"?, "output": [[{"type", "span", "offset": [start, end]}, …], …]}: parents first, end exclusive.

    Offsets count in the text given to the model, which for some tasks is longer than the document's.
    """
    output = [
        [{"type": link.type, "span": link.text, "offset": [link.start, link.end]} for link in path]
        for path in result.paths
    ]
    return {"id": result.document.id, "output": output} if result.document.id else {"output": output}


def write_output(results: Iterable[AnnotatedDocument], target: BinaryIO, losses: Losses, about: About) -> None:
    """One line for each document, as `to_rex` has it."""
    for result in results:
        losses.add("原文和任务没有写入")
        losses.leave_out(result, _LEFT_OUT)
        losses.scores(count(result))
        if result.annotations and not result.paths:
            losses.add("结果没有路径形式，output 为空", result.document.id)
        write_line(target, to_rex(result))


def write(results: Iterable[AnnotatedDocument], target: BinaryIO, losses: Losses, about: About) -> None:
    """One record {"id"?, "task", "text", "schema", "info_list"} a line, to evaluate or to fine-tune with.

    Classes stand at the class marker in front of the text, opinions about nothing named at a "#" in front of it.
    The schema is that of the run; without one it is made of the types found in the document.
    """
    for result in results:
        losses.leave_out(result, _LEFT_OUT)
        losses.scores(count(result))
        for record in _records(result, losses, about):
            write_line(target, record)


_LEFT_OUT = ("文档名称", "元数据", "给定的属性词", "指代的候选词和代词", "提示", "出错原因")


def _records(result: AnnotatedDocument, losses: Losses, about: About) -> Iterator[dict[str, Any]]:
    """A record for the classes of the text, one for its spans, and one for each span that classes were found about.

    For a text is either classified or read, and a class about a span is asked as a question that names the span.
    """
    document = result.document
    text = document.text if document.text_pair is None else f"段落1：{document.text}；段落2：{document.text_pair}"
    shift = len("段落1：") if document.text_pair is not None else 0
    classes: list[Chain] = []
    spans: list[Chain] = []
    questions: dict[str, list[str]] = {}
    for chain in (chain for annotation in result.annotations for chain in _chains(annotation)):
        if any(one.start is not None for one in chain[1:]) or (chain[0].start is not None and len(chain) == 1):
            spans.append(chain)
        elif chain[0].start is None and not chain[0].text:
            classes.append(chain)
        else:
            questions.setdefault(chain[0].text, []).append("/".join(one.type for one in chain[1:]))
    marker = CLASS_MARKERS[MULTICLASSIFY if result.task == "multilabel" else CLASSIFY]
    if classes:
        yield _record(
            result, marker + text, [[_element(one.type, marker) for one in chain] for chain in classes], about
        )
    if spans or not (classes or questions):
        if result.task == "absa" or any(chain[0].start is None for chain in spans):
            text, shift = _IMPLICIT + text, shift + len(_IMPLICIT)
        yield _record(result, text, [_path(chain, shift, losses) for chain in spans], about)
    for word, answers in questions.items():
        types = [f"属性“{word}”的情感倾向：{answer}" for answer in answers if answer]
        asked = About(schema={f"属性“{word}”的情感倾向：{name}": None for name in about.schema or answers})
        yield _record(result, marker + document.text, [[_element(one, marker)] for one in types], asked)


def _chains(annotation: Annotation) -> Iterator[Chain]:
    """Every chain from a top annotation to a leaf."""
    if not annotation.children:
        yield (annotation,)
    for child in annotation.children:
        for chain in _chains(child):
            yield (annotation, *chain)


def _path(chain: Chain, shift: int, losses: Losses) -> list[dict[str, Any]]:
    path: list[dict[str, Any]] = []
    for one in chain:
        if one.start is None or one.end is None:
            if path:
                losses.add("跨度下面的类别没有写入", one.type)
                break
            path.append(_element(one.type, _IMPLICIT))
        else:
            path.append({"type": one.type, "span": one.text, "offset": [one.start + shift, one.end + shift]})
    return path


def _element(type: str, mark: str) -> dict[str, Any]:
    """An element that stands at a mark in front of the text."""
    return {"type": type, "span": mark, "offset": [0, len(mark)]}


def _record(
    result: AnnotatedDocument, text: str, paths: Sequence[Sequence[dict[str, Any]]], about: About
) -> dict[str, Any]:
    """A record whose schema is that of the run with every type of `paths` in it."""
    schema: dict[str, Any] = deepcopy(dict(about.schema or {}))
    for path in paths:
        level = schema
        for one in path[:-1]:
            if level.get(one["type"]) is None:
                level[one["type"]] = {}
            level = level[one["type"]]
        level.setdefault(path[-1]["type"], None)
    found = [list(path) for path in paths]
    identity = {"id": result.document.id} if result.document.id else {}
    return {**identity, "task": result.task, "text": text, "schema": schema, "info_list": found}
