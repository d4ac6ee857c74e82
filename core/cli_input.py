"""What the command line is given → documents, each with its schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from core.errors import FormatError, InputError, RexError, SchemaError
from core.inference.engine import Item
from core.readers import ARCHIVES, Account, ReadOptions, Source, from_path, read_documents
from core.readers.archive import members
from core.readers.encoding import decode
from core.readers.jsonl import document_from_json
from core.readers.report import Tally
from core.schemas.presets import find_preset
from core.schemas.schema import Schema, parse_schema
from core.tasks import CLASS_MARKERS, CLASSIFY, MULTICLASSIFY, Task, find_task, schema_for
from core.types import Document, Span

VERBATIM = {"ner", "re", "ee", "absa", "mrc", "rex"}
MARKED = {
    "sentiment": CLASSIFY,
    "classification": CLASSIFY,
    "hierarchy": CLASSIFY,
    "matching": CLASSIFY,
    "nli": CLASSIFY,
    "multilabel": MULTICLASSIFY,
}


def load_schema(value: str | None) -> Schema | None:
    """A schema given as JSON text, as a file, or as the name of a preset."""
    if value is None:
        return None
    if value.lstrip().startswith(("{", "[")):
        return parse_schema(value)
    path = Path(value)
    if path.suffix == ".json" or path.is_file():
        try:
            return parse_schema(path.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            raise SchemaError(f"无法读取模式文件 {path}：{error}") from error
    preset = find_preset(value).schema
    return None if preset is None else parse_schema(preset)


LINES = (".jsonl", ".json", ".txt")


def read_input(
    path: Path, *, text_column: str | None = None, say: Callable[[str], object]
) -> list[tuple[Document, Schema | None]]:
    """The documents of a file: an object or text a line in those of `LINES`, else what an import makes of it.

    What a reader assumed or left out is said. Raises FormatError for a file, or one in an archive, that cannot be read,
    and InputError for a text column where there are none.
    """
    if path.suffix.lower() in LINES:
        if text_column is not None:
            raise InputError(f"--text-column 只用于表格，{path.name} 不是表格：请去掉它")
        return _read_lines(path)
    options = ReadOptions(text_column=text_column)
    found: list[tuple[Document, Schema | None]] = []
    try:
        for source in _sources(path, say):
            account = Account()
            for document, schema in read_documents(source, options, account=account):
                found.append((document, None if schema is None else parse_schema(schema)))
            for line in (*account.problems, *account.notes):
                say(f"{source.name}：{line}")
    except OSError as error:
        raise FormatError(f"无法读取输入文件 {path}：{error}") from error
    if not found:
        raise FormatError(f"输入文件 {path} 没有内容")
    return found


def _sources(path: Path, say: Callable[[str], object]) -> Iterator[Source]:
    """The file, or each file in an archive; one that cannot be read stops everything, for its results would lack."""
    source = from_path(path)
    if source.extension not in ARCHIVES:
        yield source
        return
    skipped = Tally()
    for member in members(source, skipped=skipped):
        if isinstance(member, FormatError):
            raise member
        yield member
    if skipped.count:
        say(f"{path.name}：跳过 {skipped.count} 个文件夹或系统文件")


def _read_lines(path: Path) -> list[tuple[Document, Schema | None]]:
    """A .jsonl file (an object a line, with its own `schema` if it likes) or a .txt file (a document a line)."""
    try:
        text = decode(path.read_bytes()).text
    except OSError as error:
        raise FormatError(f"无法读取输入文件 {path}：{error}") from error
    rows = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if path.suffix.lower() == ".txt":
        found: list[tuple[Document, Schema | None]] = [(Document(line), None) for _, line in rows]
    else:
        found = _json_rows(path, rows)
    if not found:
        raise FormatError(f"输入文件 {path} 没有内容")
    return found


def _json_rows(path: Path, rows: list[tuple[int, str]]) -> list[tuple[Document, Schema | None]]:
    found: list[tuple[Document, Schema | None]] = []
    problems = []
    for number, line in rows:
        try:
            document, schema = document_from_json(json.loads(line))
            found.append((document, None if schema is None else parse_schema(schema)))
        except (ValueError, RecursionError) as error:
            problems.append(f"第 {number} 行不是合法的 JSON：{error}")
        except RexError as error:
            problems.append(f"第 {number} 行：{error}")
    if problems:
        raise FormatError(f"{path} 有 {len(problems)} 行无法使用：\n" + "\n".join(problems[:20]))
    return found


def mark(text: str, words: list[str], name: str) -> tuple[Span, ...]:
    """The first occurrence of each word as a span."""
    spans = []
    for word in words:
        start = text.find(word)
        if not word or start < 0:
            raise InputError(f"正文里没有{name}“{word}”")
        spans.append(Span(start, start + len(word), word))
    return tuple(spans)


def to_items(
    rows: list[tuple[Document, Schema | None]], *, task_name: str | None, schema: Schema | None, reference: bool
) -> list[Item]:
    """What the engine is asked; `reference`: texts are read as the reference reads them (`--format rex`)."""
    if task_name is None and not reference:
        raise InputError("请用 --task 指定任务（--format rex 时可以省略）")
    task = find_task(task_name or "rex")
    return [_item(document, own or schema, task, reference=reference) for document, own in rows]


def _item(document: Document, schema: Schema | None, task: Task, *, reference: bool) -> Item:
    asked = schema_for(task, schema)
    choice = task.name == "mrc" and asked.depth > 1
    if reference and task.name in VERBATIM and not choice:
        return Item(document, find_task("rex"), asked)
    if reference and task.name in MARKED:
        text = document.text
        if document.text_pair is not None:
            text = f"段落1：{text}；段落2：{document.text_pair}"
        marker = CLASS_MARKERS[MARKED[task.name]]
        text = text if text.lstrip().startswith(marker) else marker + text
        return Item(replace(document, text=text, text_pair=None), find_task("rex"), asked)
    return Item(document, task, asked)
