"""What a format promises to hold comes back: the same trees, offsets and words, whatever the text is made of."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from core.errors import FormatError
from core.exporters import find_format, write_file
from core.exporters.back import read_back
from core.exporters.csv import FORMULA
from core.exporters.csv_back import read_own_table
from core.exporters.report import About, Losses
from core.exporters.table import READ_AS
from core.exporters.xlsx import write as write_workbook
from core.exporters.xlsx_back import is_own_workbook, read_own_workbook
from core.readers.annotated import read_annotated
from core.readers.parquet import read_parquet
from core.types import AnnotatedDocument, Annotation, Document, Link, Span

CHARACTERS = "张伟李娜的在，。？😀👨\u200d👩𠮷𪚥é<&>\"'=+-@\\/|{}[]#aB7 \t\r\n\u3000\u2028\x85"
TYPES = [
    "人物",
    "配偶(人物)",
    "组织机构（公司）",
    "a b",
    "甲/乙",
    "反\\斜",
    "竖|线",
    '引"号',
    "<b>",
    "😀类型",
    "类别",
    "O",
    "e_a",
]
ROLES = ["时间", "主体", "地点(地理位置)", "人数2"]
TRIGGERS = ["离职(事件触发词)", "夺冠（触发词）"]
CLASSES = ["体育", "足球", "正向", "甲/乙", "反\\斜", "，逗号,", "[x]"]
KEYS = ["渠道", "日期", "a b", "😀"]

COMMANDS = ("=cmd|' /C calc'!A0", "+1+cmd|' /C calc'!A0", "@SUM(1)", "\t=1+1")
SPREADSHEETS_AND_OTHERS = ("csv", "xlsx", "native", "doccano", "label-studio", "brat", "spacy", "uie", "parquet")


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    "form", ["csv", "xlsx", "native", "doccano", "label-studio", "brat", "spacy", "uie", "parquet"]
)
def test_a_type_that_a_spreadsheet_would_run_is_written_as_text_told_and_read_back(
    form: str, name: str, tmp_path: Path
) -> None:
    result = AnnotatedDocument(Document("张伟在北京。", id="1"), "ner", (Annotation(name, 0, 2, "张伟", 0.9),))
    path = tmp_path / f"file{find_format(form).suffix}"
    losses = write_file([result], form, path=path)
    if form == "csv":
        cells = [cell for row in csv.reader(io.StringIO(path.read_text("utf-8-sig"), newline="")) for cell in row]
        assert f"'{name}" in cells and not [cell for cell in cells if cell.startswith(FORMULA)]
        assert [line for line in losses if "以免被当作公式执行" in str(line)]
    if form == "xlsx":
        sheets = openpyxl.load_workbook(path)
        cells = [cell for sheet in sheets for row in sheet.iter_rows() for cell in row if cell.value is not None]
        assert name in [cell.value for cell in cells] and {cell.data_type for cell in cells} <= {"s", "n"}
    (back,) = read_back(path, form, say=lambda line: None)
    assert [(one.type, one.start, one.end) for one in back.annotations] == [(name, 0, 2)]


scores = st.integers(0, 1_000_000).map(lambda number: number / 1_000_000)
texts = st.one_of(
    st.text(CHARACTERS, min_size=1, max_size=30),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20),
).filter(str.strip)


def class_trees(depth: int = 3) -> st.SearchStrategy[tuple[Annotation, ...]]:
    """Classes without spans; brothers have different names."""
    below = st.just(()) if depth == 1 else st.one_of(st.just(()), class_trees(depth - 1))
    one = st.builds(lambda name, score, under: Annotation(name, None, None, "", score, under), _class, scores, below)
    return st.lists(one, max_size=2, unique_by=lambda annotation: annotation.type).map(tuple)


_class = st.sampled_from(CLASSES)


@st.composite
def span_trees(draw: st.DrawFn, text: str, types: list[str], depth: int) -> Annotation:
    """A span of `text` with classes and further spans below it; spans may nest, cross and repeat."""
    start = draw(st.integers(0, len(text) - 1))
    end = draw(st.integers(start + 1, len(text)))
    children: tuple[Annotation, ...] = ()
    if depth > 1:
        children = draw(st.one_of(st.just(()), class_trees(2)))
        children += tuple(draw(st.lists(span_trees(text, ROLES, depth - 1), max_size=3)))
    return Annotation(draw(st.sampled_from(types)), start, end, text[start:end], draw(scores), children)


@st.composite
def results(draw: st.DrawFn) -> AnnotatedDocument:
    """An annotated document: classes, then entities, relations three deep and events with several roles."""
    text = draw(texts)
    annotations = draw(class_trees()) if draw(st.booleans()) else ()
    annotations += tuple(draw(st.lists(span_trees(text, TYPES + TRIGGERS, 3), max_size=4)))
    document = Document(
        text,
        id=draw(st.sampled_from(["T-1", "文档 7", "0012", "a/b"])),
        name=draw(st.sampled_from(["投诉.csv", "新 闻.txt"])),
        text_pair=draw(st.one_of(st.none(), texts)),
        metadata=draw(st.dictionaries(st.sampled_from(KEYS), texts, max_size=2)),
    )
    task = draw(st.sampled_from(["re", "ner", "ee", "classification"]))
    return AnnotatedDocument(document, task, annotations, windows=draw(st.integers(1, 9)))


MANY = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
LISTS = st.lists(results(), min_size=1, max_size=3)


def again(written: list[AnnotatedDocument], format: str) -> list[AnnotatedDocument]:
    """The results after writing them to a file of the format and reading it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{find_format(format).suffix}"
        write_file(written, format, path=path)
        if format == "parquet":
            return list(read_parquet(path))
        documents, report = read_annotated(path, READ_AS.get(format, format))
        assert report.problems == ()
        return list(documents)


def walk(annotations: tuple[Annotation, ...]) -> Iterator[Annotation]:
    for one in annotations:
        yield one
        yield from walk(one.children)


def without_class_scores(annotations: tuple[Annotation, ...]) -> tuple[Annotation, ...]:
    return tuple(
        replace(one, score=1.0 if one.start is None else one.score, children=without_class_scores(one.children))
        for one in annotations
    )


def check(written: list[AnnotatedDocument], format: str, *, class_scores: bool) -> None:
    found = again(written, format)
    assert len(found) == len(written)
    for before, after in zip(written, found, strict=True):
        assert after.document.text == before.document.text
        for one in walk(after.annotations):
            assert one.start is None or after.document.text[one.start : one.end] == one.text
        trim = (lambda trees: trees) if class_scores else without_class_scores
        assert trim(after.annotations) == trim(before.annotations)
        for field in ("id", "name", "text_pair", "metadata"):
            assert getattr(after.document, field) == getattr(before.document, field)
        assert (after.task, after.windows) == (before.task, before.windows)


@pytest.mark.parametrize("format", ["native", "label-studio", "parquet"])
@MANY
@given(before=LISTS)
def test_every_tree_with_its_scores_comes_back(format: str, before: list[AnnotatedDocument]) -> None:
    check(before, format, class_scores=True)


@pytest.mark.parametrize("format", ["doccano", "brat"])
@MANY
@given(before=LISTS)
def test_every_tree_comes_back_but_for_scores_of_classes(format: str, before: list[AnnotatedDocument]) -> None:
    check(before, format, class_scores=False)


def as_spacy_holds(annotations: tuple[Annotation, ...]) -> tuple[Annotation, ...]:
    """Trees of spans without scores and without classes below a span."""
    spans = [one for one in annotations if one.start is not None]
    return tuple(replace(one, score=1.0, children=as_spacy_holds(one.children)) for one in spans)


@MANY
@given(before=LISTS)
def test_spans_and_relations_come_back_from_spacy_s_lines(before: list[AnnotatedDocument]) -> None:
    for written, read in zip(before, again(before, "spacy"), strict=True):
        assert as_spacy_holds(read.annotations) == as_spacy_holds(written.annotations)
        assert read.document.text == written.document.text


@MANY
@given(before=LISTS)
def test_every_tree_comes_back_from_our_own_table(before: list[AnnotatedDocument]) -> None:
    numbered = [replace(one, document=replace(one.document, id=f"={number}")) for number, one in enumerate(before)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        write_file(numbered, "csv", path=path)
        found = list(read_own_table(path))
    for written, read in zip(numbered, found, strict=True):
        assert read.annotations == written.annotations
        assert (read.document.id, read.document.text) == (written.document.id, written.document.text)


@settings(MANY, max_examples=10)
@given(before=LISTS)
def test_every_tree_and_document_comes_back_from_our_own_workbook(before: list[AnnotatedDocument]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.xlsx"
        # what XML has no spelling for is replaced and told
        assume(not any("XML" in loss.what for loss in write_file(before, "xlsx", path=path)))
        assert is_own_workbook(path)
        assert list(read_own_workbook(path)) == before


def test_long_texts_and_full_sheets_come_back_from_our_own_workbook(tmp_path: Path) -> None:
    text = "=张\r\n_x000D_" + "😀长" * 40_000
    deep = Annotation("甲", 0, 1, "=", 0.5, (Annotation("类", None, None, "", 0.3),))
    above = Annotation("无", None, None, "", 0.5, (Annotation("属性词", None, None, "屏幕", 0.4, (deep,)), deep))
    before = [
        AnnotatedDocument(Document(f"{number}{text}", id=str(number)), "absa", (above,), notes=("提示", "二"))
        for number in range(5)
    ]
    before = [replace(one, annotations=(above, replace(deep, text=str(n)))) for n, one in enumerate(before)]
    losses = Losses()
    with (tmp_path / "a.xlsx").open("wb") as target:
        write_workbook(before, target, losses, About(), rows=4)
    with pytest.raises(FormatError, match="不是"):
        list(read_own_workbook(tmp_path / "a.xlsx"))  # a place whose words are others
    right = [
        replace(one, annotations=(Annotation("字", 0, 1, str(n), 0.5), Annotation("甲", 1, 2, "=", 0.25)))
        for n, one in enumerate(before)
    ]
    with (tmp_path / "b.xlsx").open("wb") as target:
        write_workbook(right, target, losses, About(), rows=4)
    assert list(read_own_workbook(tmp_path / "b.xlsx")) == right


def test_parquet_keeps_what_no_other_format_holds() -> None:
    text = "它在家"
    document = Document(
        text,
        aspects=("屏幕",),
        candidates=(Span(2, 3, "家"),),
        pronouns=(Span(0, 1, "它"),),
        metadata={"b": "1", "a": "2"},
    )
    implicit = Annotation("属性词", None, None, "屏幕", 1 / 3, (Annotation("观点", 0, 1, "它", 0.25),))
    link = Link("属性词", 0, 1, "#", 0.123456789, 0.5)
    whole = AnnotatedDocument(document, "absa", (implicit,), 3, ((link,), (link, link)), ("提示",), "出错")
    assert again([whole], "parquet") == [whole]


@pytest.mark.parametrize("format", ["rex", "conll", "bioes", "uie"])
def test_plain_entities_come_back_from_every_format_that_is_read(format: str) -> None:
    text = "😀张伟住在𠮷野家旁边。"
    entities = (Annotation("人物", 1, 3, "张伟", 1.0), Annotation("地点", 5, 8, "𠮷野家", 1.0))
    [after] = again([AnnotatedDocument(Document(text, id="1"), "ner", entities)], format)
    assert (after.document.text, after.annotations) == (text, entities)
