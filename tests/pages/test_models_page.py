"""The page of models, run by Streamlit's test driver over the real application and a small network."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import model_services, reviews
from core.checkpoints import files
from core.checkpoints.corrections import LEAST
from core.config import ROOT
from core.review.actions import Action
from core.storage import tuning_store
from core.storage.review_queries import get_review
from core.types import AnnotatedDocument, Annotation, Document
from streamlit_app.i18n import LANGUAGE_KEY, catalogue
from streamlit_app.resources import application

VIEWS = ("list", "download", "compare", "tune")
WAIT_S = 60


@pytest.fixture
def page(tmp_path: Path, checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    for name in ("first", "second", "坏<b>*名"):
        shutil.copytree(checkpoint_dir, tmp_path / "models" / name)
    files.write_origin(tmp_path / "models" / "second", kind="tuned", base="first", licence="Apache License 2.0")
    (tmp_path / "model.json").write_text(f'{{"source": "{tmp_path / "models" / "first"}"}}', "utf-8")
    for name in ("REX_MODEL", "REX_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REX_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("REX_DEVICE", "cpu")
    application.clear()
    yield AppTest.from_file(str(ROOT / "streamlit_app" / "app.py"), default_timeout=WAIT_S).run()
    application.clear()


def opened(page: AppTest, view: str = "list") -> AppTest:
    page.session_state["models-view"] = view
    page.switch_page("../pages/models.py").run()
    assert not page.exception, page.exception
    return page


def words(page: AppTest) -> str:
    shown = [*page.markdown, *page.caption, *page.info, *page.warning, *page.error, *page.success]
    return "\n".join(str(one.value) for one in shown)


def press(page: AppTest, label: str, row: str = "") -> AppTest:
    """Press the button with these words in the row of a checkpoint."""
    place = [one.name for one in model_services.installed_checkpoints(application())].index(row) if row else 0
    names = {"换用": "use", "检查": "verify", "删除": "remove"}
    page.button(key=f"model-{place}-{names[label]}").click().run()
    assert not page.exception, page.exception
    return page


def review_some(count: int) -> int:
    """A run over so many documents, all reviewed."""
    app = application()
    documents = [Document(f"{n}号张三去了北京。", id=f"<i>{n}") for n in range(count)]
    run = app.store.start_run(
        task="ner", schema_id=None, schema={"人物": None}, model="m", revision="", dtype="", device="", threshold=0.5,
        total=count,
    )  # fmt: skip
    for place, (row, document) in enumerate(zip(app.store.add_documents(documents), documents, strict=True)):
        start = document.text.index("张三")
        found = (Annotation("人物", start, start + 2, "张三", 0.9),)
        app.store.save_result(run, row, result=AnnotatedDocument(document, "ner", found), duration_s=0, position=place)
        reviews.perform(app.database, get_review(app.database, run, row), Action("finish"), author="王芳")
    app.store.finish_run(run, "done")
    return run


def test_a_licence_stated_in_both_languages_is_told_in_that_of_the_session(page: AppTest) -> None:
    for language, told in (("zh", "使用条件： 仅供研究与评测]"), ("en", "for research and evaluation only]")):
        page.session_state[LANGUAGE_KEY] = language
        assert sum(told in line for line in words(opened(page)).splitlines()) == 1


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_view_is_drawn_empty_and_filled(page: AppTest, language: str) -> None:
    page.session_state[LANGUAGE_KEY] = language
    said = catalogue(language)
    for view in VIEWS:
        opened(page, view)
    assert said["models.few"] in words(page)
    review_some(LEAST)
    app = application()
    scores = {
        "task": "ner",
        "source": "corrections",
        "rows": 4,
        "precision": 0.5,
        "recall": 0.5,
        "f1": 0.5,
        "failed": 0,
    }
    ended = {"held_back_loss": 1.0, "held_back_f1": 0.5}
    facts = {"documents": 24, "held_back": 4, "runs": [1], "trained": []}
    for state in ("kept", "failed", "done"):
        number = tuning_store.create(
            app.own_database, name=f"新*{state}", source="first", options={}, data=facts, folder="/nowhere"
        )
        assert number is not None
        tuning_store.move(
            app.own_database, number, ("running",), state, error="显存不够" if state == "failed" else "",
            history=[{"step": 1, "epoch": 1, "loss": 2.0}, {"step": 2, "epoch": 1} | ended],
            scores={"before": [scores], "after": [scores | {"f1": 0.75}], "epoch": 1, "steps": 2, "seconds": 3.0},
        )  # fmt: skip
    for view in VIEWS:
        opened(page, view)
    assert "显存不够" in words(page) and r"新\*done" in words(page)
    assert said["models.few"] not in words(page)
    assert page.dataframe[0].value["change"].tolist() == [0.25]


def test_the_list_marks_the_one_in_use_and_changes_it_for_everybody(page: AppTest) -> None:
    opened(page)
    shown = words(page)
    assert r"坏<b>" not in shown and r"坏\<b\>\*名" in shown and "Apache License 2" in shown.replace("\\", "")
    press(page, "换用", "second")
    app = application()
    assert app.settings.model_source.endswith("/models/second")
    assert any("second" in one.value for one in page.metric)
    press(page, "换用", "first")
    press(page, "删除", "second")
    assert not (app.settings.data_dir / "models" / "second").exists()


def test_a_check_shows_each_step(page: AppTest) -> None:
    opened(page)
    press(page, "检查", "first")
    work = application().works.last(model_services.VERIFY)
    assert work is not None and work.wait(WAIT_S)
    page.run()
    assert "名称与形状都符合" in words(page) and not page.exception


def test_two_checkpoints_are_compared_on_a_text(page: AppTest) -> None:
    opened(page, "compare")
    page.button(key="models-compare-text").click().run()
    work = application().works.last(model_services.COMPARE)
    assert work is not None and work.wait(WAIT_S) and work.state == "done", work
    page.run()
    assert not page.exception
    assert "两边相同的" in words(page)


@pytest.mark.slow
def test_an_unreachable_hub_is_told_with_the_way_round(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", "http://127.0.0.1:9")
    opened(page, "download")
    page.text_input(key="models-id").set_value("someone/something")
    next(one for one in page.button if one.label == "下载").click().run()
    work = application().works.last(model_services.DOWNLOAD)
    deadline = time.monotonic() + WAIT_S
    assert work is not None
    while work.state == "running" and time.monotonic() < deadline:
        time.sleep(0.1)
    page.run()
    assert not page.exception
    assert "无法从 ModelScope 取得模型" in words(page) and "REX" in words(page)
