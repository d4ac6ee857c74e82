"""A desk over a copy of the tiny checkpoint, and a run whose documents have been reviewed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core import bootstrap, reviews
from core.config import Settings
from core.review.actions import Action
from core.services import Application
from core.storage.review_queries import get_review
from core.types import AnnotatedDocument, Annotation, Document

NAMES = ("张三", "李四", "王五", "赵六", "孙七")
PLACES = ("北京", "上海", "广州", "成都", "南京", "武汉")
SCHEMA = {"人物": None, "地点": None}
Reviewed = Callable[..., int]


@pytest.fixture
def desk_settings(tmp_path: Path, checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings that name no checkpoint; `first`, which was chosen before, and `second` are copies of the tiny one."""
    for name in ("REX_MODEL", "REX_DATABASE_URL", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(checkpoint_dir, tmp_path / "models" / "second")
    shutil.copytree(checkpoint_dir, tmp_path / "models" / "first")
    settings = Settings(_env_file=None, data_dir=tmp_path, device="cpu", database_url="", health_port=0)
    (tmp_path / "model.json").write_text(f'{{"source": "{tmp_path / "models" / "first"}"}}', "utf-8")
    return settings


@pytest.fixture
def app(desk_settings: Settings) -> Iterator[Application]:
    """The application of that desk; the tiny checkpoint `first` was chosen before."""
    application = bootstrap.build(desk_settings)
    yield application
    application.close()


@pytest.fixture
def reviewed(app: Application) -> Reviewed:
    """Makes a run over so many different texts and finishes their review; the machine found nothing in them."""

    def make(count: int, *, task: str = "ner") -> int:
        texts = [f"{n}号{NAMES[n % 5]}昨天去了{PLACES[n % 6]}。" for n in range(count)]
        documents = [Document(text, id=f"d{n}") for n, text in enumerate(texts)]
        rows = app.store.add_documents(documents)
        run = app.store.start_run(
            task=task, schema_id=None, schema=SCHEMA, model="first", revision="local", dtype="float32", device="cpu",
            threshold=0.5, total=count,
        )  # fmt: skip
        for place, (row, document) in enumerate(zip(rows, documents, strict=True)):
            found = [("人物", NAMES[place % 5]), ("地点", PLACES[place % 6])]
            trees = [
                Annotation(kind, start := document.text.index(word), start + len(word), word, 0.9)
                for kind, word in found
            ]
            result = AnnotatedDocument(document, task, tuple(trees))
            app.store.save_result(run, row, result=result, duration_s=0.0, position=place)
            review = get_review(app.database, run, row)
            reviews.perform(app.database, review, Action("finish"), author="王芳")
        app.store.finish_run(run, "done")
        return run

    return make
