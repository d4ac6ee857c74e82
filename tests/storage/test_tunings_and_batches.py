"""Fine-tunings and batches in the database: who may change what, and what comes back, on SQLite and PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine

from core.errors import StorageError
from core.storage import batch_store, tuning_store
from core.storage.database import migrate

DATA: dict[str, Any] = {"run": 3, "种类": {"人物": 12}, "document_ids": [1, 2]}


@pytest.fixture
def database(empty: Engine) -> Engine:
    migrate(empty)
    return empty


def begun(database: Engine) -> int:
    number = tuning_store.create(
        database, name="我的模型", source="rex-mini-zh", options={"epochs": 3, "rate": 1e-4}, data=DATA, folder="/tmp/x"
    )
    assert number is not None
    return number


def test_a_fine_tuning_is_held_by_one_owner_and_keeps_what_it_tells(database: Engine) -> None:
    number = begun(database)
    assert tuning_store.create(database, name="b", source="s", options={}, data={}, folder="") is None, "one at a time"
    assert tuning_store.take(database, number, "1/1.0", before="")
    assert not tuning_store.take(database, number, "2/2.0", before=""), "somebody was quicker"
    history = [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}]
    assert tuning_store.tell(database, number, "1/1.0", progress={"step": 2, "话": "训练中"}, history=history)
    assert not tuning_store.tell(database, number, "2/2.0", progress={})
    found = tuning_store.get(database, number)
    assert (found.data, found.progress, list(found.history)) == (DATA, {"step": 2, "话": "训练中"}, history)
    assert found.attempts == 1 and found.heartbeat_at is not None and found.heartbeat_at.tzinfo is not None
    assert [one.id for one in tuning_store.running(database)] == [number]
    assert tuning_store.end(database, number, "1/1.0", "done", scores={"before": 0.3, "after": 0.7})
    assert not tuning_store.end(database, number, "1/1.0", "failed")
    assert tuning_store.move(database, number, ["done"], "kept")
    assert not tuning_store.move(database, number, ["done"], "discarded")
    (last,) = tuning_store.newest(database)
    assert last.state == "kept" and last.scores["after"] == 0.7 and last.finished_at is not None
    with pytest.raises(StorageError):
        tuning_store.get(database, number + 1)


def test_of_many_that_would_begin_at_once_one_does(database: Engine) -> None:
    def begin(number: int) -> int | None:
        return tuning_store.create(database, name=f"{number}", source="s", options={}, data={}, folder="")

    with ThreadPoolExecutor(8) as pool:
        begun_ones = [one for one in pool.map(begin, range(16)) if one is not None]
    assert len(begun_ones) == 1


def test_a_batch_is_remembered_as_it_was_last_seen_until_it_is_forgotten(database: Engine) -> None:
    schema = {"人物": {"配偶(人物)": None}}
    numbers = [
        batch_store.add_batch(
            database,
            input="报告",
            output="结果/{id}",
            task="re",
            schema=schema,
            options={"threshold": 0.5, "ray": None},
        )
        for _ in range(2)
    ]
    first = batch_store.get_batch(database, numbers[0])
    assert first.output == f"结果/{numbers[0]}" and first.schema == schema and first.active
    progress = {"rows": 10**12, "done": 3, "parts": ["a.jsonl", "乙.parquet"]}
    batch_store.note_batch(database, numbers[0], state="failed", process="", progress=progress, error="磁盘已满")
    noted = batch_store.get_batch(database, numbers[0])
    assert (
        noted.progress == progress and noted.error == "磁盘已满" and noted.finished_at is not None and not noted.active
    )
    assert [one.id for one in batch_store.list_batches(database)] == numbers[::-1]
    batch_store.forget_batch(database, numbers[0])
    with pytest.raises(StorageError):
        batch_store.get_batch(database, numbers[0])
