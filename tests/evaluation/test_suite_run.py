"""A suite from the command to its table and file, with the tiny checkpoint and a peer written for the test."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from core.cli import app
from core.config import Settings
from core.evaluation import suite, suite_run
from core.evaluation.evaluate import GoldRecord
from core.evaluation.metrics import Paths

SENTENCE = "小说家陈静1972年3月出生于杭州，毕业于浙江大学，丈夫是画家林涛。"
NER = {"人物": None, "地理位置": None, "组织机构": None}
FOUND = [("人物", "陈静", 3), ("地理位置", "杭州", 15), ("组织机构", "浙江大学", 21)]  # by the tiny checkpoint
PAIR = "[CLASSIFY]段落1：怎么更改手机号码；段落2：手机号码如何更改"
MATCHING = {"文本匹配：相似": None, "文本匹配：不相似": None}


def _info(name: str, text: str, start: int) -> list[dict[str, Any]]:
    return [{"type": name, "span": text, "offset": [start, start + len(text)]}]


def _row(text: str, info: list[Any], *, task: str, source: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"text": text, "info_list": info, "schema": schema, "task": task, "source": source}


@pytest.fixture
def data(tmp_path: Path, settings: Settings, checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two converted sets and a list that fixes all of their records, and one record more that is not there."""
    del settings, checkpoint_dir
    directory = tmp_path / "converted"
    directory.mkdir()
    half = [_info(*FOUND[0]), _info(*FOUND[1]), _info("人物", "林涛", 31)]
    rows = {
        "甲集": [
            _row(SENTENCE, [_info(*one) for one in FOUND], task="ner", source="甲集", schema=NER),
            _row(SENTENCE, half, task="ner", source="甲集", schema=NER | {"时间": None}),
        ],
        "乙集": [
            _row(PAIR, [_info("文本匹配：相似", "[CLASSIFY]", 0)], task="matching", source="乙集", schema=MATCHING)
        ],
    }
    for source, lines in rows.items():
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (directory / f"{source}.dev.jsonl").write_text(text, encoding="utf-8")
    content = suite.fix(directory)
    content["sets"]["乙集"]["matching"] += " ffffffffffff"
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "dev.json").write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.setattr(suite, "SUITES", lists)
    return directory


class OnlyPersons:
    """A peer that knows persons and finds one in every text."""

    name, version = "只识人名", "1.2"

    def covers(self, task: str, source: str) -> bool:
        return task == "ner"

    def predict(self, records: Sequence[GoldRecord], *, train: Path | None) -> list[Paths]:
        assert train is None
        return [frozenset({(("人物", "林涛", 31, 33),), (("地理位置", "杭州", 0, 2),)}) for _ in records]

    def comparable(self, task: str, source: str) -> frozenset[str] | None:
        return frozenset({"人物"})


def _call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def _cells(output: str, first: str) -> list[str]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in output.splitlines()]
    (row,) = [row for row in rows if row[0] == first]
    return row


def test_the_table_has_a_row_for_each_set_and_the_mean_of_each_task(data: Path) -> None:
    result = _call("--suite", "dev", "--data", data, "--zero-shot", "乙集")
    assert result.exit_code == 0, result.output
    ner, matching = _cells(result.stdout, "ner"), _cells(result.stdout, "matching")
    assert ner[:3] == ["ner", "甲集", "2"]
    assert matching[:3] == ["matching", "乙集（零样本）", "1（1/2 缺失）"]
    assert ner[4] == "F1"
    assert matching[4:6] == ["准确率", "1.000"]
    assert _cells(result.stdout, "ner 平均")[5] == ner[5]
    assert _cells(result.stdout, "matching 平均")[1] == "1 个数据集（零样本）"
    assert "共缺 1 条固定记录" in result.stdout
    assert "ner 甲集：2/2 条" in result.stderr


def test_the_file_and_the_json_hold_the_same_figures_and_what_they_were_made_with(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "report.json"
    result = _call("--suite", "dev", "--data", data, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert json.loads(out.read_text("utf-8")) == report
    assert not list(out.parent.glob("*.part"))
    assert (report["parts_planned"], report["parts_done"], report["suite"]) == (2, 2, "dev")
    ner, matching = report["sets"]
    assert (ner["records"], ner["missing"], ner["failed"], ner["gold"]) == (2, 0, 0, 6)
    assert ner["correct"] >= 4
    assert ner["value"] == round(2 * ner["correct"] / (ner["gold"] + ner["predicted"]), 4)
    assert (matching["fixed"], matching["records"], matching["missing"], matching["value"]) == (2, 1, 1, 1.0)
    assert 0 <= ner["calibration_error"] <= 1
    assert report["means"][0] == {"task": "ner", "zero_shot": False, "sets": 1, "metric": "F1", "value": ner["value"]}
    assert all(len(digest) == 64 for digest in report["model"]["sha256"].values())
    assert {"config.json", "model.safetensors"} <= report["model"]["sha256"].keys()
    assert report["versions"]["torch"]
    assert report["hardware"]["device"] == "cpu"
    assert report["command"].startswith("python -m core")


def test_rows_and_names_cut_the_suite(data: Path) -> None:
    result = _call("--suite", "dev", "--data", data, "--rows", "1", "--only", "甲集,matching", "--json")
    assert [(row["set"], row["fixed"]) for row in json.loads(result.stdout)["sets"]] == [("甲集", 1), ("乙集", 1)]
    result = _call("--suite", "dev", "--data", data, "--only", "matching", "--json")
    assert [row["set"] for row in json.loads(result.stdout)["sets"]] == ["乙集"]


def test_a_peer_is_scored_beside_the_model_on_the_types_it_knows(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = "别的：未安装，pip install other"
    monkeypatch.setattr(suite_run, "available_peers", lambda: ([OnlyPersons()], [absent]))
    result = _call("--suite", "dev", "--data", data, "--peers", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    ner, matching = report["sets"]
    assert report["skipped_peers"] == [absent]
    assert matching["peers"] == []
    (peer,) = ner["peers"]
    assert (peer["name"], peer["version"], peer["types"], peer["error"]) == ("只识人名", "1.2", ["人物"], "")
    # Gold persons: 陈静 twice and 林涛; the peer says 林涛 in both texts.
    assert peer["value"] == round(2 * 1 / (3 + 2), 4)
    assert peer["model_value"] > peer["value"]
    table = _call("--suite", "dev", "--data", data, "--peers").stdout
    assert _cells(table, "任务")[-1] == "只识人名"
    assert _cells(table, "ner")[-1] == f"0.400（模型 {peer['model_value']:.3f}）"
    assert "ner 甲集 括号内外只计类型 人物" in table
    assert "只识人名：1.2" in table
    assert f"跳过 {absent}" in table


def test_a_peer_that_fails_is_named_and_the_run_goes_on(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> list[Paths]:
        raise ZeroDivisionError("没有词典")

    monkeypatch.setattr(OnlyPersons, "predict", fail)
    monkeypatch.setattr(suite_run, "available_peers", lambda: ([OnlyPersons()], []))
    result = _call("--suite", "dev", "--data", data, "--peers")
    assert result.exit_code == 0, result.output
    assert _cells(result.stdout, "ner")[-1].startswith("出错（模型")
    assert "ner 甲集，只识人名 出错：ZeroDivisionError: 没有词典" in result.stdout
    assert _cells(result.stdout, "matching")[5] == "1.000"


def test_a_record_that_cannot_be_read_counts_as_unanswered_and_is_shown(data: Path) -> None:
    too_long = "字" * 600
    row = _row(SENTENCE, [_info(too_long, "陈静", 3)], task="ner", source="丙集", schema={too_long: None})
    (data / "丙集.dev.jsonl").write_text(json.dumps(row), encoding="utf-8")
    (suite.SUITES / "dev.json").write_text(json.dumps(suite.fix(data)), encoding="utf-8")
    result = _call("--suite", "dev", "--data", data, "--only", "丙集")
    assert result.exit_code == 0, result.output
    assert _cells(result.stdout, "ner")[2:6] == ["1（1 条出错）", "1", "F1", "0.000"]
    (row,) = json.loads(_call("--suite", "dev", "--data", data, "--only", "丙集", "--json").stdout)["sets"]
    assert row["failed"] == 1
    assert "太长" in row["failures"][0]


def test_a_run_that_is_cut_short_leaves_what_it_has_finished(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = suite_run.measure

    def break_off(task: str, *arguments: Any, **options: Any) -> Any:
        if task == "matching":
            raise KeyboardInterrupt
        return real(task, *arguments, **options)

    monkeypatch.setattr(suite_run, "measure", break_off)
    out = tmp_path / "report.json"
    (suite.SUITES / "dev.json").write_text(
        json.dumps({"sets": dict(sorted(suite.fix(data)["sets"].items(), reverse=True))}), encoding="utf-8"
    )
    assert _call("--suite", "dev", "--data", data, "--out", out).exit_code != 0
    report = json.loads(out.read_text("utf-8"))
    assert (report["parts_planned"], report["parts_done"]) == (2, 1)
    assert [row["set"] for row in report["sets"]] == ["甲集"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--suite 之一"),
        (["gold.jsonl", "--suite", "dev"], "--suite 之一"),
        (["--suite", "dev"], "--data"),
        (["--suite", "别的", "--data", "."], "可选 dev"),
        (["--suite", "dev", "--data", ".", "--only", "丙集"], "丙集"),
        (["--suite", "dev", "--data", ".", "--zero-shot", "丙集"], "丙集"),
        (["--suite", "dev", "--data", "nowhere"], "nowhere"),
        (["gold.jsonl", "--rows", "3", "--peers"], "--rows、--peers"),
        (["--suite", "dev", "--data", ".", "--out", "/dev/null/report.json"], "/dev/null/report.json"),
    ],
)
def test_what_does_not_fit_together_is_named(data: Path, arguments: list[str], message: str) -> None:
    del data
    result = _call(*arguments)
    assert result.exit_code == 1
    assert message in result.stderr
