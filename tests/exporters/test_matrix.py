"""Every format to every other: nothing breaks, what a format declares to keep comes back, and losses are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.exporters import FORMATS, write_file
from core.exporters.back import read_back
from core.exporters.files import FULL, NONE
from core.exporters.round_trip import differences, round_trip_table, samples, there_and_back
from core.exporters.table import KEPT, readable
from core.types import AnnotatedDocument

ROOT = Path(__file__).resolve().parents[2]
READ = [name for name in FORMATS if name in readable()]
WHOLE = {"native", "doccano", "label-studio", "brat", "xlsx", "parquet"}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The samples in every format that can be read, written from our own lines."""
    folder = tmp_path_factory.mktemp("matrix")
    own = folder / "own.jsonl"
    write_file(samples(), "native", path=own)
    paths = {}
    for name in READ:
        paths[name] = folder / f"{name}{FORMATS[name].suffix}"
        write_file(read(own, "native"), name, path=paths[name])
    return paths


def read(path: Path, format: str) -> list[AnnotatedDocument]:
    return list(read_back(path, format, say=lambda line: None))


@pytest.mark.parametrize("there", FORMATS)
@pytest.mark.parametrize("source", READ)
def test_every_format_becomes_every_other(source: str, there: str, written: dict[str, Path], tmp_path: Path) -> None:
    found = read(written[source], source)
    path = tmp_path / f"file{FORMATS[there].suffix}"
    losses = write_file(found, there, path=path)
    assert path.stat().st_size > 0
    for one in found:
        assert one.document.text
    if there in READ:
        again = read(path, there)
        assert len(again) == len(found) or any("并为一个" in loss.what or "没有写入" in loss.what for loss in losses)
        if there in WHOLE:
            # our records of paths are kept by few formats; everything else is
            assert [replace(one, paths=()) for one in again] == [replace(one, paths=()) for one in found]


@pytest.mark.parametrize("format", READ)
def test_what_a_format_declares_to_keep_comes_back_and_what_it_does_not_is_told(format: str) -> None:
    before = samples()
    after, losses = there_and_back(before, format)
    changed = differences(before, after)
    declared = {part: getattr(FORMATS[format], part) for part in KEPT}
    assert not changed & {part for part, how in declared.items() if how == FULL}
    # a format that gives back what it says it cannot hold says too little of itself
    assert {part for part, how in declared.items() if how == NONE} <= changed
    assert (after == before) == (format in WHOLE)
    assert losses or after == before


@pytest.mark.parametrize("format", READ)
@pytest.mark.parametrize("number", range(len(samples())))
def test_each_document_alone_comes_back_or_its_loss_is_told(number: int, format: str, tmp_path: Path) -> None:
    before = samples()[number : number + 1]
    path = tmp_path / f"file{FORMATS[format].suffix}"
    losses = write_file(before, format, path=path)
    if format == "uie" and not before[0].annotations:
        assert any("没有写入" in str(loss) for loss in losses)
        return
    assert losses or read(path, format) == before


def test_the_table_of_round_trips_stands_in_the_documentation() -> None:
    assert round_trip_table() in (ROOT / "docs" / "formats.md").read_text("utf-8")
