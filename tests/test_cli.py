"""The command line from arguments to lines and exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from core.cli import app
from core.config import EMBEDDED_MODEL, Settings
from core.schemas.presets import list_presets

SENTENCE = "小说家陈静1972年3月出生于杭州，毕业于浙江大学，丈夫是画家林涛。"
NER = '{"人物": null, "地理位置": null, "组织机构": null}'
WANTED = [("人物", 3, 5, "陈静"), ("地理位置", 15, 17, "杭州"), ("组织机构", 21, 25, "浙江大学")]


@pytest.fixture(autouse=True)
def _model(settings: Settings, checkpoint_dir: Path) -> None:
    """Every command reads the settings of the environment, which the fixture sets."""
    del settings, checkpoint_dir


def _call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def _rows(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def _spans(row: dict[str, Any]) -> list[tuple[str, int, int, str]]:
    return [(one["type"], one["start"], one["end"], one["text"]) for one in row["annotations"]]


def test_a_text_is_annotated_in_the_native_form() -> None:
    result = _call("annotate", "--task", "ner", "--schema", NER, "--text", SENTENCE)
    assert result.exit_code == 0, result.output
    (row,) = _rows(result.stdout)
    assert (row["task"], row["text"], row["windows"]) == ("ner", SENTENCE, 1)
    assert _spans(row) == WANTED
    assert all(0.5 < one["score"] <= 1 for one in row["annotations"])


def test_a_text_is_annotated_in_the_reference_form() -> None:
    result = _call("annotate", "--task", "ner", "--schema", NER, "--text", SENTENCE, "--format", "rex")
    assert result.exit_code == 0, result.output
    (row,) = _rows(result.stdout)
    found = sorted((p[0]["type"], *p[0]["offset"], p[0]["span"]) for p in row["output"])
    assert found == sorted(WANTED)


def test_the_reference_form_takes_the_task_from_the_marker_in_the_text() -> None:
    text = "[CLASSIFY]段落1：怎么更改手机号码；段落2：手机号码如何更改"
    schema = '{"文本匹配：相似": null, "文本匹配：不相似": null}'
    marked = _call("annotate", "--schema", schema, "--text", text, "--format", "rex")
    assert marked.exit_code == 0, marked.output
    pair = ("--text", "怎么更改手机号码", "--text-pair", "手机号码如何更改")
    named = _call("annotate", "--task", "matching", *pair, "--format", "rex")
    assert named.exit_code == 0, named.output
    ((path,),) = (row["output"] for row in _rows(marked.stdout))
    assert (path[0]["type"], path[0]["span"], path[0]["offset"]) == ("文本匹配：相似", "[CLASSIFY]", [0, 10])
    assert _rows(named.stdout)[0]["output"] == [path]


def test_lines_keep_their_order_ids_and_own_schemas(tmp_path: Path) -> None:
    file, target = tmp_path / "in.jsonl", tmp_path / "out" / "out.jsonl"
    lines = [
        {"id": "long", "text": SENTENCE * 20},
        {"id": "own", "text": SENTENCE, "schema": {"人物": None}},
        {"id": "short", "text": SENTENCE},
    ]
    file.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    result = _call("annotate", "--task", "ner", "--schema", NER, "--input", file, "--output", target)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    rows = _rows(target.read_text(encoding="utf-8"))
    assert [row["id"] for row in rows] == ["long", "own", "short"]
    assert {one["type"] for one in rows[1]["annotations"]} == {"人物"}
    assert _spans(rows[2]) == WANTED


def test_a_text_file_is_a_document_a_line(tmp_path: Path) -> None:
    file = tmp_path / "in.txt"
    file.write_text(f"{SENTENCE}\n\n你好。\n", encoding="utf-8")
    rows = _rows(_call("annotate", "--task", "ner", "--schema", NER, "--input", file).stdout)
    assert [row["text"] for row in rows] == [SENTENCE, "你好。"]


def test_lines_that_cannot_be_used_are_named_with_status_1(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text('{"text": "甲"}\n{"text": \n{"id": 3}\n{"text": "乙", "schema": {"": null}}', encoding="utf-8")
    result = _call("annotate", "--task", "ner", "--schema", NER, "--input", file)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "in.jsonl 有 3 行无法使用" in result.stderr
    assert all(f"第 {number} 行" in result.stderr for number in (2, 3, 4))


def test_a_document_that_fails_gets_its_error_and_the_others_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text('{"text": "甲", "text_pair": "乙"}\n{"text": "甲"}', encoding="utf-8")
    result = _call("annotate", "--task", "matching", "--input", file)
    assert result.exit_code == 1
    good, bad = _rows(result.stdout)
    assert len(good["annotations"]) == 1
    assert "error" not in good
    assert "text_pair" in bad["error"]
    assert "1 个文档未能处理" in result.stderr


def test_a_preset_is_found_by_name() -> None:
    preset = list_presets("ner")[0]
    for name in (preset.name, preset.name_en):
        result = _call("annotate", "--task", "ner", "--schema", name, "--text", SENTENCE)
        assert result.exit_code == 0, result.output
        assert {span[0] for span in _spans(_rows(result.stdout)[0])} <= set(preset.schema or {})
    unknown = _call("annotate", "--task", "ner", "--schema", "没有的预设", "--text", SENTENCE)
    assert unknown.exit_code == 1
    assert preset.name in unknown.stderr


def test_a_schema_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text(NER, encoding="utf-8-sig")
    result = _call("annotate", "--task", "ner", "--schema", file, "--text", SENTENCE)
    assert _spans(_rows(result.stdout)[0]) == WANTED


def test_marked_words_become_the_inputs_of_their_task() -> None:
    words = ("--candidate", "小红", "--pronoun", "她")
    result = _call("annotate", "--task", "coref", "--text", "小红说她累", *words)
    assert result.exit_code == 0, result.output
    (one,) = _rows(result.stdout)[0]["annotations"]
    assert (one["text"], one["children"][0]["text"]) == ("她", "小红")
    wrong = _call("annotate", "--task", "coref", "--text", "小红说她累", "--candidate", "小明", "--pronoun", "她")
    assert wrong.exit_code == 1
    assert "正文里没有候选词“小明”" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--task", "ner", "--schema", NER, "--text", SENTENCE, "--threshold", "1.5"), "阈值 1.5 无效"),
        (("--task", "ner", "--schema", NER, "--text", SENTENCE, "--threshold", "-1"), "阈值 -1.0 无效"),
        (("--task", "ner", "--text", SENTENCE), "需要模式"),
        (("--task", "summary", "--text", SENTENCE), "没有任务“summary”"),
        (("--schema", NER, "--text", SENTENCE), "--task"),
        (("--task", "ner", "--schema", "{", "--text", SENTENCE), "不是合法的 JSON"),
        (("--task", "ner", "--schema", "none.json", "--text", SENTENCE), "无法读取模式文件 none.json"),
        (("--task", "ner", "--schema", NER, "--input", "none.jsonl"), "无法读取输入文件 none.jsonl"),
        (("--task", "ner", "--schema", NER, "--text", SENTENCE, "--model", "/nowhere"), "/nowhere 不存在"),
        (("--task", "ner", "--schema", NER, "--text", " "), "1 个文档未能处理"),
    ],
)
def test_a_wrong_argument_ends_with_status_1_and_one_message(arguments: tuple[str, ...], said: str) -> None:
    result = _call("annotate", *arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_text_and_input_exclude_each_other() -> None:
    assert _call("annotate", "--task", "ner", "--schema", NER).exit_code == 2
    assert _call("annotate", "--task", "ner", "--text", "甲", "--input", "a.txt").exit_code == 2


def _gold(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_evaluate_reports_the_known_score_as_json_and_as_a_table(tmp_path: Path) -> None:
    gold = [[{"type": name, "span": text, "offset": [start, end]}] for name, start, end, text in WANTED]
    rows = [
        {"text": SENTENCE, "schema": json.loads(NER), "info_list": gold},
        {"text": SENTENCE, "schema": json.loads(NER), "info_list": gold[:1]},
    ]
    file = _gold(tmp_path / "gold.jsonl", rows)
    result = _call("evaluate", file, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["precision"], report["recall"], report["f1"]) == (round(4 / 6, 4), 1.0, 0.8)
    assert report["tasks"]["all"]["accuracy"] == 0.5
    table = _call("evaluate", file)
    assert table.exit_code == 0
    assert "合计\t2\t0.667\t1.000\t0.800\t0.500" in table.stdout


def test_evaluate_reports_the_accuracy_of_classes(tmp_path: Path) -> None:
    text = "[CLASSIFY]段落1：怎么更改手机号码；段落2：手机号码如何更改"
    schema = {"文本匹配：相似": None, "文本匹配：不相似": None}
    rows = [
        {"text": text, "schema": schema, "info_list": [[{"type": name, "span": "[CLASSIFY]", "offset": [0, 10]}]]}
        for name in schema
    ]
    report = json.loads(_call("evaluate", _gold(tmp_path / "gold.jsonl", rows), "--json").stdout)
    assert (report["accuracy"], report["f1"]) == (0.5, 0.5)


def test_evaluate_names_a_bad_line_with_status_1(tmp_path: Path) -> None:
    file = tmp_path / "gold.jsonl"
    file.write_text('{"text": "甲"}', encoding="utf-8")
    result = _call("evaluate", file)
    assert result.exit_code == 1
    assert "第 1 行" in result.stderr


def test_verify_tells_that_the_embedded_model_is_not_the_official_one() -> None:
    if not (EMBEDDED_MODEL / "config.json").is_file():
        pytest.skip(f"no checkpoint in {EMBEDDED_MODEL}")
    result = _call("verify", "--model", EMBEDDED_MODEL)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert any(line.startswith("✗ 词元：") and "得到" in line for line in lines)
    assert all(line.startswith(("✓ ", "✗ ")) for line in lines)
    checks = json.loads(_call("verify", "--model", EMBEDDED_MODEL, "--json").stdout)
    assert [check["holds"] for check in checks] == [line.startswith("✓") for line in lines]


def test_settings_without_room_for_text_are_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REX_MAX_LENGTH", "100")
    result = CliRunner().invoke(app, ["annotate", "--task", "ner", "--schema", '["人物"]', "--text", "张伟"])
    assert result.exit_code == 1
    assert "REX_MAX_LENGTH=100 太小" in result.output
