"""The rows of a part -> documents with their schemas; a row that is none stays, with the reason."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa

from core.cluster.parts import InputFile, Part, lines_of, open_file, parquet_file
from core.errors import FormatError, InputError, RexError
from core.inference.documents import Item
from core.readers import columns as known
from core.readers.jsonl import Bad, document_from_json, load
from core.schemas.schema import Schema, parse_schema
from core.tasks import find_task, schema_for
from core.types import AnnotatedDocument, Document


@dataclass(frozen=True, slots=True)
class Asked:
    """What every document is asked: schema as `parse_schema` reads it, None for the task's own.

    A column that is named must exist in Parquet files; empty: found by its name.
    """

    task: str
    schema: Mapping[str, Any] | None = None
    text_column: str = ""
    id_column: str = ""

    def parsed(self) -> Schema:
        """The schema to ask. Raises SchemaError."""
        return schema_for(find_task(self.task), None if self.schema is None else parse_schema(dict(self.schema)))


def read_rows(part: Part, asked: Asked) -> Iterator[tuple[int, Item | AnnotatedDocument]]:
    """Each row of the part with its number: what to ask of its document, or why that cannot be.

    Raises FormatError when the file cannot be read or has no such column.
    """
    skipped = set(part.skip)
    task, schema = find_task(asked.task), asked.parsed()
    for number, value in _values(part, asked):
        if number in skipped:
            continue
        name = f"{part.file.name}#{number}"
        try:
            if isinstance(value, Bad):
                raise InputError(value.reason)
            document, own = document_from_json(_renamed(value, asked), default_id=name, name=part.file.name)
            yield number, Item(document, task, schema if own is None else schema_for(task, parse_schema(own)))
        except RecursionError:
            yield number, _refused(value, name, part, task.name, reason="嵌套过深")
        except RexError as error:
            yield number, _refused(value, name, part, task.name, reason=str(error))


def check_columns(file: InputFile, asked: Asked) -> None:
    """Raise FormatError, naming the columns there are, when a Parquet file lacks the one that is needed."""
    if not file.name.lower().endswith(".parquet"):
        return
    with parquet_file(file) as opened:
        names = list(opened.schema_arrow.names)
    listed = "、".join(names)
    for column, option in ((asked.text_column, "--text-column"), (asked.id_column, "--id-column")):
        if column and column not in names:
            raise FormatError(f"“{file.name}”没有名为“{column}”的列（{option}）。现有的列：{listed}")
    if not asked.text_column and known.find(names, known.TEXT) is None:
        raise FormatError(f"“{file.name}”无法确定哪一列是正文。现有的列：{listed}。请用 --text-column 指定")


def _values(part: Part, asked: Asked) -> Iterator[tuple[int, Any]]:
    if part.file.name.lower().endswith(".parquet"):
        check_columns(part.file, asked)
        yield from _parquet_values(part)
        return
    with open_file(part.file.uri) as stream:
        stream.seek(part.offset)
        number = part.first
        for line in lines_of(stream):
            if number == part.first + part.rows:
                return
            if line.strip():  # a blank line is no row that lacks something
                yield number, _json(line, number)
            number += 1
    if number < part.first + part.rows:
        raise FormatError(f"“{part.file.name}”在读取时变短了：请不要在处理时改写输入，重新运行即可继续")


def _json(line: bytes, number: int) -> Any:
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip("\r\n")
    except UnicodeDecodeError as error:
        return Unread(line.decode("utf-8", "replace"), f"不是 UTF-8（第 {error.start + 1} 个字节）")
    value = load(text)
    return Unread(text, value.reason) if isinstance(value, Bad) else value


class Unread(Bad):
    """A line that is no JSON, kept as it is."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(reason)
        self.text = text


def _parquet_values(part: Part) -> Iterator[tuple[int, Any]]:
    last = part.first + part.rows - 1
    begin = 1
    with parquet_file(part.file) as opened:
        sizes = [opened.metadata.row_group(group).num_rows for group in range(opened.metadata.num_row_groups)]
    for group, size in enumerate(sizes):
        end = begin + size - 1
        if begin <= last and part.first <= end:
            start = max(part.first, begin)
            table = _row_group(part.file, group).slice(start - begin, min(last, end) - start + 1)
            rows = table.to_pylist(maps_as_pydicts="lossy")
            yield from ((start + place, _plain(row)) for place, row in enumerate(rows))
        begin = end + 1


@lru_cache(maxsize=2)
def _row_group(file: InputFile, group: int) -> pa.Table:
    """One row group, for the parts of it are read one after the other."""
    try:
        with parquet_file(file) as opened:
            return opened.read_row_group(group)
    except (OSError, pa.ArrowException) as error:
        raise FormatError(f"“{file.name}”不是完好的 Parquet 文件（{error}）。请重新生成") from error


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """The cells that are filled, as JSON values; what JSON has no word for, such as a date, as text."""
    filled = {key: value for key, value in row.items() if value is not None}
    plain: dict[str, Any] = json.loads(json.dumps(filled, default=str))
    return plain


def _renamed(value: Any, asked: Asked) -> Any:
    """The row with its text and id where `document_from_json` looks for them; what stood there becomes metadata."""
    if not isinstance(value, dict):
        return value
    fields = dict(value)
    for column, key in ((asked.text_column, "text"), (asked.id_column, "id")):
        if not column or column == key:
            continue
        if column not in fields:
            raise InputError(f"没有 {column} 字段（现有字段：{'、'.join(fields) or '无'}）")
        chosen = fields.pop(column)
        if key in fields:
            kept = fields.get("metadata")
            fields["metadata"] = {**(kept if isinstance(kept, dict) else {}), key: fields[key]}
        fields = {key: chosen, **{name: one for name, one in fields.items() if name != key}}
    return fields


def _refused(value: Any, name: str, part: Part, task: str, *, reason: str) -> AnnotatedDocument:
    """The row as it stands, so that nothing is lost, without findings."""
    text = value.text if isinstance(value, Unread) else json.dumps(value, ensure_ascii=False, default=str)
    error = f"“{part.file.name}”第 {name.rpartition('#')[2]} 行无法读取：{reason}"
    return AnnotatedDocument(Document(text, id=name, name=part.file.name), task, (), error=error)
