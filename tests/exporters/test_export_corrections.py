"""Which results are written: with corrections, only reviewed ones, or the machine's own; and what to fine-tune on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from core import reviews
from core.cli import app
from core.errors import FormatError
from core.exporters import export_run
from core.imports import keep_annotated
from core.readers import read_annotated
from core.review.actions import Action
from core.storage.database import migrate, open_database
from core.storage.review_queries import QueueFilter as Queue
from core.storage.review_queries import get_review, queue_ids
from core.storage.store import Store
from core.training.samples import read_record
from core.types import AnnotatedDocument, Annotation, Document

TEXTS = ("😀张伟的妻子是李娜。", "王芳在深圳工作。", "天气很好。")


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("REX_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("REX_DATABASE_URL", raising=False)
    engine = open_database(f"sqlite:///{tmp_path / 'app.db'}")
    migrate(engine)
    return engine


@pytest.fixture
def run(database: Engine) -> int:
    """Three imported documents: the first corrected, the second rejected as a whole, the third untouched."""
    wife = Annotation("配偶(人物)", 7, 9, "李娜", 0.5)
    found = (
        (Annotation("人物", 1, 3, "张伟", 0.8, (wife,)), Annotation("人物", 7, 8, "李", 0.6)),
        (Annotation("人物", 0, 2, "王芳", 0.9),),
        (),
    )
    documents = [Document(text, id=f"d{n}") for n, text in enumerate(TEXTS)]
    results = [AnnotatedDocument(one, "re", trees) for one, trees in zip(documents, found, strict=True)]
    number = keep_annotated(Store(database), results, format="native", name="标注.jsonl")
    first, second, _ = queue_ids(database, number, Queue())
    for document, *actions in (
        (
            first,
            Action("move", 2, places=((7, 9),)),
            Action("add", type="配偶(人物)", parent=2, places=((1, 3),)),
            Action("finish"),
        ),
        (second, Action("dismiss")),
    ):
        for action in actions:
            reviews.perform(database, get_review(database, number, document), action, author="李雷")
    return number


def written(database: Engine, run: int, which: str, tmp_path: Path) -> tuple[list[dict], list[str]]:
    path = tmp_path / f"{which}.jsonl"
    losses = export_run(database, run, "native", path=path, which=which)
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()], [str(one) for one in losses]


def test_current_results_have_the_corrections_of_imported_documents_too(
    database: Engine, run: int, tmp_path: Path
) -> None:
    (corrected, dismissed, untouched), losses = written(database, run, "current", tmp_path)
    assert [(one["text"], [child["text"] for child in one["children"]]) for one in corrected["annotations"]] == [
        ("张伟", ["李娜"]),
        ("李娜", ["张伟"]),
    ]
    assert "已修正（李雷" in corrected["notes"][0] and "整篇驳回（李雷" in dismissed["notes"][0]
    assert "notes" not in untouched and losses == []
    documents, report = read_annotated(tmp_path / "current.jsonl", "native")
    assert len(documents[0].annotations) == 2 and not report.problems


def test_reviewed_results_leave_the_others_out_and_say_how_many(database: Engine, run: int, tmp_path: Path) -> None:
    rows, losses = written(database, run, "reviewed", tmp_path)
    assert [row["id"] for row in rows] == ["d0"]
    assert losses == ["没有复核完、整篇驳回或跳过的文档没有写入（2 处）"]


def test_the_machines_own_results_stay_as_they_were(database: Engine, run: int, tmp_path: Path) -> None:
    (first, *_), _ = written(database, run, "machine", tmp_path)
    assert [one["text"] for one in first["annotations"]] == ["张伟", "李"] and "notes" not in first


def test_reviewed_documents_become_records_to_fine_tune_on(database: Engine, run: int, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    result = CliRunner().invoke(
        app, ["export", "--job", str(run), "--format", "rex", "--which", "reviewed", "--output", str(path)]
    )
    assert result.exit_code == 0, result.output
    (record,) = (json.loads(line) for line in path.read_text("utf-8").splitlines())
    assert read_record(record)
    assert [[one["span"] for one in chain] for chain in record["info_list"]] == [["张伟", "李娜"], ["李娜", "张伟"]]
    for chain in record["info_list"]:
        for one in chain:
            assert record["text"][slice(*one["offset"])] == one["span"]


def test_without_reviewed_documents_and_for_an_unknown_choice_the_way_on_is_named(
    database: Engine, tmp_path: Path
) -> None:
    result = AnnotatedDocument(Document(TEXTS[2]), "ner", ())
    run = keep_annotated(Store(database), [result], format="native", name="a.jsonl")
    with pytest.raises(FormatError, match="还没有复核完的文档.*复核修正"):
        export_run(database, run, "native", path=tmp_path / "x", which="reviewed")
    with pytest.raises(FormatError, match="没有“all”这种结果：可选 current、reviewed、machine"):
        export_run(database, run, "native", path=tmp_path / "x", which="all")
