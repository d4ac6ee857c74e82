"""`python -m core schema …` over a real database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from core.cli import app
from core.config import Settings


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["schema", *arguments])


@pytest.fixture
def file(tmp_path: Path, settings: Settings) -> Path:
    path = tmp_path / "投诉要素.json"
    path.write_text('{"人名": "", "地点": null}', encoding="utf-8")
    return path


def test_a_file_is_imported_listed_shown_and_exported_again(file: Path, tmp_path: Path) -> None:
    done = run("import", str(file), "--task", "ner")
    assert done.exit_code == 0 and "投诉要素\t第 1 版\tner" in done.output and "null" in done.output
    assert "第 1 版" in run("import", str(file), "--task", "ner").output  # nothing changed
    file.write_text('["人物", "地点"]', encoding="utf-8")
    assert "第 2 版" in run("import", str(file), "--task", "ner").output
    [row] = json.loads(run("list", "--json").output)
    assert row == {"name": "投诉要素", "task": "ner", "version": 2, "types": 2, "runs": 0}
    assert (
        "投诉要素\tner\t2" in run("list", "--task", "ner").output and "投诉" not in run("list", "--task", "re").output
    )
    assert json.loads(run("show", "投诉要素@1", "--json").output) == {"人名": None, "地点": None}
    assert "→ 第 1 版" in run("show", "投诉要素@1").output
    target = tmp_path / "out.json"
    assert run("export", "投诉要素", "--output", str(target)).exit_code == 0
    assert "另存\t第 1 版\tner" in run("import", str(target), "--name", "另存").output
    assert run("export", "投诉要素").output == target.read_text("utf-8")


def test_lint_explains_and_ends_with_one_when_the_text_had_to_be_mended(file: Path) -> None:
    done = run("lint", str(file))
    assert done.exit_code == 1 and "人物" in done.output and '{"人名": null, "地点": null}' in done.output
    assert run("lint", '{"人物": null}').output == "没有发现问题（任务 ner）。\n"
    assert "需要两层" in run("lint", '{"人物": null}', "--task", "re").output
    assert "旧写法" in run("lint", "正向,负向|这家店很好", "--task", "sentiment").output
    assert run("lint", "企业概况").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "没有"), "没有名为“没有”的模式"),
        (("import", "FILE"), "--task"),
        (("import", "FILE", "--task", "xyz"), "没有任务“xyz”"),
        (("import", "/nowhere.json", "--task", "ner"), "无法读取模式文件"),
        (("lint", "{"), "不是合法的 JSON"),
        (("lint", "没有这个预设"), "没有名为"),
    ],
)
def test_what_cannot_be_done_is_said_in_plain_words(file: Path, arguments: tuple[str, ...], said: str) -> None:
    done = run(*(str(file) if one == "FILE" else one for one in arguments))
    assert done.exit_code == 1 and said in done.output


def test_a_version_that_is_not_there_is_named(file: Path) -> None:
    run("import", str(file), "--task", "ner")
    done = run("export", "投诉要素@7")
    assert done.exit_code == 1 and "没有第 7 版：共有 1 版" in done.output
