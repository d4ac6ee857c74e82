"""The commands `job …`, as they are typed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from core.cli import app
from core.config import ROOT, Settings
from core.storage import job_queries, job_store, queries
from core.storage.database import open_database
from core.storage.queries import RunInfo

PEOPLE = '{"人物": null}'


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["job", *arguments])


def jobs(settings: Settings) -> list[RunInfo]:
    database = open_database(settings.resolved_database_url)
    try:
        return queries.list_runs(database)
    finally:
        database.dispose()


@pytest.fixture
def table(tmp_path: Path, settings: Settings, checkpoint_dir: Path) -> Path:
    path = tmp_path / "工单.csv"
    path.write_text("编号,内容,渠道\nA1,张三在北京。,电话\nA2,李四去了上海。,网页\nA3,王五住在广州。,电话\n", "utf-8")
    return path


def test_a_file_is_submitted_worked_off_listed_and_shown(table: Path, settings: Settings) -> None:
    done = call("submit", str(table), "--task", "ner", "--schema", PEOPLE, "--threshold", "0.4", "--wait")
    assert done.exit_code == 0, done.output
    assert "作业 1 已排队：3 个文档" in done.output
    assert "作业 1 完成  3/3（100%）" in done.output
    (job,) = jobs(settings)
    assert (job.state, job.done, job.threshold, dict(job.schema)) == ("done", 3, 0.4, {"人物": None})
    lines = call("list").output.splitlines()
    assert lines[1].split("\t")[:5] == ["1", "完成", "ner", "3/3", "0"]
    shown = json.loads(call("show", "1", "--json").output)
    assert (shown["model"], shown["device"], shown["failed_documents"]) == (job.model, "cpu", [])
    assert shown["read_on"][0]["documents"] == 3
    assert "运行于\tcpu float32：3 个文档" in call("show", "1").output


def test_the_column_of_a_file_s_text_can_be_named(table: Path, settings: Settings) -> None:
    done = call("submit", str(table), "--text-column", "渠道", "--task", "ner", "--schema", PEOPLE)
    assert done.exit_code == 0, done.output
    database = open_database(settings.resolved_database_url)
    assert [one.document.text for one in job_queries.pending(database, 1, limit=9)] == ["电话", "网页", "电话"]
    database.dispose()
    alone = call("submit", "--all", "--text-column", "渠道", "--task", "ner", "--schema", PEOPLE)
    assert alone.exit_code == 1 and "请同时给出文件" in alone.output
    wrong = call("submit", str(table), "--text-column", "正文", "--task", "ner", "--schema", PEOPLE)
    assert wrong.exit_code == 1 and "“正文”" in wrong.output


def test_stored_documents_are_chosen_by_words_metadata_and_number_and_wait_for_a_process(
    table: Path, settings: Settings
) -> None:
    assert call("submit", str(table), "--task", "ner", "--schema", PEOPLE).exit_code == 0
    for chosen, count in (
        (["--where", "渠道=电话"], 2),
        (["--search", "上海"], 1),
        (["--all"], 3),
        (["--document", "1", "--document", "3"], 2),
    ):
        done = call("submit", *chosen, "--task", "sentiment")
        assert f"{count} 个文档" in done.output, done.output
    assert [job.state for job in jobs(settings)] == ["queued"] * 5
    assert call("pause", "1").exit_code == 0
    assert call("cancel", "2").exit_code == 0
    done = call("run")
    assert done.exit_code == 0, done.output
    assert {job.id: job.state for job in jobs(settings)} == {
        1: "paused",
        2: "cancelled",
        3: "done",
        4: "done",
        5: "done",
    }
    assert call("resume", "1").exit_code == 0
    assert call("run", "2").exit_code == 0  # a cancelled one goes on when it is named
    assert call("run").exit_code == 0
    assert {job.state for job in jobs(settings)} == {"done"}


def test_a_saved_schema_is_asked_in_the_version_that_is_named(table: Path, settings: Settings) -> None:
    from core.storage.store import Store

    call("list")  # makes the tables
    database = open_database(settings.resolved_database_url)
    store = Store(database)
    store.save_schema("人", "ner", body={"人物": None})
    store.save_schema("人", "ner", body={"人物": None, "地点": None})
    database.dispose()
    for name in ("人", "人@1"):
        assert call("submit", str(table), "--task", "ner", "--schema", name).exit_code == 0
    newest, first = reversed(jobs(settings))
    assert (newest.schema_name, newest.schema_version) == ("人", 2)
    assert (first.schema_version, dict(first.schema)) == (1, {"人物": None})
    refused = call("submit", str(table), "--task", "ner", "--schema", "人@7")
    assert refused.exit_code == 1 and "没有第 7 版" in refused.output


def test_failed_documents_are_told_and_retried(tmp_path: Path, table: Path, settings: Settings) -> None:
    assert call("submit", str(table), "--task", "matching").exit_code == 0  # no second text
    done = call("run", "1")
    assert done.exit_code == 1
    assert "3 个文档失败" in done.output
    assert call("show", "1").output.count("缺少第二段文字") == 3
    assert call("retry", "1").exit_code == 0
    (job,) = jobs(settings)
    assert (job.state, job.done, job.failed) == ("queued", 0, 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["submit", "--task", "ner"], "请给出文件"),
        (["submit", "没有.csv", "--task", "ner", "--schema", PEOPLE], "没有.csv"),
        (["submit", "--document", "7", "--task", "ner", "--schema", PEOPLE], "没有编号为 7"),
        (["submit", "--where", "渠道", "--task", "ner", "--schema", PEOPLE], "列=值"),
        (["submit", "--all", "--task", "ner", "--schema", PEOPLE], "没有可分析的文档"),
        (["pause", "9"], "没有编号为 9"),
        (["show", "9"], "没有编号为 9"),
        (["run", "9"], "没有编号为 9"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_message(
    arguments: list[str], said: str, settings: Settings, checkpoint_dir: Path
) -> None:
    done = call(*arguments)
    assert done.exit_code == 1
    assert done.output.startswith("错误：") and said in done.output


def test_ctrl_c_pauses_the_job_and_run_lets_it_go_on(tmp_path: Path, settings: Settings, checkpoint_dir: Path) -> None:
    lines = tmp_path / "长.txt"
    lines.write_text("\n".join(f"{number}。小说家陈静出生于杭州。" for number in range(4000)), "utf-8")
    call("list")  # makes the tables
    command = [sys.executable, "-m", "core", "job", "submit", str(lines), "--task", "ner", "--schema", PEOPLE, "--wait"]
    process = subprocess.Popen(command, cwd=ROOT, env=dict(os.environ), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 90
    while not any(job.done for job in jobs(settings)):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "已暂停。继续：python -m core job run 1" in said
    (job,) = jobs(settings)
    assert job.state == "paused" and 0 < job.done < 4000
    assert call("run", "1").exit_code == 0
    (job,) = jobs(settings)
    assert (job.state, job.done) == ("done", 4000)
    database = open_database(settings.resolved_database_url)
    assert job_queries.pending(database, 1, limit=1) == [] and job_store.heartbeat(database, ["x"]) == set()
    database.dispose()
