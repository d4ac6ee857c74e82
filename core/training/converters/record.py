"""The record that every converter yields, its check, and what converters share.

A converter is `convert_<set>(directory, tally) -> Iterator[Record]`: it reads the published files (plain or
gzip) and counts in `tally`, by reason, every row or span that it has to leave out.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, cast

from core.errors import FormatError

Schema = Mapping[str, "Schema | None"]
Element = Mapping[str, Any]
InfoPath = list[Element]
Tally = Counter[str]

CLASSIFY = "[CLASSIFY]"
MULTICLASSIFY = "[MULTICLASSIFY]"
_BODY = re.compile(r"^(?:\[CLASSIFY\]|\[MULTICLASSIFY\])")
_SPECIAL = re.compile(r"\[(?:CLS|SEP|PAD|UNK|MASK|PREFIX|TYPE|CLASSIFY|MULTICLASSIFY)\]")
_LETTER = re.compile(r"[A-Za-z]")
_DIGIT = re.compile(r"[0-9]")


@dataclass(frozen=True, slots=True)
class Record:
    """One labelled example in the layout of SPEC 9 and 10.1.

    `key` is the text whose hash is checked (a pair: first + second text; reading: the context). Records of
    one `group` (by default the key) never part between train and dev. `split` is "dev" when the set itself
    ships the row for development, else empty.
    """

    text: str
    info_list: list[InfoPath]
    schema: Schema
    task: str
    source: str
    key: str
    group: str = ""
    split: str = ""


def element(type_: str, text: str, start: int, end: int) -> Element:
    """One element of a path: `text[start:end]` under a type."""
    return {"type": type_, "span": text[start:end], "offset": [start, end]}


def leaves(types: Iterable[str]) -> Schema:
    """A flat schema of these types."""
    return dict.fromkeys(types)


def class_record(
    body: str,
    paths: Iterable[tuple[str, ...]],
    *,
    schema: Schema,
    task: str,
    source: str,
    marker: str = CLASSIFY,
    key: str | None = None,
    group: str = "",
    split: str = "",
) -> Record:
    """A classification record: every path is a tuple of types, all on the class token before `body`."""
    info = [[element(type_, marker, 0, len(marker)) for type_ in path] for path in paths]
    return Record(marker + body, info, schema, task, source, body if key is None else key, group, split)


def problem(record: Record) -> str:
    """Why a record cannot be used, in one short phrase; empty when it is sound."""
    body = _BODY.sub("", record.text)
    if not body.strip() or not record.key.strip():
        return "empty text"
    if _SPECIAL.search(body):
        return "special token in the text"
    if not record.schema:
        return "empty schema"
    for path in record.info_list:
        level: Schema | None = record.schema
        if not path:
            return "empty path"
        for item in path:
            start, end = item["offset"]
            if not 0 <= start < end <= len(record.text) or record.text[start:end] != item["span"]:
                return "span differs from the text"
            if not level or item["type"] not in level:
                return "type not in the schema"
            level = level[item["type"]]
    return ""


def open_text(directory: Path, name: str) -> TextIO:
    """Open a published file, or its gzip `<name>.gz`, as UTF-8 without BOM; raises FormatError when absent."""
    for path in (directory / name, directory / f"{name}.gz"):
        if path.exists():
            opener = gzip.open if path.suffix == ".gz" else open
            return cast(TextIO, opener(path, "rt", encoding="utf-8-sig", newline="\n"))
    raise FormatError(f"数据集目录 {directory} 里没有 {name} 或 {name}.gz。请核对目录，或重新取得该数据集。")


def read_lines(directory: Path, name: str) -> Iterator[str]:
    """The lines of a file that are not blank, without their line ends."""
    with open_text(directory, name) as file:
        for line in file:
            if line.strip():
                yield line.rstrip("\r\n")


def read_json(directory: Path, name: str) -> Any:
    """The JSON value of a whole file; raises FormatError when it is damaged."""
    with open_text(directory, name) as file:
        try:
            return json.load(file)
        except json.JSONDecodeError as error:
            raise FormatError(f"{directory / name} 不是有效的 JSON：{error}。请重新取得该文件。") from error


def read_json_lines(directory: Path, name: str) -> Iterator[Any]:
    """The JSON values of a file with one a line; raises FormatError naming the damaged line."""
    for number, line in enumerate(read_lines(directory, name), 1):
        try:
            yield json.loads(line)
        except json.JSONDecodeError as error:
            raise FormatError(f"{directory / name} 第 {number} 个非空行不是有效的 JSON：{error}。") from error


def read_csv(directory: Path, name: str) -> Iterator[dict[str, str]]:
    """The rows of a comma separated file with a header, quoted fields with line breaks included."""
    with open_text(directory, name) as file:
        yield from csv.DictReader(file)


def read_columns(directory: Path, name: str, *, columns: int, tally: Tally) -> Iterator[list[str]]:
    """The TAB separated rows that have this many columns; others are counted."""
    for line in read_lines(directory, name):
        row = line.split("\t")
        if len(row) == columns:
            yield row
        else:
            tally["row with a wrong number of columns"] += 1


def find_all(text: str, needle: str) -> list[tuple[int, int]]:
    """Every occurrence of `needle`, not overlapping and not cut out of a longer number."""
    found: list[tuple[int, int]] = []
    start = text.find(needle) if needle else -1
    while start >= 0:
        end = start + len(needle)
        before = text[start - 1] if start else " "
        after = text[end] if end < len(text) else " "
        inside_number = (needle[0].isdigit() and (before.isdigit() or before == ".")) or (
            needle[-1].isdigit() and after.isdigit()
        )
        if inside_number:
            end = start + 1
        else:
            found.append((start, end))
        start = text.find(needle, end)
    return found


def join_tokens(tokens: Iterable[str]) -> tuple[str, list[tuple[int, int]]]:
    """Join tokens without blanks, save between two Latin words or two numbers; also every token's offsets."""
    text = ""
    offsets = []
    for token in tokens:
        if text and token and any(kind.match(text[-1]) and kind.match(token[0]) for kind in (_LETTER, _DIGIT)):
            text += " "
        offsets.append((len(text), len(text) + len(token)))
        text += token
    return text, offsets


def clean(text: str) -> str:
    """A text to classify, without byte order marks and outer white space."""
    return text.replace("\ufeff", "").strip()
