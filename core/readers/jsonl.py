"""JSON lines, a JSON list or one JSON object -> documents, each with its inputs and perhaps its own schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from core.errors import FormatError, InputError
from core.readers import columns as known
from core.readers.report import Parsed, shorten
from core.types import Document, Span

# Fields of our own result files that say what was found, not what was asked.
_RESULT_KEYS = ("annotations", "task", "windows", "notes")


def parse_json(text: str, name: str) -> Parsed:
    """One document for each object or string; lines that cannot be used are reported, the others kept.

    Keys: text, id, name, text_pair, aspects, candidates, pronouns, schema; any other key becomes metadata.
    A marked span is [start, end] in code points, or a string that means its first occurrence.
    Raises FormatError, naming the line, when nothing at all can be used.
    """
    stem = PurePath(name).stem
    documents: list[Document] = []
    schemas: list[dict[str, Any] | None] = []
    problems: list[str] = []
    with_results = 0
    for place, number, value in _values(text):
        try:
            if isinstance(value, _Bad):
                raise InputError(value.reason)
            document, schema = document_from_json(value, default_id=f"{stem}-{number}", name=name)
        except InputError as error:
            problems.append(f"{place}：{error}，已跳过。")
            continue
        with_results += isinstance(value, dict) and isinstance(value.get("annotations"), list)
        documents.append(document)
        schemas.append(schema)
    if not documents:
        raise FormatError(f"“{name}”中没有可用的内容。" + " ".join(shorten(problems, "问题")))
    notes = (f"{with_results} 个文档带有已有的标注结果，只读取了文本和输入",) if with_results else ()
    return Parsed(tuple(documents), tuple(schemas), shorten(problems, "问题"), notes)


class _Bad:
    """A line that is no JSON."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


def _values(text: str) -> Iterator[tuple[str, int, Any]]:
    """Each value with its place in words and its number from 1."""
    whole = _load(text)
    if isinstance(whole, list):
        for number, value in enumerate(whole, start=1):
            yield f"第 {number} 项", number, value
    elif not isinstance(whole, _Bad):
        yield "第 1 项", 1, whole
    elif text.lstrip().startswith("["):
        raise FormatError(f"JSON 列表{whole.reason}。请修正后重新导入，或改为每行一个对象的 jsonl。")
    else:
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                yield f"第 {number} 行", number, _load(line)


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = f"第 {error.lineno} 行" if "\n" in text else ""
        return _Bad(f"不是有效的 JSON（{error.msg}，{line}第 {error.colno} 个字符）")
    except (ValueError, RecursionError):
        return _Bad("不是可以读取的 JSON（数字过长或嵌套过深）")


def document_from_json(value: Any, *, default_id: str = "", name: str = "") -> tuple[Document, dict[str, Any] | None]:
    """One document and the schema that it brought, from a JSON object or string; keys as in `parse_json`.

    Raises InputError for a value that cannot be a document.
    """
    if isinstance(value, str):
        value = {"text": value}
    if not isinstance(value, dict):
        raise InputError("应为对象或字符串")
    fields = dict(value)
    text_key = known.find(fields, known.TEXT)
    if text_key is None:
        raise InputError(f"没有 text 字段（现有字段：{'、'.join(fields) or '无'}）")
    text = _storable(fields.pop(text_key), "text")
    if not text.strip():
        raise InputError("text 为空")
    pair_key, id_key = known.find(fields, known.TEXT_PAIR), known.find(fields, known.ID)
    pair = fields.pop(pair_key) if pair_key else None
    external_id = fields.pop(id_key) if id_key else None
    schema = _schema(fields.pop("schema", None))
    if isinstance(fields.get("annotations"), list):
        for key in _RESULT_KEYS:
            fields.pop(key, None)
    document = Document(
        text=text,
        id=default_id if external_id in (None, "") else _text(external_id),
        name=_text(fields.pop("name", None) or name),
        text_pair=None if pair is None else _storable(pair, "text_pair"),
        aspects=tuple(_storable(item, "aspects") for item in _list(fields.pop("aspects", None))),
        candidates=_spans(fields.pop("candidates", None), text, key="candidates"),
        pronouns=_spans(fields.pop("pronouns", None), text, key="pronouns"),
        metadata=_metadata(fields),
    )
    return document, schema


def _storable(value: Any, key: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{key} 应为字符串")
    # JSON escapes can spell what is no character; neither a database nor a file can hold half a pair.
    if any("\ud800" <= character <= "\udfff" for character in value) or "\x00" in value:
        raise InputError(f"{key} 含有无效字符（不完整的代理对或空字符）")
    return value


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _storable(text, "字段值")


def _metadata(fields: dict[str, Any]) -> dict[str, str]:
    nested = fields.pop("metadata", None)
    if isinstance(nested, dict):
        fields = {**nested, **fields}
    elif nested is not None:
        fields["metadata"] = nested
    return {_text(key): _text(value) for key, value in fields.items()}


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _schema(value: Any) -> dict[str, Any] | None:
    if isinstance(value, str):
        value = _load(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return dict.fromkeys(value)
    if value is None or isinstance(value, dict):
        return value
    raise InputError('schema 应为对象，例如 {"人物": null}')


def _spans(value: Any, text: str, *, key: str) -> tuple[Span, ...]:
    items = _list(value)
    if len(items) == 2 and all(isinstance(item, int) for item in items):
        items = [items]
    return tuple(_span(item, text, key=key) for item in items)


def _span(item: Any, text: str, *, key: str) -> Span:
    if isinstance(item, dict):
        item = [item.get("start"), item.get("end")]
    if isinstance(item, str):
        start = text.find(item) if item else -1
        if start < 0:
            raise InputError(f"{key} 中的“{item}”在 text 中找不到")
        return Span(start, start + len(item), item)
    if isinstance(item, list) and len(item) == 2 and all(type(bound) is int for bound in item):
        start, end = item
        if 0 <= start < end <= len(text):
            return Span(start, end, text[start:end])
        raise InputError(f"{key} 的位置 [{start}, {end}] 超出 text（共 {len(text)} 个字符）")
    raise InputError(f"{key} 应为 [开始, 结束] 或 text 中的词语")
