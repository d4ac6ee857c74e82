"""docx, pdf, xlsx and xls: the sample files and what is awkward in such files."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime
from pathlib import Path

import pytest
import xlsxwriter

from core.errors import FormatError
from core.readers import ReadReport, read
from core.readers.options import page_of

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples"


def sample(name: str, **options: str) -> ReadReport:
    return read(name, (SAMPLES / name).read_bytes(), **options)  # type: ignore[arg-type]


def book(**sheets: list[list[object]]) -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True, "default_date_format": "yyyy-mm-dd"}) as written:
        for name, rows in sheets.items():
            page = written.add_worksheet(name)
            for number, row in enumerate(rows):
                page.write_row(number, 0, row)
    return buffer.getvalue()


def word(body: str, **parts: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, xml in {"document": body, **parts}.items():
            archive.writestr(f"word/{name}.xml", f'<w:{name} xmlns:w="w" xmlns:mc="m">{xml}</w:{name}>')
    return buffer.getvalue()


def p(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


# workbooks


@pytest.mark.parametrize("name", ["complaints.xlsx", "complaints.xls"])
def test_a_workbook_gives_a_document_a_row_with_sheet_and_row(name: str) -> None:
    report = sample(name)
    first = report.documents[0]
    assert first.text == "宽带连续三天断线，打了两次电话都没有人上门。"
    assert (first.id, first.metadata["渠道"]) == ("C001", "电话")
    assert (first.metadata["来源工作表"], first.metadata["来源表行"]) == ("十月", "2")
    assert report.columns == ("编号", "内容", "渠道", "日期")


def test_every_sheet_is_read_and_one_without_a_text_column_is_told() -> None:
    data = book(
        一月=[["编号", "内容"], ["1", "宽带断线"], ["", ""], ["2", "没人来"]],
        说明=[["问", "答"], ["你好吗", "我很好"]],
        空=[],
    )
    report = read("a.xlsx", data)
    assert [(one.text, one.metadata["来源表行"]) for one in report.documents] == [("宽带断线", "2"), ("没人来", "4")]
    assert any("“说明”" in problem and "无法确定哪一列是正文" in problem for problem in report.problems)
    assert any("“空”是空的" in note for note in report.notes)


def test_numbers_dates_and_line_ends_read_as_a_person_reads_them() -> None:
    row = ["一\r\n二", 5, 2.5, date(2026, 1, 2), datetime(2026, 1, 2, 8, 30), True, "=1+1"]
    data = book(a=[["内容", "整", "小", "日", "时", "是", "式"], row])
    (document,) = read("a.xlsx", data).documents
    assert document.text == "一\n二"
    assert [document.metadata[key] for key in "整小日是"] == ["5", "2.5", "2026-01-02", "TRUE"]


def test_columns_can_be_chosen() -> None:
    data = book(a=[["问", "答", "单号", "渠道", "备注"], ["你好吗", "我很好", "X1", "电话", "无"]])
    report = read("a.xlsx", data, text_column="答", id_column="单号", metadata_columns=("渠道",))
    (document,) = report.documents
    assert (document.text, document.id) == ("我很好", "X1")
    assert dict(document.metadata) == {"渠道": "电话", "来源工作表": "a", "来源表行": "2"}
    with pytest.raises(FormatError, match="没有名为“单”的列.*选择编号列"):
        read("a.xlsx", data, text_column="答", id_column="单")


def test_a_workbook_under_the_other_extension_is_still_read() -> None:
    assert len(read("a.xls", (SAMPLES / "complaints.xlsx").read_bytes()).documents) == 4


# Word


def test_a_word_file_is_one_text_whose_lines_are_its_paragraphs_and_table_rows() -> None:
    (document,) = sample("notice.docx").documents
    lines = document.text.split("\n")
    assert lines[0] == "关于调整营业时间的通知"
    assert lines[3] == "营业厅\t原时间\t新时间"
    assert lines[-1] == "特此通知。"


def test_a_word_file_by_paragraphs_keeps_their_numbers() -> None:
    documents = sample("notice.docx", split="paragraph").documents
    assert documents[2].text == "负责人：周启明，电话 0571-5550101。"
    assert documents[2].metadata == {"来源段落": "3"}


def test_text_boxes_notes_and_breaks_are_kept_and_deleted_text_and_repeats_are_not() -> None:
    box = f"<mc:AlternateContent><mc:Choice><w:txbxContent>{p('框里')}</w:txbxContent></mc:Choice>"
    box += f"<mc:Fallback><w:txbxContent>{p('框里')}</w:txbxContent></mc:Fallback></mc:AlternateContent>"
    body = (
        f"<w:body><w:p><w:r><w:t>正文</w:t><w:br/><w:t>下一行</w:t><w:tab/><w:delText>删掉</w:delText>{box}</w:r></w:p>"
    )
    body += "<w:p><w:ruby><w:rt><w:r><w:t>zì</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>字</w:t></w:r></w:rubyBase>"
    body += "</w:ruby></w:p>"
    report = read("a.docx", word(body + "</w:body>", footnotes=p("脚注一")), split="paragraph")
    assert [one.text for one in report.documents] == ["框里", "正文\n下一行\t", "字", "脚注一"]
    assert any("脚注 1 段" in note for note in report.notes)


def test_a_cell_with_a_table_in_it_stays_one_row() -> None:
    inner = f"<w:tbl><w:tr><w:tc>{p('内甲')}</w:tc><w:tc>{p('内乙')}</w:tc></w:tr></w:tbl>"
    body = f"<w:body><w:tbl><w:tr><w:tc>{p('甲')}{inner}</w:tc><w:tc>{p('乙')}{p('丙')}</w:tc></w:tr></w:tbl></w:body>"
    (document,) = read("a.docx", word(body)).documents
    assert document.text == "甲 内甲\t内乙\t乙 丙"


# PDF


def test_a_pdf_is_one_text_that_knows_where_its_pages_begin() -> None:
    report = sample("report.pdf")
    (document,) = report.documents
    assert document.metadata["来源页"] == "1-2"
    assert page_of(document.metadata, document.text.index("128")) == 1
    assert page_of(document.metadata, document.text.index("李明华")) == 2
    assert any("第 3 页没有文字" in problem for problem in report.problems)


@pytest.mark.parametrize(("split", "count"), [("page", 2), ("line", 5), ("paragraph", 2)])
def test_a_pdf_can_be_split_and_every_part_knows_its_page(split: str, count: int) -> None:
    documents = sample("report.pdf", split=split).documents
    assert len(documents) == count
    assert documents[-1].metadata["来源页"] == "2"
    assert page_of(documents[-1].metadata, 0) == 2
