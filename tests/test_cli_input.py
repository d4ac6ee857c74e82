"""`annotate --input` reads the files that an import reads."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.cli import app
from core.cli_input import read_input
from core.config import Settings
from core.errors import FormatError, InputError

NER = '{"人物": null, "地理位置": null}'


def quiet(line: str) -> None:
    del line


@pytest.mark.parametrize("name", ["complaints.csv", "complaints.xlsx", "complaints.xls", "notice.docx", "report.pdf"])
def test_every_kind_of_file_gives_documents_with_text(name: str, repository: Path) -> None:
    found = read_input(repository / "data" / "samples" / name, say=quiet)
    assert found and all(document.text.strip() for document, _ in found)


def test_an_archive_gives_the_documents_of_each_file_with_the_schemas_they_bring(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("一.tsv", "编号\t内容\n7\t张伟在南京\n")
        archive.writestr("二.jsonl", json.dumps({"text": "李娜", "schema": {"人物": None}}))
        archive.writestr(".DS_Store", "x")
    said: list[str] = []
    found = read_input(path, say=said.append)
    assert [(one.id, one.text) for one, _ in found] == [("7", "张伟在南京"), ("二-1", "李娜")]
    assert found[0][1] is None and found[1][1] is not None and found[1][1].to_dict() == {"人物": None}
    assert any("系统文件" in line for line in said)


def test_a_file_in_an_archive_that_cannot_be_read_stops_everything(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("好.txt", "张伟在南京")
        archive.writestr("坏.exe", b"MZ")
    with pytest.raises(FormatError, match=r"坏\.exe"):
        read_input(path, say=quiet)


def test_the_text_column_is_chosen_and_refused_where_there_are_no_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("问,答\n张伟在哪,张伟在南京\n", "utf-8")
    with pytest.raises(FormatError, match="现有的列：问、答"):
        read_input(path, say=quiet)
    ((document, _),) = read_input(path, text_column="答", say=quiet)
    assert document.text == "张伟在南京"
    (tmp_path / "a.txt").write_text("张伟", "utf-8")
    with pytest.raises(InputError, match="只用于表格"):
        read_input(tmp_path / "a.txt", text_column="答", say=quiet)
    with pytest.raises(FormatError, match="没有|无法"):
        read_input(tmp_path / "没有.csv", say=quiet)


def test_a_table_is_annotated_row_by_row(settings: Settings, checkpoint_dir: Path, tmp_path: Path) -> None:
    del settings, checkpoint_dir
    path = tmp_path / "a.csv"
    path.write_text("编号,问,答\n1,在哪,小说家陈静出生于杭州。\n2,谁,丈夫是画家林涛。\n", "utf-8")
    arguments = ["annotate", "--task", "ner", "--schema", NER, "--input", str(path), "--text-column", "答"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["id"], row["metadata"]) for row in rows] == [("1", {"问": "在哪"}), ("2", {"问": "谁"})]
    assert "陈静" in [one["text"] for one in rows[0]["annotations"]]
    assert "正文列：答" in done.stderr
