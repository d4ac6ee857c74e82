"""Many files at once: archives, duplicates, batches, memory, and the command."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import text as sql
from typer.testing import CliRunner

from core.cli import app
from core.config import Settings
from core.readers import FileReport, Importer, ReadOptions, Source, preview
from core.readers.importing import BATCH_DOCUMENTS
from core.readers.source import base_name, clean_name
from core.storage.database import open_database
from core.types import Document

LINE = "宽带经常断线，希望尽快上门维修\n"


def run(*paths: Path, **options: object) -> tuple[list[Document], list[FileReport]]:
    kept: list[Document] = []
    importer = Importer(kept.extend, **options)  # type: ignore[arg-type]
    return kept, list(importer.paths(paths))


class GbkInfo(zipfile.ZipInfo):
    """A member as Windows in Chinese names it: in GBK, and no mark that says so."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode("gbk"), self.flag_bits


def gbk_zip(path: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            archive.writestr(GbkInfo(name), data)
    return path


def test_an_archive_is_read_with_gbk_names_and_archives_in_it(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("里层.csv", "编号,内容\n1,没人来\n".encode("gb18030"))
    path = gbk_zip(
        tmp_path / "全部.zip",
        ("投诉记录一.txt", LINE.encode()),
        ("文件夹甲/二.docx", b"x"),
        ("下一层.zip", inner.getvalue()),
    )
    kept, reports = run(path)
    assert [report.name for report in reports] == [
        "全部.zip/投诉记录一.txt",
        "全部.zip/文件夹甲/二.docx",
        "全部.zip/下一层.zip/里层.csv",
    ]
    assert [one.text for one in kept] == [LINE, "没人来"]
    assert "内容却不是Word 文档" in reports[1].error


def test_a_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    good = tmp_path / "好.txt"
    good.write_text(LINE, "utf-8")
    (tmp_path / "空.csv").touch()
    kept, reports = run(tmp_path / "没有.txt", tmp_path / "空.csv", tmp_path, good)
    assert len(kept) == 1
    assert ["请检查路径" in reports[0].error, "空文件" in reports[1].error, "文件夹" in reports[2].error] == [True] * 3
    assert reports[3].error == ""


@pytest.mark.parametrize(("duplicates", "expected"), [("keep", 4), ("drop", 2)])
def test_texts_that_came_before_are_counted_and_dropped_when_asked(
    duplicates: str, expected: int, tmp_path: Path
) -> None:
    for name in ("一.csv", "二.csv"):
        (tmp_path / name).write_text("编号,内容\n1,宽带断线\n2,没人来\n", "utf-8")
    kept, reports = run(tmp_path / "一.csv", tmp_path / "二.csv", duplicates=duplicates)
    assert [report.duplicates for report in reports] == [0, 2]
    assert len(kept) == expected == sum(report.documents for report in reports)


def test_documents_come_in_batches_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("".join(f"第{number}行\n" for number in range(2 * BATCH_DOCUMENTS + 200)), "utf-8")
    sizes: list[int] = []
    kept: list[Document] = []

    def keep(batch: Sequence[Document]) -> None:
        sizes.append(len(batch))
        kept.extend(batch)

    list(Importer(keep, ReadOptions(split="line")).paths([path]))
    assert sizes == [BATCH_DOCUMENTS, BATCH_DOCUMENTS, 200]
    assert [one.text for one in kept] == [f"第{number}行" for number in range(2 * BATCH_DOCUMENTS + 200)]


def test_a_split_text_keeps_the_line_or_paragraph_it_stands_on(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("一\n\n二\n三\n", "utf-8")
    by_line, _ = run(path, options=ReadOptions(split="line"))
    assert [(one.text, one.metadata["来源行"]) for one in by_line] == [("一", "1"), ("二", "3"), ("三", "4")]
    by_paragraph, _ = run(path, options=ReadOptions(split="paragraph"))
    assert [(one.text, one.metadata["来源段落"]) for one in by_paragraph] == [("一", "1"), ("二\n三", "2")]


def test_a_preview_shows_which_encoding_gives_sense() -> None:
    shown = {one.encoding: one for one in preview((LINE * 3).encode("gb18030"), lines=2)}
    assert shown["gb18030"].lines == (LINE.strip(),) * 2 and shown["gb18030"].fits
    assert not shown["utf-8"].fits
    assert shown["big5"].lines != shown["gb18030"].lines


def test_names_keep_no_path_no_control_character_and_no_excess() -> None:
    assert base_name("C:\\a\\..\\b.txt") == "b.txt"
    assert clean_name("坏\u202e\x07.txt") == "坏__.txt"
    assert len(clean_name("长" * 300 + ".jsonl")) == 255 and clean_name("长" * 300 + ".jsonl").endswith(".jsonl")


def test_a_source_in_memory_is_put_on_disk_and_removed() -> None:
    source = Source("a.txt", 3, lambda: io.BytesIO(b"abc"))
    with source.on_disk() as path:
        assert path.read_bytes() == b"abc"
    assert not path.exists()


# the command


def stored(settings: Settings, query: str) -> list[tuple[object, ...]]:
    database = open_database(settings.resolved_database_url)
    with database.connect() as connection:
        rows = [tuple(row) for row in connection.execute(sql(query))]
    database.dispose()
    return rows


def test_the_command_stores_documents_and_reports_every_file(
    settings: Settings, repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "空.csv").touch()
    samples = repository / "data" / "samples"
    files = [samples / "complaints.xlsx", samples / "notice.docx", samples / "report.pdf", tmp_path / "空.csv"]
    result = CliRunner().invoke(app, ["import", *map(str, files)])
    assert result.exit_code == 1
    assert "complaints.xlsx\t4 个文档" in result.output and "空文件" in result.output
    assert "合计\t6 个文档" in result.output
    assert stored(settings, "select count(*) from documents") == [(6,)]


def test_the_command_obeys_its_options(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("單號,問,答,備註\nK1,你好嗎,我很好,無\nK2,再見,我很好,無\n".encode("big5"))
    options = ["--encoding", "big5", "--text-column", "答", "--id-column", "單號", "--metadata-column", "問"]
    result = CliRunner().invoke(app, ["import", str(path), *options, "--duplicates", "drop"])
    assert result.exit_code == 0, result.output
    assert stored(settings, "select external_id, text from documents") == [("K1", "我很好")]


def test_the_command_stores_annotations_as_a_run(settings: Settings, repository: Path) -> None:
    path = repository / "data" / "samples" / "finetune_example.jsonl"
    result = CliRunner().invoke(app, ["import", str(path), "--format", "rex"])
    assert result.exit_code == 0, result.output
    assert "40 个文档" in result.output
    assert stored(settings, "select task, state, total, done, model from runs order by id") == [
        ("ner", "done", 28, 28, "rex:finetune_example.jsonl"),
        ("classification", "done", 12, 12, "rex:finetune_example.jsonl"),
    ]


# memory

MEASURE = """
import resource, sys
from pathlib import Path
from core.readers import Importer
count = 0
def keep(batch):
    global count
    count += len(batch)
(report,) = Importer(keep).paths([Path(sys.argv[1])])
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, report.error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_hundred_megabytes_of_csv_need_less_than_half_a_gigabyte(
    encoding: str, tmp_path: Path, repository: Path
) -> None:
    path = tmp_path / "大.csv"
    row = "宽带连续三天断线，打了两次电话都没有人上门，客服态度也不好。😀" * 8
    with path.open("w", encoding=encoding, newline="") as file:
        file.write("编号,内容,渠道\r\n")
        count = 0
        while file.tell() < 100 * 2**20:
            for _ in range(1000):
                count += 1
                file.write(f'{count},"{row}{count}",电话\r\n')
    command = [sys.executable, "-c", MEASURE, str(path)]
    done = subprocess.run(
        command, cwd=repository, env=dict(os.environ), capture_output=True, text=True, timeout=300, check=True
    )
    documents, peak, *error = done.stdout.split()
    assert (int(documents), error) == (count, [])
    assert int(peak) <= 500 * 2**20
