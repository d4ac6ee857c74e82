"""The everyday examples: readable by the command line, over all tasks, and shown on their page."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from core.cli_input import read_input, to_items
from core.schemas.schema import Schema, parse_schema
from core.tasks import TASKS, Task, schema_for
from core.training.batches import read_pools
from core.types import AnnotatedDocument, Annotation, Document

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "data" / "samples"
EVERYDAY = SAMPLES / "everyday.jsonl"
ROWS = [json.loads(line) for line in EVERYDAY.read_text("utf-8").splitlines()]
PAGE = (ROOT / "docs" / "examples.md").read_text("utf-8")
TABLE = runpy.run_path(str(ROOT / "docs" / "examples" / "table.py"))


def asked(row: dict[str, Any]) -> tuple[Task, Schema]:
    task = TASKS[row["task"]]
    return task, schema_for(task, parse_schema(row["schema"]) if "schema" in row else None)


def test_twenty_examples_cover_every_task_and_both_kinds_of_reading() -> None:
    assert len(ROWS) == 20 and len({row["id"] for row in ROWS}) == 20 and len({row["text"] for row in ROWS}) == 20
    assert {row["task"] for row in ROWS} == TASKS.keys() - {"rex"}
    assert {asked(row)[1].depth for row in ROWS if row["task"] == "mrc"} == {1, 2}


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_the_command_line_reads_every_example(row: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "one.jsonl"
    file.write_text(json.dumps(row, ensure_ascii=False), "utf-8")
    ((document, schema),) = read_input(file, say=print)
    (item,) = to_items([(document, schema)], task_name=row["task"], schema=None, reference=False)
    assert item.document.text == row["text"] and item.task.name == row["task"]
    next(item.task.plan(item.document, item.schema))  # the inputs that the task needs are there


def test_the_whole_file_is_read_in_one_go() -> None:
    assert [document.id for document, _ in read_input(EVERYDAY, say=print)] == [row["id"] for row in ROWS]


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_expected_answers_can_be_given(row: dict[str, Any]) -> None:
    """Texts stand in the input, types in the schema: otherwise no model could be right."""
    _, schema = asked(row)
    known = {name for path in schema.paths() for name in path} | {"属性词", "指代", "不指代", "候选词"}
    for answer in row["expected"]:
        for part in answer.split(" > "):
            name, _, text = part.partition("=")
            assert name in known and text in row["text"], part


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_the_page_shows_every_example_with_each_expected_answer(row: dict[str, Any]) -> None:
    section = re.split(r"^## ", PAGE.partition(f"## {row['id']} ")[2], maxsplit=1, flags=re.M)[0]
    assert f"> {row['text']}\n" in section
    for answer in row["expected"]:
        assert f"- ✓ {answer}（" in section or f"- ✗ 没有找到 {answer}\n" in section


def test_a_wrong_answer_and_a_missing_one_are_both_marked() -> None:
    row = {"id": "e1", "task": "ner", "text": "李明到了上海。", "schema": {"人物": None, "地点": None}}
    row["expected"] = ["人物=李明", "地点=上海"]
    annotations = (Annotation("人物", 0, 2, "李明", 0.9), Annotation("人物", 4, 6, "上海", 0.6))
    page = TABLE["page"]([row], [AnnotatedDocument(Document(row["text"]), "ner", annotations)], "some model")
    assert "| e1 | `ner` | ✗ | 1 / 2 | 1 |" in page and "**0 / 1 例完全一致**" in page
    for line in ("- ✓ 人物=李明（0.90）", "- ✗ 多说 人物=上海（0.60）", "- ✗ 没有找到 地点=上海"):
        assert line in page


def test_the_fine_tuning_samples_are_sound_and_share_no_text() -> None:
    texts = []
    for name, number in (("finetune_example", 40), ("finetune_check", 20)):
        pools = read_pools([SAMPLES / f"{name}.jsonl"], check=True)
        texts.append({pool.example(index).text for pool in pools for index in range(len(pool))})
        assert len(texts[-1]) == number and {pool.task for pool in pools} == {"ner", "classification"}
    assert not texts[0] & texts[1]
