"""A batch reads every row exactly once, whatever ends it, and tells what it could not read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.cluster.batch import Batch, here, run_batch
from core.cluster.output import MANIFEST, SUCCESS, opened, read_manifest, read_progress
from core.cluster.parts import divide, list_files
from core.cluster.rows import Asked, read_rows
from core.config import Settings
from core.errors import Cancelled, CheckpointError, FormatError, InputError, SchemaError
from core.inference.assembly import load_engine
from core.inference.documents import Item
from core.readers.parquet import read_parquet
from core.tasks import find_task, schema_for
from core.types import AnnotatedDocument, Document

SCHEMA = {"人物": None, "地理位置": None}
ROWS, BAD = 42, 3


def lines(output: Path) -> list[dict[str, Any]]:
    """Everything that counts, whichever file it is in."""
    paths = sorted(output.glob("part-*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text("utf-8").splitlines()]


def offsets_are_exact(row: dict[str, Any]) -> bool:
    return all(row["text"][one["start"] : one["end"]] == one["text"] for one in row["annotations"])


def test_every_row_has_its_result_and_offsets_are_exact(batch: Batch, tiny: Settings) -> None:
    notes = []
    ended = run_batch(batch, tiny, tell=notes.append)
    found = lines(batch.output)
    assert (ended.state, ended.rows, ended.done, ended.failed) == ("done", ROWS + 1, ROWS + 1, BAD)  # a blank line
    wanted = {f"a{n}" for n in range(22)} | {f"p{n}" for n in range(17)}
    assert Counter(row["id"] for row in found if not row.get("error")) == Counter(wanted)
    assert all(map(offsets_are_exact, found)) and any(row["annotations"] for row in found)
    assert notes[0].state == "running" and read_progress(batch.output)["state"] == "done"
    assert json.loads((batch.output / SUCCESS).read_text("utf-8"))["done"] == ROWS + 1
    (row,) = [row for row in found if row["id"] == "p0"]
    assert row["metadata"] == {"日期": "2026-01-01"} and row["name"] == "sub/二.parquet"
    assert row["run"]["schema"] == SCHEMA and row["run"]["model"]


def test_a_row_that_is_no_document_is_kept_as_it_stands_with_the_reason(batch: Batch, tiny: Settings) -> None:
    run_batch(batch, tiny)
    errors = {row["id"]: (row["text"], row["error"]) for row in lines(batch.output) if row.get("error")}
    assert set(errors) == {"一.jsonl#6", "一.jsonl#7", "一.jsonl#16"}
    assert errors["一.jsonl#6"][0] == "这不是 JSON" and "第 6 行" in errors["一.jsonl#6"][1]
    assert json.loads(errors["一.jsonl#7"][0]) == {"id": "空", "text": ""} and "text 为空" in errors["一.jsonl#7"][1]


def test_results_are_those_of_the_engine(batch: Batch, tiny: Settings) -> None:
    run_batch(batch, tiny)
    texts = {row["id"]: row for row in lines(batch.output) if not row.get("error")}
    engine = load_engine(tiny)
    task = find_task("ner")
    items = [
        Item(Document(row["text"]), task, schema_for(task, Asked("ner", SCHEMA).parsed())) for row in texts.values()
    ]
    try:
        for place, result in engine.annotate(items, threshold=batch.threshold):
            row = list(texts.values())[place]
            theirs = [(one["type"], one["start"], one["end"]) for one in row["annotations"]]
            assert theirs == [(one.type, one.start, one.end) for one in result.annotations]
    finally:
        engine.close()


def test_parquet_holds_the_same_as_json_lines(batch: Batch, tiny: Settings, tmp_path: Path) -> None:
    run_batch(batch, tiny)
    other = replace(batch, output=tmp_path / "columns", form="parquet")
    run_batch(other, tiny)
    rows = {row["id"]: row for row in lines(batch.output)}
    results = [one for path in other.output.glob("part-*.parquet") for one in read_parquet(path)]
    assert len(results) == len(rows)
    for one in results:
        row = rows[one.document.id]
        assert (one.document.text, one.error) == (row["text"], row.get("error", ""))
        assert [(a.type, a.start, a.end) for a in one.annotations] == [
            (a["type"], a["start"], a["end"]) for a in row["annotations"]
        ]


def stopping_after(count: int) -> Any:
    """Work that ends like a killed process: between two parts, without a word."""

    def work(parts: Any, batch: Any, settings: Any, cancelled: Any, seen: Any) -> Iterator[Any]:
        for number, one in enumerate(here(parts, batch, settings, cancelled, seen)):
            if number == count:
                raise MemoryError("killed")
            yield one

    return work


def test_what_was_kept_is_not_read_again(batch: Batch, tiny: Settings) -> None:
    with pytest.raises(MemoryError):
        run_batch(batch, tiny, work=stopping_after(3))
    assert read_progress(batch.output)["state"] == "failed" and not (batch.output / SUCCESS).exists()
    before = {path.name: path.stat().st_mtime_ns for path in batch.output.glob("part-*")}
    assert len(before) == 3
    ended = run_batch(batch, tiny)
    assert ended.resumed > 0 and ended.done == ROWS + 1
    assert {name: (batch.output / name).stat().st_mtime_ns for name in before} == before
    assert max(Counter(row["id"] for row in lines(batch.output)).values()) == 1
    again = run_batch(batch, tiny, work=stopping_after(0))
    assert (again.done, again.resumed, again.failed) == (ROWS + 1, ROWS + 1, BAD)


def test_a_line_cut_off_by_a_kill_and_files_without_a_line_do_not_count(batch: Batch, tiny: Settings) -> None:
    run_batch(batch, tiny)
    manifest = batch.output / MANIFEST
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[:-40])
    lost = set(path.name for path in batch.output.glob("part-*")) - {one.path for one in read_manifest(batch.output)}
    assert len(lost) == 1
    (batch.output / "part-0000.jsonl.tmp").write_text("half")
    damaged = batch.output / read_manifest(batch.output)[0].path
    damaged.write_bytes(damaged.read_bytes()[:-1])
    run_batch(batch, tiny)
    assert Counter(row["id"] for row in lines(batch.output)).most_common(1)[0][1] == 1
    assert len(lines(batch.output)) == ROWS and not list(batch.output.glob("*.tmp"))
    assert sorted(one.key for one in read_manifest(batch.output)) == sorted(
        json.loads(line)["key"] for line in whole.splitlines()
    )


def test_a_file_that_has_grown_gives_only_what_is_new(batch: Batch, folder: Path, tiny: Settings) -> None:
    run_batch(batch, tiny)
    file = folder / "一.jsonl"
    added = [{"id": "neu", "text": "王芳在成都。"}, {"id": "a3", "text": "同一编号，另一正文。"}]
    with file.open("a", encoding="utf-8") as target:
        target.write("\n" + "\n".join(json.dumps(one, ensure_ascii=False) for one in added))
    ended = run_batch(batch, tiny)
    counted = Counter(row["id"] for row in lines(batch.output))
    assert ended.done == ended.rows and counted["neu"] == 1 and counted["a3"] == 2
    assert sum(counted.values()) == ROWS + 2


def test_equal_rows_are_read_as_often_as_they_stand_there(batch: Batch, folder: Path, tiny: Settings) -> None:
    line = json.dumps({"id": "x", "text": "张伟在南京。"}, ensure_ascii=False)
    (folder / "三.jsonl").write_text("\n".join([line] * 9), "utf-8")
    run_batch(batch, tiny)
    assert Counter(row["id"] for row in lines(batch.output))["x"] == 9
    (folder / "三.jsonl").write_text("\n".join([line] * 11), "utf-8")
    run_batch(batch, tiny)
    assert Counter(row["id"] for row in lines(batch.output))["x"] == 11


def test_another_question_does_not_go_into_the_same_folder(batch: Batch, tiny: Settings, tmp_path: Path) -> None:
    with pytest.raises(MemoryError):
        run_batch(batch, tiny, work=stopping_after(1))
    with pytest.raises(InputError, match="threshold 原来是 0.3，现在是 0.4"):
        run_batch(replace(batch, threshold=0.4), tiny)
    with pytest.raises(InputError, match="已有别的文件"):
        run_batch(replace(batch, output=tmp_path / "in"), tiny)
    with pytest.raises(InputError, match="part_documents"):
        run_batch(replace(batch, part_documents=9), tiny)


def test_two_processes_do_not_write_one_folder(batch: Batch, tiny: Settings) -> None:
    batch.output.mkdir()
    holder = (
        "import fcntl, sys, time; file = open(sys.argv[1], 'ab'); fcntl.flock(file, fcntl.LOCK_EX);"
        "print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", holder, str(batch.output / "_lock")], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None and process.stdout.readline()
        with pytest.raises(InputError, match="另一个进程正在写"):
            run_batch(batch, tiny)
    finally:
        process.kill()
        process.wait()


def test_other_weights_cannot_go_on(batch: Batch, tiny: Settings) -> None:
    def foreign(*arguments: Any) -> Iterator[Any]:
        for record, data in here(*arguments):
            yield replace(record, made_by={**record.made_by, "model": "anderes"}), data

    with pytest.raises(CheckpointError, match="anderes"):
        run_batch(batch, tiny, work=foreign)
    assert not read_manifest(batch.output)


def test_a_batch_can_be_stopped_and_says_so(batch: Batch, tiny: Settings) -> None:
    with pytest.raises(Cancelled):
        run_batch(batch, tiny, cancelled=lambda: True)
    assert read_progress(batch.output)["state"] == "cancelled"
    assert run_batch(batch, tiny).done == ROWS + 1


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("", ["sub/二.parquet", "一.jsonl"]),
        ("/*.jsonl", ["一.jsonl"]),
        ("/**/*.parquet", ["sub/二.parquet"]),
        ("/s*/*.parquet|jsonl", ["sub/二.parquet"]),
        ("/一.jsonl", ["一.jsonl"]),
    ],
)
def test_input_is_a_folder_a_file_or_a_pattern(folder: Path, given: str, names: list[str]) -> None:
    assert [file.name.rpartition("in/")[2] for file in list_files(f"{folder}{given}")] == names


def test_input_that_cannot_be_used_is_named(folder: Path, batch: Batch, tiny: Settings) -> None:
    (folder / "notes.txt").write_text("x")
    with pytest.raises(InputError, match="不支持 notes.txt"):
        list_files(f"{folder}/*.txt")
    with pytest.raises(InputError, match="不存在"):
        list_files(f"{folder}/missing")
    with pytest.raises(FormatError, match="现有的列：编号、内容、日期"):
        run_batch(replace(batch, asked=Asked("ner", SCHEMA, text_column="正文")), tiny)
    with pytest.raises(SchemaError):
        run_batch(replace(batch, asked=Asked("ner", {})), tiny)
    (folder / "broken.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(FormatError, match="broken.parquet"):
        run_batch(batch, tiny)


def test_parts_cover_every_row_once_whatever_their_size(folder: Path) -> None:
    asked = Asked("ner", SCHEMA)
    for file in list_files(str(folder)):
        whole = [row for part in divide(file, documents=1000) for row in read_rows(part, asked)]
        for size in (1, 4, 7):
            assert [row for part in divide(file, documents=size) for row in read_rows(part, asked)] == whole


def test_named_columns_become_text_and_id_and_what_stood_there_is_kept(tmp_path: Path) -> None:
    row = {"id": 7, "text": "标题", "正文内容": "李明在上海。", "工号": "k1", "metadata": {"来源": "网"}}
    (tmp_path / "a.jsonl").write_text(json.dumps(row, ensure_ascii=False), "utf-8")
    (file,) = list_files(str(tmp_path))
    (part,) = divide(file, documents=10)
    ((number, item),) = read_rows(part, Asked("ner", SCHEMA, "正文内容", "工号"))
    assert not isinstance(item, AnnotatedDocument)
    assert (number, item.document.text, item.document.id) == (1, "李明在上海。", "k1")
    assert item.document.metadata == {"来源": "网", "text": "标题", "id": "7"}


def test_a_folder_is_closed_to_others_only_while_it_is_open(tmp_path: Path) -> None:
    for _ in range(2):
        with opened(tmp_path / "out", {"x": 1}) as output:
            assert not output.records


@pytest.mark.slow
def test_a_killed_command_goes_on_where_it_was(batch: Batch, folder: Path, tiny: Settings, tmp_path: Path) -> None:
    rows = [json.dumps({"id": f"k{n}", "text": f"{n}：刘志诚在广州市。" * 8}, ensure_ascii=False) for n in range(400)]
    (folder / "四.jsonl").write_text("\n".join(rows), "utf-8")
    command = [sys.executable, "-m", "core", "batch", "--input", str(folder), "--output", str(batch.output)]
    command += ["--task", "ner", "--schema", json.dumps(SCHEMA), "--part-documents", "20", "--json"]
    environment = {**os.environ, "REX_MODEL": tiny.model, "REX_CPU_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(read_manifest(batch.output)) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = len(read_manifest(batch.output))
    assert 3 <= kept < 23
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 1, done.stderr  # three rows are no documents
    ended = json.loads(done.stdout)
    assert ended["resumed"] > 0 and ended["failed"] == BAD and ended["state"] == "done"
    counted = Counter(row["id"] for row in lines(batch.output))
    assert len(counted) == sum(counted.values()) == ROWS + 400
