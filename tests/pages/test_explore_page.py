"""The page that explores stored findings, over a real database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import reviews
from core.config import ROOT
from core.evaluation.corrections import NOTHING, judge
from core.review.actions import Action
from core.storage.review_queries import get_review, reviewed_pairs, reviewed_runs
from core.types import AnnotatedDocument, Annotation, Document
from streamlit_app.components.explore_charts import bars, heat, histogram
from streamlit_app.components.explore_dates import DAY, MONTH, WEEK, YEAR, begin_of, fitting_unit, read_date, series
from streamlit_app.components.explore_views import VIEWS
from streamlit_app.resources import application

EVIL = "张伟<img src=x>"
TEXT = f"{EVIL}在合肥\n买了冰箱，冰箱很好。"


@pytest.fixture
def page(tmp_path: Path, checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    monkeypatch.setenv("REX_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("REX_MODEL", str(checkpoint_dir))
    monkeypatch.setenv("REX_DEVICE", "cpu")
    application.clear()
    yield AppTest.from_file(str(ROOT / "pages" / "explore.py"), default_timeout=60)
    application.clear()


def store(*documents: Document) -> tuple[int, list[int]]:
    kept = application().store
    facts = {"model": "m", "revision": "", "dtype": "float32", "device": "cpu", "threshold": 0.5}
    run = kept.start_run(task="absa", schema_id=None, schema={"人物": None}, total=len(documents), **facts)
    ids = kept.add_documents(documents)
    for place, (number, document) in enumerate(zip(ids, documents, strict=True)):
        text = document.text
        start = text.index("冰箱很")
        child = Annotation("正向情感(情感词)", start + 2, start + 4, "很好", 0.7)
        trees = (
            Annotation("人物", 0, len(EVIL), EVIL, 0.9),
            Annotation("属性词", start, start + 2, "冰箱", 0.8, (child,)),
        )
        kept.save_result(run, number, result=AnnotatedDocument(document, "absa", trees), duration_s=0.1, position=place)
    kept.finish_run(run, "done")
    return run, ids


def two() -> tuple[int, list[int]]:
    return store(
        Document(TEXT, id="甲", metadata={"日期": "2024-09-22"}), Document(TEXT + "。", metadata={"日期": "?"})
    )


def test_without_runs_the_page_says_what_to_do(page: AppTest) -> None:
    page.run()
    assert not page.exception and "还没有可以探索的结果" in page.info[0].value


@pytest.mark.parametrize("view", [*VIEWS, "quality"])
def test_every_view_is_drawn_and_shows_no_markup(page: AppTest, view: str) -> None:
    two()
    page.session_state["explore-view"] = view
    page.run()
    assert not page.exception and not page.error
    assert not any("<img" in part.value for part in page.html)
    drawn = {"context": "html", "documents": "dataframe", "quality": "info"}.get(view, "plotly_chart")
    assert page.dataframe if drawn == "dataframe" else page.get(drawn)


def test_filters_narrow_what_is_listed(page: AppTest) -> None:
    two()
    page.session_state["explore-view"] = "context"
    page.run()
    page.multiselect(key="explore-types").set_value(["人物"]).run()
    assert "2" in page.caption[-1].value and "属性词" not in page.html[-1].value
    page.selectbox(key="explore-key").set_value("日期").run()
    page.selectbox(key="explore-value").set_value("2024-09-22").run()
    assert page.html[-1].value.count("<tr>") == 1
    page.text_input(key="explore-contains").set_value("没有这个").run()
    assert "没有符合条件" in page.info[-1].value


def test_any_word_is_found_in_its_context_with_links_to_document_and_review(page: AppTest) -> None:
    run, ids = two()
    page.session_state["explore-view"] = "context"
    page.run()
    page.text_input(key="explore-word").set_value("冰箱").run()
    shown = page.html[-1].value
    assert shown.count("<tr>") == 4 and "↵" in shown
    assert f"documents?document={ids[0]}" in shown and f"review?run={run}&document={ids[0]}" in shown


def test_the_address_chooses_the_run(page: AppTest) -> None:
    first, _ = two()
    two()
    page.query_params["run"] = str(first)
    page.run()
    assert page.multiselect(key="explore-runs").value == [first]


def test_reviewed_documents_give_scores_for_each_type_and_the_confusion(page: AppTest) -> None:
    run, ids = two()
    database = application().database
    review = get_review(database, run, ids[0])
    review = reviews.perform(database, review, Action("retype", id=0, type="顾客"), author="王芳")
    review = reviews.perform(database, review, Action("add", type="地点", places=((16, 18),)), author="王芳")
    reviews.perform(database, review, Action("finish"), author="王芳")
    quality = judge(reviewed_pairs(database, run))
    assert quality.documents == 1 and (quality.total.correct, quality.total.gold, quality.total.predicted) == (2, 4, 3)
    assert quality.by_type["人物"].precision == 0 and quality.by_type["属性词"].f1 == 1
    assert quality.confusion["人物", "顾客"] == 1 and quality.confusion[NOTHING, "地点"] == 1
    page.session_state["explore-view"] = "quality"
    page.run()
    assert not page.exception and page.metric[0].value == f"{2 / 3:.3f}" and page.get("plotly_chart")


def test_an_empty_view_offers_a_run_that_fits_and_to_clear_the_filters(page: AppTest) -> None:
    opinions, _ = two()
    kept = application().store
    facts = {"model": "m", "revision": "", "dtype": "float32", "device": "cpu", "threshold": 0.5}
    names = kept.start_run(task="ner", schema_id=None, schema={"人物": None}, total=1, **facts)
    document = Document("姚明来了")
    [number] = kept.add_documents([document])
    found = AnnotatedDocument(document, "ner", (Annotation("人物", 0, 2, "姚明", 0.9),))
    kept.save_result(names, number, result=found, duration_s=0.1)
    kept.finish_run(names, "done")
    page.session_state["explore-view"] = "relations"
    page.run()
    assert page.multiselect(key="explore-runs").value == [names] and not page.get("plotly_chart")
    page.text_input(key="explore-contains").set_value("没有这个").run()
    page.button(key="explore-clear").click().run()
    assert page.text_input(key="explore-contains").value == ""
    page.button(key=f"explore-fitting-{opinions}").click().run()
    assert page.multiselect(key="explore-runs").value == [opinions]
    assert page.get("plotly_chart") and not page.exception


def test_an_unreviewed_run_offers_one_that_was_reviewed(page: AppTest) -> None:
    first, ids = two()
    second, _ = two()
    page.session_state["explore-view"] = "quality"
    page.run()
    assert not [one for one in page.button if one.key.startswith("explore-fitting")]
    database = application().database
    reviews.perform(database, get_review(database, first, ids[0]), Action("finish"), author="王芳")
    assert reviewed_runs(database) == {first}
    page.run()
    page.button(key=f"explore-fitting-{first}").click().run()
    assert page.multiselect(key="explore-runs").value == [first] and page.metric and not page.exception


@pytest.mark.parametrize(
    "value",
    ["2024-09-22", "2024/9/22", "2024.9.22", "2024年9月22日", "20240922", "2024-09-22T08:00:00", "2024-9-22 8:00"],
)
def test_dates_are_read_in_the_forms_that_people_write(value: str) -> None:
    assert read_date(value) == date(2024, 9, 22)


@pytest.mark.parametrize("value", ["", "昨天", "2024-13-01", "12345678901", "9月22日", "2024-09-22x"])
def test_what_is_no_date_is_not_taken_for_one(value: str) -> None:
    assert read_date(value) is None


def test_findings_are_summed_over_stretches_of_time_and_lost_ones_counted() -> None:
    rows = [("2024-09-22", "甲", 2), ("2024年9月", "甲", 3), ("无", "甲", 5), ("2025", "乙", 1)]
    found, unit, lost = series(rows, MONTH)
    assert found == {"甲": {date(2024, 9, 1): 5}, "乙": {date(2025, 1, 1): 1}} and (unit, lost) == (MONTH, 5)
    assert begin_of(date(2024, 9, 22), WEEK) == date(2024, 9, 16)
    ends = (date(2024, 2, 1), date(2024, 9, 1), date(2040, 1, 1))
    assert [fitting_unit([date(2024, 1, 1), end]) for end in ends] == [DAY, WEEK, YEAR]


def test_names_in_figures_are_escaped() -> None:
    evil = "<b>x</b>"
    for drawing in (bars({evil: [(evil, 1)]}), histogram({evil: [1] * 20}), heat([evil], [evil], {(evil, evil): 1})):
        assert "<b>x" not in str(drawing.to_plotly_json())
