"""`export` and `convert` of the command line, over a real database and real files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from core.cli import app
from core.config import Settings
from core.exporters import FORMATS, write_file
from core.exporters.table import readable
from core.readers.parquet import read_parquet
from core.storage.database import migrate, open_database
from core.storage.store import Store
from core.types import AnnotatedDocument, Annotation, Document

TEXT = "😀张伟的妻子是李娜"
FOUND = AnnotatedDocument(
    Document(TEXT, id="T1", name="人物.txt", metadata={"渠道": "电话"}),
    "re",
    (Annotation("人物", 1, 3, "张伟", 0.75, (Annotation("配偶(人物)", 7, 9, "李娜", 0.5),)),),
    windows=2,
)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def stored(settings: Settings) -> int:
    """The number of a stored run with one document."""
    database = open_database(settings.resolved_database_url)
    migrate(database)
    store = Store(database)
    rows = store.add_documents([FOUND.document])
    facts = {"model": "模型", "revision": "v1", "dtype": "float32", "device": "cpu", "threshold": 0.5, "total": 1}
    run_id = store.start_run(task="re", schema_id=None, schema={"人物": {"配偶(人物)": None}}, **facts)
    store.save_result(run_id, rows[0], result=FOUND, duration_s=0.1, position=0)
    store.finish_run(run_id, "done")
    database.dispose()
    return run_id


@pytest.mark.parametrize("format", FORMATS)
def test_a_stored_run_is_exported_in_every_format(stored: int, format: str, tmp_path: Path) -> None:
    output = tmp_path / "新 文件夹" / "out"
    done = run("export", "--job", stored, "--format", format, "--output", output)
    assert done.exit_code == 0, done.output
    assert output.stat().st_size > 0
    assert f"已写入 {output}" in done.stderr and done.stdout == ""


def test_the_exported_file_holds_the_run_and_its_findings(stored: int, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    run("export", "--job", stored, "--format", "native", "--output", output)
    row = json.loads(output.read_text("utf-8"))
    assert row["annotations"][0]["children"][0]["text"] == "李娜"
    assert row["run"]["model"] == "模型" and row["run"]["schema"] == {"人物": {"配偶(人物)": None}}


def test_losses_are_told_on_standard_error(stored: int, tmp_path: Path) -> None:
    done = run("export", "--job", stored, "--format", "conll", "--output", tmp_path / "out")
    assert "得分没有写入（2 处）" in done.stderr and "关系和事件角色没有写入" in done.stderr


def test_an_unknown_run_or_format_is_named(stored: int, tmp_path: Path) -> None:
    output = tmp_path / "out"
    done = run("export", "--job", stored + 1, "--format", "native", "--output", output)
    assert done.exit_code == 1 and f"没有编号为 {stored + 1} 的运行记录" in done.stderr
    done = run("export", "--job", stored, "--format", "docx", "--output", output)
    assert done.exit_code == 1 and "不支持导出格式“docx”" in done.stderr
    assert not output.exists()


@pytest.mark.parametrize("middle", ["doccano", "label-studio", "brat", "parquet"])
def test_a_file_goes_to_another_format_and_back_unchanged(middle: str, tmp_path: Path) -> None:
    first, there, back = tmp_path / "a.jsonl", tmp_path / f"b{FORMATS[middle].suffix}", tmp_path / "c.jsonl"
    write_file([FOUND], "native", path=first)
    assert run("convert", first, there, "--from", "native", "--to", middle).exit_code == 0
    assert run("convert", there, back, "--from", middle, "--to", "native").exit_code == 0
    assert json.loads(back.read_text("utf-8")) == json.loads(first.read_text("utf-8"))


@pytest.mark.parametrize("source", [name for name in readable() if name in FORMATS])
def test_every_readable_format_is_converted_to_a_report(source: str, tmp_path: Path) -> None:
    written, page = tmp_path / f"a{FORMATS[source].suffix}", tmp_path / "a.html"
    write_file([FOUND], source, path=written)
    done = run("convert", written, page, "--from", source, "--to", "html")
    assert done.exit_code == 0, done.output
    assert "张伟" in page.read_text("utf-8")


def test_our_own_table_is_read_with_its_findings(tmp_path: Path) -> None:
    deep = Annotation(
        "甲", 0, 1, "=", 0.5, (Annotation("乙", 0, 2, "=张", 0.4, (Annotation("类", None, None, "", 0.3),)),)
    )
    kinds = AnnotatedDocument(Document('=张\r\n"三"', id="=1", name="n"), "ner", (deep, deep))
    nothing = AnnotatedDocument(Document("没有", id="2", name="n"), "ner", ())
    write_file([kinds, nothing], "csv", path=tmp_path / "a.csv")
    done = run("convert", tmp_path / "a.csv", tmp_path / "b.parquet", "--from", "csv", "--to", "parquet")
    assert done.exit_code == 0, done.output
    assert list(read_parquet(tmp_path / "b.parquet")) == [kinds, nothing]


@pytest.mark.parametrize(("old", "new"), [(",1,3,", ",1,4,"), (",1,3,", ",x,3,"), (",张伟,2,", ",张伟,4,")])
def test_a_table_that_was_changed_by_hand_is_refused_with_its_row(old: str, new: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_file([FOUND], "csv", path=path)
    path.write_bytes(path.read_bytes().decode().replace(old, new, 1).encode())
    done = run("convert", path, tmp_path / "b", "--from", "csv", "--to", "native")
    assert done.exit_code == 1 and "“a.csv”第 " in done.stderr
    assert not (tmp_path / "b").exists()


def test_a_table_of_another_program_gives_texts(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("编号,内容\n1,张伟在南京\n2,李娜\n", "utf-8")
    done = run("convert", tmp_path / "a.csv", tmp_path / "b.jsonl", "--from", "csv", "--to", "doccano")
    assert done.exit_code == 0 and "没有标注" in done.stderr, done.output
    rows = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text("utf-8").splitlines()]
    assert [row["text"] for row in rows] == ["张伟在南京", "李娜"]


def test_what_cannot_be_converted_is_said_with_what_can(tmp_path: Path) -> None:
    source, target = tmp_path / "a.html", tmp_path / "b"
    source.write_text("<p>")
    done = run("convert", source, target, "--from", "html", "--to", "native")
    assert done.exit_code == 1 and "不能读取格式“html”的标注。可读的格式：native、" in done.stderr
    assert run("convert", source, source, "--from", "native", "--to", "csv").exit_code == 1
    done = run("convert", tmp_path / "没有", target, "--from", "native", "--to", "csv")
    assert done.exit_code == 1 and "没有找到" in done.stderr
    source.write_bytes(b"PAR1 no")
    done = run("convert", source, target, "--from", "parquet", "--to", "native")
    assert done.exit_code == 1 and "a.html" in done.stderr
    assert not target.exists()
