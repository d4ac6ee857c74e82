"""A report that stands alone: texts with their findings marked, tables below; nothing is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import BinaryIO

from core.exporters.csv import levels
from core.exporters.report import About, Losses
from core.rendering import STYLES, highlight, legend
from core.tasks import TASKS
from core.types import AnnotatedDocument

_HEAD = (
    '<!DOCTYPE html>\n<html lang="zh"><head><meta charset="utf-8">'
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    '<meta name="viewport" content="width=device-width"><title>标注结果</title>'
    + STYLES
    + "<style>:root{color-scheme:light dark}"
    "body{max-width:60rem;margin:2rem auto;padding:0 1rem;font:16px/1.6 system-ui,sans-serif}"
    "article{margin:0 0 2rem;padding:1rem 1.25rem;border:1px solid #8885;border-radius:8px}"
    "h2{margin:0 0 .5rem;font-size:1rem}small{color:#888}"
    "table{border-collapse:collapse;margin-top:.75rem;font-size:.85rem;width:100%}"
    "td,th{padding:.15rem .5rem;border-bottom:1px solid #8883;text-align:left;vertical-align:top}"
    "td{overflow-wrap:anywhere}"
    ".note{color:#b8901b}.error{color:#d6476f}"
    "@media print{article{break-inside:avoid}}</style></head><body>\n<h1>标注结果</h1>\n"
)
_TITLES = ("类型", "文本", "开始", "结束", "得分", "上级")


def write(results: Iterable[AnnotatedDocument], target: BinaryIO, losses: Losses, about: About) -> None:
    """One HTML page: the run, a legend of the schema's types, then a section for each document.

    Everything of the user's is escaped; there is no script, and the page's own policy forbids loading anything.
    """

    def put(html: str) -> None:
        target.write(html.encode("utf-8", errors="xmlcharrefreplace"))

    types = list(_names(about.schema or {}))
    put(_HEAD + _facts(about) + (legend(types) if types else "") + "\n")
    documents = 0
    for result in results:
        losses.leave_out(result, ("给定的属性词", "指代的候选词和代词"))
        documents += 1
        for part in _section(documents, result, types):
            put(part)
    put(f"<p><small>共 {documents} 个文档</small></p>\n</body></html>\n")
    losses.add("HTML 报告供阅读和打印，不能再导入", count=documents)


def _names(schema: object) -> Iterator[str]:
    """Every type of a schema tree."""
    if isinstance(schema, dict):
        for name, below in schema.items():
            yield str(name)
            yield from _names(below)


def _facts(about: About) -> str:
    threshold = "" if about.threshold is None else f"{about.threshold:g}"
    facts = {"运行": about.run, "模型": about.model, "版本": about.revision, "阈值": threshold, "完成": about.finished}
    shown = "　".join(f"{name}：{escape(value)}" for name, value in facts.items() if value)
    return f"<p><small>{shown}</small></p>" if shown else ""


def _section(number: int, result: AnnotatedDocument, types: list[str]) -> Iterator[str]:
    document = result.document
    task = TASKS[result.task].title_zh if result.task in TASKS else result.task
    title = "　".join(dict.fromkeys(part for part in (document.id, document.name) if part))
    yield f"<article><h2>{number}　{escape(title)} <small>{escape(task)}</small></h2>\n"
    yield highlight(document.text, result.annotations, types=types)
    if document.text_pair is not None:
        yield f'<div class="rex-text"><small>第二文本</small>\n{escape(document.text_pair)}</div>'
    for name, value in document.metadata.items():
        yield f"<small>{escape(name)}：{escape(value)}</small><br>"
    for note in result.notes:
        yield f'<p class="note">{escape(note)}</p>'
    if result.error:
        yield f'<p class="error">{escape(result.error)}</p>'
    if result.annotations:
        yield "<table><tr>" + "".join(f"<th>{name}</th>" for name in _TITLES) + "</tr>\n"
        for one, parent, level in levels(result.annotations):
            above = f"{parent.type}：{parent.text}" if parent and parent.text else parent.type if parent else ""
            cells = ("　" * (level - 1) + one.type, one.text, one.start, one.end, f"{one.score:.3f}", above)
            yield "<tr>" + "".join(f"<td>{escape('' if c is None else str(c))}</td>" for c in cells) + "</tr>\n"
        yield "</table>"
    yield "</article>\n"
