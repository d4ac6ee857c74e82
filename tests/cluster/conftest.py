"""A folder of input in both forms, with rows that are none, and the settings of a checkpoint that loads in moments."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.cluster.batch import Batch
from core.cluster.rows import Asked
from core.config import Settings

SCHEMA = {"人物": None, "地理位置": None}
PLACES = "😀刘志诚在广州市会见了陈静。", "李明昨天到了上海，今天去北京。", "𠮷野家在南京路开了新店。"
BAD_ROWS = 3


@pytest.fixture
def tiny(settings: Settings, checkpoint_dir: Path) -> Settings:
    """Settings of the tiny checkpoint on one thread."""
    return settings.model_copy(update={"model": str(checkpoint_dir), "cpu_threads": 1})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """25 lines and 17 rows; three of the lines are no documents."""
    place = tmp_path / "in"
    (place / "sub").mkdir(parents=True)
    lines = [json.dumps({"id": f"a{n}", "text": f"第{n}条：{PLACES[n % 3]}"}, ensure_ascii=False) for n in range(22)]
    lines[5:5] = ["这不是 JSON", '{"id": "空", "text": ""}', ""]
    text = "\n".join([*lines[:15], '["没有正文"]', *lines[15:]])
    (place / "一.jsonl").write_text(text, "utf-8")
    table = pa.table(
        {
            "编号": [f"p{n}" for n in range(17)],
            "内容": [f"{PLACES[n % 3]}（{n}）" for n in range(17)],
            "日期": [date(2026, 1, 1)] * 17,
        }
    )
    pq.write_table(table, place / "sub" / "二.parquet", row_group_size=6)
    return place


@pytest.fixture
def batch(folder: Path, tmp_path: Path) -> Batch:
    """That folder, seven rows a part."""
    return Batch(str(folder), tmp_path / "out", Asked("ner", SCHEMA), 0.3, part_documents=7)
