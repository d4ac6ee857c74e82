"""What comes back of findings that were written in a format and read again, tried on what is hard to keep."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from core.exporters.back import read_back
from core.exporters.files import FORMATS, write_file
from core.exporters.graph import walk
from core.exporters.report import Loss
from core.exporters.table import KEPT, readable
from core.types import AnnotatedDocument, Annotation, Document

_HEADINGS = {"overlap": "nested, overlapping", "document": "id, name, metadata"}


def samples() -> list[AnnotatedDocument]:
    """Documents with all that formats find hard: characters, line ends, nesting, depth, odd ids, nothing found."""
    return [
        _re("😀张伟的妻子李娜\t在𠮷野家𪚥店。\r\n她去了\u3000上海市浦东新区。", "文档/7 #1"),
        _re("张伟的妻子李娜在𠮷野家，她去了上海市浦东新区。", "0012"),
        _events("恒川动力昨天解雇了王芳，\n并在合肥起诉了她😀。", "=1+1"),
        _nothing("什么也没有找到👨\u200d👩。", "a\\b|c"),
        _classes("球队昨晚夺冠，很好看。", "<T-5>"),
        _opinion("屏幕很亮，但是声音太小😡。", "T 6"),
    ]


def _at(text: str, words: str, type: str, score: float, *children: Annotation) -> Annotation:
    start = text.index(words)
    return Annotation(type, start, start + len(words), words, score, children)


def _class(name: str, score: float, *children: Annotation) -> Annotation:
    return Annotation(name, None, None, "", score, children)


def _document(text: str, id: str) -> Document:
    return Document(text, id=id, name="新 闻.txt", metadata={"渠道": "电话\t热线", "日期": "2026-11-28", "id": "乙"})


def _re(text: str, id: str) -> AnnotatedDocument:
    place = _at(text, "上海市浦东新区", "地点", 0.5)
    found = (
        _at(
            text,
            "张伟",
            "人物",
            0.75,
            _at(text, "李娜", "配偶(人物)", 0.5, _at(text, "𠮷野家", "任职(组织机构)", 0.25, _class("连锁", 0.25))),
        ),
        place,
        _at(text, "上海市", "地点", 0.625),
        _at(text, "市浦东", "片段 / 交叉", 0.125),
        replace(place, type="区划", score=0.25),
    )
    return AnnotatedDocument(_document(text, id), "re", found, windows=2)


def _events(text: str, id: str) -> AnnotatedDocument:
    fired = _at(
        text,
        "解雇",
        "解雇(事件触发词)",
        0.875,
        _at(text, "恒川动力", "主体", 0.5),
        _at(text, "王芳", "客体", 0.75),
        _at(text, "昨天", "时间", 0.25),
    )
    sued = _at(text, "起诉", "起诉(事件触发词)", 0.5, _at(text, "合肥", "地点", 0.5), _at(text, "她", "客体", 0.25))
    return AnnotatedDocument(_document(text, id), "ee", (fired, sued))


def _nothing(text: str, id: str) -> AnnotatedDocument:
    return AnnotatedDocument(_document(text, id), "ner", ())


def _classes(text: str, id: str) -> AnnotatedDocument:
    sport = _class("体育", 0.75, _class("足球/五人制", 0.5, _class("国内", 0.25)), _class("篮球", 0.375))
    return AnnotatedDocument(_document(text, id), "hierarchy", (sport, _class("娱乐", 0.125)))


def _opinion(text: str, id: str) -> AnnotatedDocument:
    found = (
        _at(text, "屏幕", "属性词", 0.75, _class("正向", 0.5), _at(text, "很亮", "情感词", 0.5)),
        _at(
            text, "声音", "属性词", 0.5, _class("负向", 0.25, _class("失望", 0.125)), _at(text, "太小", "情感词", 0.25)
        ),
    )
    return AnnotatedDocument(_document(text, id), "absa", found)


def there_and_back(results: Sequence[AnnotatedDocument], format: str) -> tuple[list[AnnotatedDocument], list[Loss]]:
    """The results as they come back from a file of the format, and what writing it said was lost."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{FORMATS[format].suffix}"
        losses = write_file(results, format, path=path)
        return list(read_back(path, format, say=lambda line: None)), list(losses)


def differences(before: Sequence[AnnotatedDocument], after: Sequence[AnnotatedDocument]) -> frozenset[str]:
    """Which of `KEPT` (and "text") changed on the way, whatever the order of spans beside each other.

    Documents are compared with the first that has their text; further ones, and missing ones, are a changed
    "document".
    """
    exact = {one.document.text for one in before}
    left = list(after)
    found = set()
    for one in before:
        text = one.document.text
        other = next((two for two in left if two.document.text == text), None)
        if other is None:
            # a format that changes characters keeps their number
            strange = (two for two in left if two.document.text not in exact)
            other = next((two for two in strange if len(two.document.text) == len(text)), None)
        if other is None:
            found |= {"text", "document"}
            continue
        left.remove(other)
        found |= {name for name, view in _VIEWS.items() if view(one, one.task) != view(other, one.task)}
    return frozenset(found | ({"document"} if left else set()))


def _text(result: AnnotatedDocument, task: str) -> object:
    return result.document.text


def _spans(result: AnnotatedDocument, task: str) -> object:
    return {(one.start, one.end) for one in walk(result.annotations) if one.start is not None}


def _relations(result: AnnotatedDocument, task: str) -> object:
    return None if task == "ee" else _shape(result.annotations)


def _events_of(result: AnnotatedDocument, task: str) -> object:
    return _shape(result.annotations) if task == "ee" else None


def _shape(annotations: Iterable[Annotation]) -> list[str]:
    """The trees of spans, without classes and scores."""
    spans = (one for one in annotations if one.start is not None)
    return sorted(str((one.type, one.start, one.end, _shape(one.children))) for one in spans)


def _classes_of(result: AnnotatedDocument, task: str) -> object:
    """The trees of classes, each with the span that it stands below."""
    spans = (one for one in walk(result.annotations) if one.start is not None)
    below = sorted(str((one.start, one.end, tree)) for one in spans if (tree := _tree(one.children)))
    return _tree(result.annotations), below


def _tree(annotations: Iterable[Annotation]) -> list[object]:
    return [(one.type, _tree(one.children)) for one in annotations if one.start is None]


def _scores(result: AnnotatedDocument, task: str) -> object:
    return sorted((one.type, str(one.start), one.text, one.score) for one in walk(result.annotations))


def _document_of(result: AnnotatedDocument, task: str) -> object:
    document = result.document
    return document.id, document.name, document.text_pair, dict(document.metadata)


_VIEWS: dict[str, Callable[[AnnotatedDocument, str], object]] = {
    "text": _text,
    "overlap": _spans,
    "relations": _relations,
    "events": _events_of,
    "classes": _classes_of,
    "scores": _scores,
    "document": _document_of,
}


def round_trip_table() -> str:
    """Markdown: what comes back equal of `samples` from each format that is written and read."""
    rows = [["format", "all equal", "text", *(_HEADINGS.get(name, name) for name in KEPT)], ["---"] * (len(KEPT) + 3)]
    before = samples()
    for format in (name for name in FORMATS if name in readable()):
        after, _ = there_and_back(before, format)
        changed = differences(before, after)
        signs = ["–" if name in changed else "✓" for name in ("text", *KEPT)]
        rows.append([f"`{format}`", "✓" if after == before else "–", *signs])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    import sys

    sys.stdout.write(round_trip_table() + "\n")
