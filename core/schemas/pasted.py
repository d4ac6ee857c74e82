"""Schemas as people paste them: what is wrong with the JSON is mended where its meaning is clear, and told.

Also the older form of classification, `标签1,标签2|正文`, in which the labels stood in the text and the schema was
`{"分类": null}`: it becomes a schema with a type for each label.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from core.schemas.schema import Schema, parse_schema

_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "＂": '"', "：": ":", "，": ",", "｛": "{", "｝": "}"})
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_COMMA = re.compile(r",(\s*[}\]])")
_LABELS = re.compile(r"\s*([^\s|{}\[\]\"，,|][^|{}\[\]\"\n]*[,，][^|{}\[\]\"\n]*)\|(.*)", re.S)


@dataclass(frozen=True, slots=True)
class Pasted:
    """The schema that was meant, a sentence for each thing that was mended, and the text of the old form."""

    schema: Schema
    notes: tuple[str, ...] = ()
    text: str = ""


def read_pasted(pasted: str) -> Pasted:
    """The schema in a pasted text. Raises SchemaError, as `parse_schema` does, when its meaning is not clear."""
    labels = old_labels(pasted)
    if labels is not None:
        names, body = labels
        note = "“标签1,标签2|正文”是旧写法：每个标签已写成一个类型，正文请放到文本框里；现在的写法由程序自动加上。"
        return Pasted(parse_schema(names), (note,), body)
    notes: list[str] = []
    value = _loads(pasted, notes)
    if _has_blank_leaf(value):
        notes.append('叶子类型应写 null，不是 ""：原模型遇到 "" 会返回空结果且不报错；这里已按 null 处理。')
    return Pasted(parse_schema(value if notes else pasted), tuple(notes))


def old_labels(text: str) -> tuple[list[str], str] | None:
    """The labels and the text of the old form; None when the text is not in it."""
    found = _LABELS.fullmatch(text)
    if found is None:
        return None
    names = [name.strip() for name in re.split("[,，]", found[1]) if name.strip()]
    return (list(dict.fromkeys(names)), found[2].strip()) if len(names) > 1 else None


def _loads(pasted: str, notes: list[str]) -> Any:
    """The JSON value, after as many repairs as it needs; a value that cannot be read goes on to `parse_schema`."""
    try:
        return json.loads(pasted)
    except (ValueError, RecursionError):
        pass
    mended = pasted
    for repair, note in _REPAIRS:
        after = repair(mended)
        if after != mended:
            mended = after
            notes.append(note)
        try:
            value = json.loads(mended)
        except (ValueError, RecursionError):
            continue
        parse_schema(mended)  # names written twice are seen only in the text
        return value
    notes.clear()
    return parse_schema(pasted).to_dict()


def _outside(text: str, change: Any) -> str:
    """`change` made to everything that is not inside a string."""
    parts, last = [], 0
    for found in _STRING.finditer(text):
        parts += [change(text[last : found.start()]), found.group()]
        last = found.end()
    return "".join([*parts, change(text[last:])])


_REPAIRS = (
    (
        lambda text: _outside(text, lambda part: part.translate(_QUOTES)),
        "中文的引号、冒号、逗号已换成英文的：JSON 只认英文标点。",
    ),
    (
        lambda text: re.sub(r"'([^'\"\n]*)'", r'"\1"', text),
        "单引号已换成双引号：JSON 只认双引号。",
    ),
    (
        lambda text: _outside(text, lambda part: re.sub(r"\bNone\b", "null", part)),
        "None 已换成 null：None 是 Python 的写法。",
    ),
    (
        lambda text: _outside(text, lambda part: _COMMA.sub(r"\1", part)),
        "最后一项后面的逗号已删去：JSON 不允许。",
    ),
)


def _has_blank_leaf(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_blank_leaf(one) for one in value.values())
    return isinstance(value, str) and not value
