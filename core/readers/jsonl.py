"""JSON lines, a JSON list or one JSON object -> documents, each with its inputs and perhaps its own schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from core.errors import FormatError, InputError
from core.readers import columns as known
from core.readers.encoding import find_encoding, open_text
from core.readers.options import ReadOptions
from core.readers.report import Account, Item, Tally
from core.readers.source import Source
from core.types import Document, Span

# Fields of our own result files that say what was found, not what was asked.
_RESULT_KEYS = ("annotations", "task", "windows", "notes", "error", "run", "near")
# A list is read as a whole, which takes several times its size in memory; lines are read one by one.
WHOLE_BYTES = 64 * 2**20
# One line of a JSON lines file.
LINE_CHARACTERS = 32 * 2**20


class Bad:
    """A line or item that is no JSON, and why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


def read_json(source: Source, options: ReadOptions, *, account: Account) -> Iterator[Item]:
    """One document for each object or string; lines that cannot be used are reported, the others kept.

    Keys: text, id, name, text_pair, aspects, candidates, pronouns, schema; any other key becomes metadata.
    A marked span is [start, end] in code points, or a string that means its first occurrence.
    """
    problems = Tally()
    with_results = 0
    for place, number, value in json_values(source, account, encoding=options.encoding):
        try:
            if isinstance(value, Bad):
                raise InputError(value.reason)
            item = document_from_json(value, default_id=f"{source.stem}-{number}", name=source.name)
        except InputError as error:
            problems.add(f"{place}：{error}，已跳过。")
            continue
        except RecursionError:
            problems.add(f"{place}：嵌套过深，已跳过。")
            continue
        with_results += isinstance(value, dict) and isinstance(value.get("annotations"), list)
        yield item
    account.problems += problems.lines("问题")
    if with_results:
        account.notes.append(
            f"{with_results} 个文档带有已有的标注结果，只读取了文本和输入（要导入标注，请选择标注格式）"
        )


def json_values(source: Source, account: Account, *, encoding: str | None = None) -> Iterator[tuple[str, int, Any]]:
    """Each value of a JSON or JSON lines file with its place in words and its number from 1; `Bad` for no JSON.

    Raises FormatError for a list that is broken or too large to be read at once.
    """
    found = find_encoding(source.chunks, encoding=encoding)
    account.encoding = found.encoding
    if found.note:
        account.notes.append(found.note)
    with open_text(source, found) as text:
        listed = _first_character(text.read(65_536)) == "["
    if source.size_bytes <= WHOLE_BYTES:
        with open_text(source, found) as text:
            whole = load(text.read())
        if isinstance(whole, list):
            yield from ((f"第 {number} 项", number, value) for number, value in enumerate(whole, start=1))
            return
        if not isinstance(whole, Bad):
            yield "第 1 项", 1, whole
            return
        if listed:
            raise FormatError(f"JSON 列表{whole.reason}。请修正后重新导入，或改为每行一个对象的 jsonl。")
    elif listed:
        raise FormatError(
            f"JSON 列表有 {source.size_bytes // 2**20} MB，超过一次能读入的 {WHOLE_BYTES // 2**20} MB。"
            "请改为每行一个对象的 jsonl 后重新导入。"
        )
    with open_text(source, found) as text:
        number = 0
        while line := text.readline(LINE_CHARACTERS):
            number += 1
            if len(line) >= LINE_CHARACTERS:
                raise FormatError(
                    f"第 {number} 行超过 {LINE_CHARACTERS // 2**20} 百万字符，无法读取。请拆分后重新导入。"
                )
            if line.strip():
                yield f"第 {number} 行", number, load(line.rstrip("\n"))


def _first_character(text: str) -> str:
    return text.lstrip()[:1]


def load(text: str) -> Any:
    """The JSON value, or `Bad` with the reason in words."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = f"第 {error.lineno} 行" if "\n" in text else ""
        return Bad(f"不是有效的 JSON（{error.msg}，{line}第 {error.colno} 个字符）")
    except (ValueError, RecursionError):
        return Bad("不是可以读取的 JSON（数字过长或嵌套过深）")


def document_from_json(value: Any, *, default_id: str = "", name: str = "") -> tuple[Document, dict[str, Any] | None]:
    """One document and the schema that it brought, from a JSON object or string; keys as in `read_json`.

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
        value = load(value)
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
