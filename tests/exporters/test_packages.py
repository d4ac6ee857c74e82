"""Formats of several files: the name of the output says whether they come as a zip, side by side or in a folder."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from core.cli import app
from core.errors import FormatError, InputError
from core.exporters import write_file
from core.exporters.back import read_back
from core.exporters.round_trip import samples
from core.types import AnnotatedDocument

FORMATS = ("label-studio", "brat")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def read(path: Path, format: str) -> list[AnnotatedDocument]:
    return list(read_back(path, format, say=lambda line: None))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    write_file(samples(), "native", path=tmp_path / "own.jsonl")
    return tmp_path / "own.jsonl"


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", ["out.zip", "out.ZIP", "out"])
def test_the_name_chooses_a_zip_or_a_folder_and_both_come_back(
    format: str, name: str, own: Path, tmp_path: Path
) -> None:
    target = tmp_path / "new" / name
    done = run("convert", own, target, "--from", "native", "--to", format)
    assert done.exit_code == 0, done.output
    assert f"已写入 {target}" in done.stderr
    assert target.is_dir() == (name == "out") and zipfile.is_zipfile(target) == (name != "out")
    assert read(target, format) == samples()
    assert [one.name for one in target.parent.iterdir()] == [name]


def test_label_studio_tasks_are_one_json_list_with_the_configuration_beside_it(own: Path, tmp_path: Path) -> None:
    target = tmp_path / "tickets.json"
    done = run("convert", own, target, "--from", "native", "--to", "label-studio")
    assert done.exit_code == 0 and f"已写入 {target}、{tmp_path / 'tickets.config.xml'}" in done.stderr, done.output
    assert len(json.loads(target.read_text("utf-8"))) == len(samples())
    assert (tmp_path / "tickets.config.xml").read_text("utf-8").startswith("<View>")
    assert read(target, "label-studio") == samples()
    lines = tmp_path / "lines.jsonl"
    lines.write_text("".join(json.dumps(one) + "\n" for one in json.loads(target.read_text("utf-8"))), "utf-8")
    assert read(lines, "label-studio") == samples()


@pytest.mark.parametrize(("format", "name"), [("label-studio", "a.txt"), ("brat", "a.ann"), ("brat", "a.json")])
def test_a_name_that_suits_no_form_is_refused_with_the_choices(format: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"几个文件.*\.zip.*文件夹"):
        write_file(samples(), format, path=tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", FORMATS)
def test_a_folder_is_replaced_only_where_an_earlier_export_wrote_all_of_it(format: str, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    write_file(samples(), format, path=folder)
    write_file(samples()[:2], format, path=folder)
    assert read(folder, format) == samples()[:2]
    (folder / "mine.txt").write_text("我的", "utf-8")
    with pytest.raises(InputError, match=r"mine\.txt"):
        write_file(samples(), format, path=folder)
    assert (folder / "mine.txt").read_text("utf-8") == "我的"
    (tmp_path / "file").write_text("x", "utf-8")
    with pytest.raises(InputError, match="已经是一个文件"):
        write_file(samples(), format, path=tmp_path / "file")


@pytest.mark.parametrize("name", ["out", "out.json", "out.zip"])
def test_an_export_that_breaks_off_leaves_what_was_there(name: str, tmp_path: Path) -> None:
    target = tmp_path / name
    write_file(samples(), "label-studio", path=target)
    before = sorted(tmp_path.rglob("*"))

    def broken() -> Iterator[AnnotatedDocument]:
        yield samples()[0]
        raise FormatError("断开")

    with pytest.raises(FormatError, match="断开"):
        write_file(broken(), "label-studio", path=target)
    assert sorted(tmp_path.rglob("*")) == before
    assert read(target, "label-studio") == samples()


@pytest.mark.parametrize("format", ["label-studio", "brat", "xlsx", "csv", "parquet", "doccano"])
def test_the_given_format_goes_before_the_name_of_the_file(format: str, tmp_path: Path) -> None:
    path = tmp_path / "made"
    written = tmp_path / ("made.zip" if format in FORMATS else "made")
    write_file(samples(), format, path=written)
    for name in ("a.dat", "b.txt", "c.pdf", "d"):
        shutil.copy(written, tmp_path / name)
        found = read(tmp_path / name, format)
        assert [one.annotations for one in found] == [one.annotations for one in samples()]
    assert path.name


def test_a_foreign_workbook_under_another_name_gives_its_texts(repository: Path, tmp_path: Path) -> None:
    shutil.copy(repository / "data" / "samples" / "complaints.xlsx", tmp_path / "complaints.bin")
    found = read(tmp_path / "complaints.bin", "xlsx")
    assert found and all(not one.annotations for one in found)


@pytest.mark.parametrize("format", ["label-studio", "brat"])
def test_folders_are_imported_as_runs(format: str, tmp_path: Path, settings: object) -> None:
    write_file(samples(), format, path=tmp_path / "out")
    done = run("import", tmp_path / "out", "--format", format)
    assert done.exit_code == 0, done.output
    assert "6 个文档" in done.stdout
