"""The desk gives files of the server to a batch and follows it; its process is its own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import batch_services, bootstrap
from core.access.principal import Principal
from core.bootstrap import Application
from core.config import Settings
from core.errors import AccessError, InputError, SchemaError, StorageError
from core.storage import batch_store
from streamlit_app.resources import application

SCHEMA = {"人物": None, "地理位置": None}


@pytest.fixture
def app(settings: Settings, checkpoint_dir: Path) -> Iterator[Application]:
    application.clear()
    app = bootstrap.build(settings)
    yield app
    app.close()
    application.clear()


def put(app: Application, name: str, rows: int) -> Path:
    path = batch_services.batch_folder(app) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"id": f"d{n}", "text": f"{n}：刘志诚在广州市。"}, ensure_ascii=False) for n in range(rows)]
    path.write_text("\n".join(lines), "utf-8")
    return path


@pytest.mark.slow
def test_a_batch_is_started_followed_and_ends_with_its_files(app: Application) -> None:
    put(app, "reports/a.jsonl", 30)
    put(app, "reports/b.jsonl", 5)
    (batch_services.batch_folder(app) / "readme.txt").write_text("x")
    assert batch_services.find_inputs(app) == ["reports/", "reports/a.jsonl", "reports/b.jsonl"]
    number = batch_services.submit_batch(app, input="reports/", task="ner", schema=SCHEMA, threshold=0.2)
    assert batch_services.list_batches(app)[0].active
    with pytest.raises(StorageError, match="正在运行"):
        batch_services.resume_batch(app, number)
    batch = batch_services.wait_for_batch(app, number, 120)
    assert (batch.state, batch.progress["done"], batch.error) == ("done", 35, "")
    output = batch_services.batch_folder(app) / batch.output
    rows = [json.loads(line) for path in output.glob("part-*") for line in path.read_text("utf-8").splitlines()]
    assert len({(row["name"], row["id"]) for row in rows}) == len(rows) == 35
    batch_services.forget_batch(app, number)
    assert not batch_services.list_batches(app) and output.is_dir()


@pytest.mark.slow
def test_a_batch_is_stopped_and_goes_on_where_it_was(app: Application) -> None:
    put(app, "many.jsonl", 4000)
    number = batch_services.submit_batch(app, input="many.jsonl", task="ner", schema=SCHEMA)
    deadline = time.monotonic() + 120
    while not batch_services.list_batches(app)[0].progress.get("parts_done") and time.monotonic() < deadline:
        time.sleep(0.05)
    batch_services.cancel_batch(app, number)
    stopped = batch_services.wait_for_batch(app, number, 60)
    assert stopped.state == "cancelled" and 0 < stopped.progress["done"] < 4000
    with pytest.raises(StorageError, match="没有在运行"):
        batch_services.cancel_batch(app, number)
    batch_services.resume_batch(app, number)
    ended = batch_services.wait_for_batch(app, number, 240)
    assert ended.state == "done" and ended.progress["resumed"] > 0 and ended.progress["done"] == 4000


def test_a_process_that_ended_without_a_word_is_noticed(app: Application) -> None:
    number = batch_store.add_batch(app.database, input="x", output="results/{id}", task="ner", schema={}, options={})
    batch_store.note_batch(app.database, number, state="running", process="1/1.00", progress={"rows": 9, "done": 3})
    (batch,) = batch_services.list_batches(app)
    assert batch.state == "failed" and "意外退出" in batch.error and batch.progress["done"] == 3
    assert batch.output == f"results/{number}"


def test_only_files_of_the_folder_can_be_given(app: Application, tmp_path: Path) -> None:
    (tmp_path / "secret.jsonl").write_text('{"text": "x"}')
    (batch_services.batch_folder(app) / "link.jsonl").symlink_to(tmp_path / "secret.jsonl")
    for path in ("../secret.jsonl", str(tmp_path / "secret.jsonl"), "link.jsonl", "", ".", "missing.jsonl"):
        with pytest.raises(InputError, match="批量处理的文件夹"):
            batch_services.submit_batch(app, input=path, task="ner", schema=SCHEMA)
    put(app, "a.jsonl", 1)
    put(app, "sub/b.jsonl", 1)
    assert batch_services.find_inputs(app) == ["a.jsonl", "sub/", "sub/b.jsonl"]
    with pytest.raises(SchemaError):
        batch_services.submit_batch(app, input="a.jsonl", task="ner", schema={})
    assert not batch_services.list_batches(app)


def test_only_those_who_run_the_desk_may(settings: Settings, checkpoint_dir: Path) -> None:
    app = bootstrap.build(settings, identify=lambda: Principal(user_id=7, name="a", role="analyst"))
    try:
        put(app, "a.jsonl", 1)
        assert not batch_services.may_batch(app) and not batch_services.list_batches(app)
        for act in (
            lambda: batch_services.submit_batch(app, input="a.jsonl", task="ner", schema=SCHEMA),
            lambda: batch_services.cancel_batch(app, 1),
            lambda: batch_services.resume_batch(app, 1),
            lambda: batch_services.forget_batch(app, 1),
        ):
            with pytest.raises(AccessError):
                act()
    finally:
        app.close()


def draw() -> None:
    from streamlit_app.components.batch_jobs import batch_jobs
    from streamlit_app.resources import application

    batch_jobs(application())


def test_without_ray_the_page_says_how_to_add_it_and_no_batch_is_given_to_it(
    app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(app, "a.jsonl", 1)
    for address in ("10.0.0.5", "-x:1", "host:port", "a b:1"):
        with pytest.raises(InputError, match="主机:端口"):
            batch_services.submit_batch(app, input="a.jsonl", task="ner", schema=SCHEMA, ray=address)
    monkeypatch.setattr("core.cluster.ray_start.available", lambda: False)
    with pytest.raises(InputError, match="pip install -r requirements-ray.txt"):
        batch_services.submit_batch(app, input="a.jsonl", task="ner", schema=SCHEMA, ray="host:6379")
    page = AppTest.from_function(draw, default_timeout=60).run()
    assert any("pip install -r requirements-ray.txt" in one.value for one in page.caption)
    assert not batch_services.list_batches(app)


def test_the_page_starts_a_batch_and_shows_how_far_it_is(app: Application) -> None:
    put(app, "投诉.jsonl", 12)
    page = AppTest.from_function(draw, default_timeout=60).run()
    assert not page.exception and page.selectbox(key="batch-input").options == ["投诉.jsonl"]
    page.button(key="batch-start").click().run()
    assert not page.exception
    (batch,) = batch_services.list_batches(app)
    assert batch_services.wait_for_batch(app, batch.id, 120).state == "done"
    page.run()
    assert not page.exception and page.button(key=f"batch-{batch.id}-forget")
    assert any("results/1-ner" in one.value.replace("\\", "") for one in page.caption)
    page.button(key=f"batch-{batch.id}-forget").click().run()
    assert not page.exception and not batch_services.list_batches(app)
