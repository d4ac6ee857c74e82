"""Random bytes and damaged files: a reader gives documents or a FormatError in words, and nothing else."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import FormatError
from core.readers import ANNOTATED_FORMATS, Importer, ReadOptions, read, read_annotated
from core.readers.sandbox import extract
from core.readers.source import from_bytes
from core.types import Document
from scripts.fuzz import examples, tried

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples"
SOUND = {
    "txt": (SAMPLES / "news.txt").read_bytes(),
    "md": "# 标题\n\n正文。\n".encode(),
    "csv": (SAMPLES / "complaints.csv").read_bytes()[:900],
    "tsv": "编号\t内容\n1\t宽带断线\n2\t繁體，沒人來\n".encode("big5", "replace"),
    "json": '[{"text": "宽带断线", "schema": {"人物": null}, "candidates": ["宽带"]}, "没人来"]'.encode(),
    "jsonl": (SAMPLES / "everyday.jsonl").read_bytes()[:1200],
}
OFFICE = {
    "docx": ("docx", (SAMPLES / "notice.docx").read_bytes()),
    "xlsx": ("workbook", (SAMPLES / "complaints.xlsx").read_bytes()),
    "xls": ("workbook", (SAMPLES / "complaints.xls").read_bytes()),
    "cells": ("cells", (SAMPLES / "complaints.xlsx").read_bytes()),
    "pdf": ("pdf", (SAMPLES / "report.pdf").read_bytes()),
}
QUICK = {"deadline": None, "suppress_health_check": list(HealthCheck)}
BITS = st.sampled_from(
    [b"\x00", b"\xff\xfe", b'"', b"\n", b"\t", b",", b"{", b"[", b"\\ud83d", b"\x80", b"\xe5", b"PK"]
)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """A sound file with up to four faults: cut off, changed, doubled, or something put in."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        fault = draw(st.sampled_from(["cut", "change", "put", "double", "leave out"]))
        if fault == "cut":
            del data[place:]
        elif fault == "change":
            some = draw(st.binary(min_size=1, max_size=8))
            data[place : place + len(some)] = some
        elif fault == "put":
            data[place:place] = draw(st.one_of(BITS, st.binary(max_size=20)))
        elif fault == "double":
            data[place:place] = data[place : place + draw(st.integers(1, 200))]
        else:
            del data[place : place + draw(st.integers(1, 200))]
    return bytes(data)


def usable(documents: list[Document]) -> None:
    for one in documents:
        assert one.text.strip()
        for span in (*one.candidates, *one.pronouns):
            assert one.text[span.start : span.end] == span.text


def read_or_refused(extension: str, data: bytes) -> None:
    """What must hold of any bytes whatever."""
    tried(f"reader {extension}")
    try:
        report = read(f"文件.{extension}", data)
    except FormatError as error:
        assert any("\u4e00" <= character <= "\u9fff" for character in str(error))
    else:
        usable(list(report.documents))


@pytest.mark.parametrize("extension", sorted(SOUND))
def test_any_bytes_are_read_or_refused_in_words(extension: str) -> None:
    @settings(max_examples=examples(25), **QUICK)
    @given(data=st.one_of(st.binary(max_size=300), st.text(max_size=100).map(str.encode), damaged(SOUND[extension])))
    def check(data: bytes) -> None:
        read_or_refused(extension, data)

    check()


@pytest.mark.parametrize("name", sorted(OFFICE))
def test_any_office_file_is_read_or_refused_in_words(name: str) -> None:
    """In the child that the readers use: a damaged workbook can ask for more memory than there is."""
    kind, whole = OFFICE[name]

    @settings(max_examples=examples(3), **QUICK)
    @given(data=st.one_of(damaged(whole), damaged(whole), st.binary(max_size=200)))
    def check(data: bytes) -> None:
        tried(f"reader {name}")
        try:
            list(extract(from_bytes("file", data), kind))
        except FormatError as error:
            assert any("\u4e00" <= character <= "\u9fff" for character in str(error))

    check()


@settings(max_examples=examples(15), **QUICK)
@given(data=st.data())
def test_any_archive_is_read_or_refused_and_no_document_is_unusable(data: st.DataObject) -> None:
    tried("reader zip")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        names = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
        # zipfile cuts a name at its first NUL and cannot write what is then empty.
        for name in data.draw(st.lists(names.filter(lambda name: not name.startswith("\0")), max_size=3)):
            archive.writestr(f"{name}.txt", "宽带断线\n")
        archive.writestr("a.csv", SOUND["csv"])
    kept: list[Document] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.zip"
        path.write_bytes(data.draw(st.one_of(st.just(buffer.getvalue()), damaged(buffer.getvalue()))))
        reports = list(Importer(kept.extend, ReadOptions()).paths([path]))
        assert [one.name for one in Path(folder).iterdir()] == ["a.zip"]
    assert reports and all(one.error or one.documents or one.notes for one in reports)
    assert sum(one.documents for one in reports) == len(kept)
    usable(kept)


# One line of each form that is read.
ANNOTATED = """\
{"text": "张伟在南京。", "annotations": [{"type": "人物", "start": 0, "end": 2, "text": "张伟", "children": []}]}
{"text": "张伟在南京。", "schema": {"人物": null}, "info_list": [[{"type": "人物", "span": "张伟", "offset": [0, 2]}]]}
{"id": 1, "text": "张伟", "entities": [{"id": 1, "label": "人物", "start_offset": 0, "end_offset": 2}]}
{"content": "张伟在南京", "prompt": "人物", "result_list": [{"text": "张伟", "start": 0, "end": 2}]}
{"data": {"text": "张"}, "annotations": [{"result": [{"type": "labels", "id": "a", "value": {"start": 0, "end": 1}}]}]}
张 B-人物
伟 I-人物
""".encode()


@settings(max_examples=examples(40), **QUICK)
@given(data=st.one_of(damaged(ANNOTATED), st.binary(max_size=100)), format=st.sampled_from(sorted(ANNOTATED_FORMATS)))
def test_any_annotated_file_has_its_spans_in_its_text_or_is_refused(data: bytes, format: str) -> None:
    tried("reader annotated")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_bytes(data)
        try:
            documents, _ = read_annotated(path, format)
        except FormatError:
            return
        for one in documents:
            for found in one.annotations:
                assert found.start is None or one.document.text[found.start : found.end] == found.text
