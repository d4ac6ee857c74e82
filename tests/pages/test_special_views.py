"""What task pages have of their own: words pressed in the text, questions, pairs, arcs, long texts, the report."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.job_services import wait_for_jobs
from core.schemas.schema import Schema, parse_schema
from core.storage import queries
from core.types import AnnotatedDocument, Annotation, Document
from core.views.findings import Triple
from core.views.word_marks import CANDIDATE, Mark, turn
from streamlit_app.components.relation_graph import figure
from streamlit_app.i18n import catalogue
from streamlit_app.resources import application

ROOT = Path(__file__).resolve().parents[2]
WORDS = catalogue("zh")
PATIENCE_S = 60


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, checkpoint_dir: Path) -> Iterator[None]:
    """One application for all tests of this file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REX_DATA_DIR", str(tmp_path_factory.mktemp("desk")))
        patch.setenv("REX_MODEL", str(checkpoint_dir))
        patch.setenv("REX_DEVICE", "cpu")
        patch.setenv("REX_THRESHOLD", "0.9")
        application.clear()
        yield
        application.clear()


@pytest.fixture
def desk(house: None) -> AppTest:
    return AppTest.from_file(str(ROOT / "streamlit_app" / "app.py"), default_timeout=PATIENCE_S)


def go(desk: AppTest, page: str) -> AppTest:
    desk.run()
    desk.switch_page(f"../pages/{page}.py").run()
    assert not desk.exception
    return desk


def press_run(desk: AppTest, task: str) -> None:
    desk.button(key=f"{task}-run").click().run()
    jobs = desk.session_state[f"{task}-job"]
    assert wait_for_jobs(application(), jobs if isinstance(jobs, tuple) else [jobs], PATIENCE_S)
    desk.run()
    assert not desk.exception


def captions(desk: AppTest) -> str:
    return "\n".join(one.value for one in desk.caption)


def drawn(result: AnnotatedDocument, schema: Schema | None = None) -> AppTest:
    """One result drawn by itself."""

    def script(result, schema):  # type: ignore[no-untyped-def]  # its source is run without the imports of this file
        from streamlit_app.components.drawing import draw

        draw(result, schema=schema, key="one")

    return AppTest.from_function(script, kwargs={"result": result, "schema": schema}, default_timeout=PATIENCE_S).run()


def html_of(desk: AppTest) -> str:
    return "".join(part.value for part in desk.get("html"))


def test_all_pronouns_are_judged_against_all_candidates_without_a_mark_in_the_text(desk: AppTest) -> None:
    go(desk, "coreference")
    text = "小王把书给了小李，他说他看完了。"
    desk.text_area(key="coref-text").set_value(text).run()
    marks = desk.session_state["coref-marks"]
    for start in (0, 6):
        marks = turn(marks, Mark(start, start + 2, CANDIDATE))
    desk.session_state["coref-marks"] = marks
    desk.button(key="coref-mark-all").click().run()
    assert "将判断 4 对" in captions(desk)
    press_run(desk, "coref")
    [result] = queries.load_results(application().database, desk.session_state["coref-job"])
    assert [one.text for one in result.document.candidates] == ["小王", "小李"]
    assert [one.start for one in result.document.pronouns] == [9, 11]
    assert result.document.text == text
    desk.button(key="coref-mark-none").click().run()
    assert "代词 2 个：先找名称，再判断至多 12 对。候选词由模型自动查找" in captions(desk).replace(" 候", "候")
    assert not desk.button(key="coref-run").disabled, "what is not marked is looked for"


def test_the_model_finds_candidates_to_press(desk: AppTest) -> None:
    go(desk, "coreference")
    desk.text_area(key="coref-text").set_value("张伟在南京大学说他很好。").run()
    desk.button(key="coref-mark-find").click().run()
    [run] = queries.list_runs(application().database)[:1]
    assert wait_for_jobs(application(), [run.id], PATIENCE_S)
    desk.run()
    assert not desk.exception
    runs = queries.list_runs(application().database)
    assert runs[0].task == "ner", "it is a job like any other"
    spans = [one for one in desk.session_state["coref-marks"].marks if one.kind == CANDIDATE]
    assert all(not one.on for one in spans), "they are offered, not taken"
    assert bool(spans) is bool(runs[0].annotations)


def test_questions_are_written_in_a_form_and_options_make_a_choice(desk: AppTest) -> None:
    go(desk, "reading")
    for row in list(desk.session_state["mrc-question-rows"])[1:]:
        desk.button(key=f"mrc-question-remove-{row}").click().run()
    [first] = desk.session_state["mrc-question-rows"]
    desk.text_input(key=f"mrc-question-{first}").set_value("谁|获胜？").run()
    desk.button(key="mrc-question-add").click().run()
    second = desk.session_state["mrc-question-rows"][-1]
    desk.text_input(key=f"mrc-question-{second}").set_value("天气如何？").run()
    assert desk.session_state["mrc-questions"] == "谁 获胜？\n天气如何？"
    desk.get_by_key("mrc-questions-view").set_value("lines").run()
    desk.text_area(key="mrc-questions").set_value("谁 获胜？\n天气如何？ | 晴 | 雨").run()
    desk.get_by_key("mrc-questions-view").set_value("form").run()
    rows = desk.session_state["mrc-question-rows"]
    assert desk.multiselect(key=f"mrc-options-{rows[1]}").value == ["晴", "雨"]
    press_run(desk, "mrc")
    run = queries.list_runs(application().database)[0]
    assert run.schema == {"谁 获胜？": None, "天气如何？": {"晴": None, "雨": None}}


def test_pairs_of_a_file_are_read_from_the_columns_chosen(desk: AppTest) -> None:
    go(desk, "matching")
    desk.get_by_key("matching-source").set_value("file").run()
    table = "甲,乙,备注\n怎么改密码,密码在哪改,x\n几点开门,怎么退款,y\n"
    desk.file_uploader(key="matching-upload").upload("问句.csv", table.encode("gb18030")).run()
    [first] = [box for box in desk.selectbox if str(box.key).startswith("matching-text-")]
    [second] = [box for box in desk.selectbox if str(box.key).startswith("matching-pair-")]
    first.set_value("乙")
    second.set_value("甲").run()
    assert not desk.error and not desk.warning
    press_run(desk, "matching")
    job = desk.session_state["matching-job"]
    results = queries.load_results(application().database, job)
    assert [(one.document.text, one.document.text_pair) for one in results] == [
        ("密码在哪改", "怎么改密码"), ("怎么退款", "几点开门"),
    ]  # fmt: skip
    [view] = [one.key for one in desk.get("button_group") if str(one.key).endswith(f"{job}-view")]
    desk.get_by_key(view).set_value("all").run()
    [frame] = [one.value for one in desk.dataframe if "verdict" in one.value.columns]
    assert list(frame["text_pair"]) == ["怎么改密码", "几点开门"]
    assert {"verdict", "score", "near"} <= set(frame.columns)


def test_relations_are_arcs_or_marked_text_with_types_to_switch_off() -> None:
    text = "张三娶李四"
    child = Annotation("配偶(人物)", 3, 5, "李四", 0.8)
    result = AnnotatedDocument(Document(text), "re", (Annotation("人物", 0, 2, "张三", 0.9, (child,)),))
    page = drawn(result)
    assert not page.exception
    assert "2 处，1 条连线" in captions(page)
    assert page.dataframe[0].value["relation"].tolist() == ["配偶"]
    page.get_by_key("one-as").set_value("text").run()
    assert "张三</span>" in html_of(page)
    [pills] = [one for one in page.get("button_group") if "-types-" in str(one.key)]
    page.get_by_key(str(pills.key)).set_value(["人物"]).run()
    assert "配偶(人物)" not in html_of(page) and 'title="人物　0.90">张三' in html_of(page)


def test_events_that_share_an_argument_are_joined_in_a_graph() -> None:
    text = "甲公司收购乙公司，甲公司起诉<b>丙</b>，收购"
    buyer, other = Annotation("收购方", 0, 3, "甲公司", 0.9), Annotation("被收购方", 5, 8, "乙公司", 0.8)
    plaintiff, accused = Annotation("原告", 9, 12, "甲公司", 0.9), Annotation("被告", 14, 22, "<b>丙</b>", 0.7)
    events = (
        Annotation("收购(事件触发词)", 3, 5, "收购", 0.9, (buyer, other)),
        Annotation("诉讼(事件触发词)", 12, 14, "起诉", 0.9, (plaintiff, accused)),
        Annotation("收购(事件触发词)", 23, 25, "收购", 0.6),
    )
    page = drawn(AnnotatedDocument(Document(text), "ee", events))
    assert not page.exception
    assert "3 个事件，3 个论元，其中 1 个为几个事件共有" in captions(page)
    [chart] = page.get("plotly_chart")
    spec = json.loads(chart.proto.spec)
    nodes = [name for trace in spec["data"] for name in trace["text"]]
    assert sorted(nodes) == sorted(
        ["收购 · 收购 1", "收购 · 收购 2", "诉讼 · 起诉", "甲公司", "乙公司", "&lt;b&gt;丙&lt;/b&gt;"]
    )
    said = [one["text"] for one in spec["layout"]["annotations"] if one.get("text")]
    assert sorted(said) == sorted(["原告", "收购方", "被告", "被收购方", *nodes])


def test_no_two_nodes_of_a_crowded_graph_come_near_to_one_another() -> None:
    people = [Annotation("人物", 2 * number, 2 * number + 2, f"甲{number}", 0.9) for number in range(6)]
    found = [Triple(one, "认识", replace(other, score=0.5)) for one in people for other in people]
    drawing = figure(found).to_dict()
    [nodes] = drawing["data"]
    places = list(zip(nodes["x"], nodes["y"], strict=True))
    assert min(math.dist(one, other) for one, other in itertools.combinations(places, 2)) > 0.3
    said = [one for one in drawing["layout"]["annotations"] if one.get("text")]
    assert len(said) == len(found) + len(people), "every arrow and every node is named, one to itself too"


def test_a_hierarchy_is_a_tree_and_rings_of_all_that_was_asked() -> None:
    football = Annotation("足球", None, None, "", 0.8)
    result = AnnotatedDocument(Document("文"), "hierarchy", (Annotation("体育", None, None, "", 0.9, (football,)),))
    page = drawn(result, parse_schema({"体育": {"足球": None, "篮球": None}, "财经": {"股票": None}}))
    assert not page.exception
    assert "篮球" in html_of(page)
    [chart] = page.get("plotly_chart")
    rings = json.loads(chart.proto.spec)["data"][0]
    assert rings["labels"] == ["体育", "足球", "篮球", "财经", "股票"]
    assert rings["values"] == [2, 1, 1, 1, 1]


LONG = 20_000


def long_result(task: str) -> AnnotatedDocument:
    """20,000 characters with 2,000 spans; in relations every other span stands below the one before."""
    text = ("甲乙在丙丁工作，" * (LONG // 8)).replace("，甲乙在丙丁工作，甲乙", "。甲乙在丙丁工作，甲乙")
    assert len(text) == LONG
    starts = range(0, LONG, 20)
    found = []
    for start in starts:
        head = Annotation("人物", start, start + 2, text[start : start + 2], 0.9)
        other = Annotation("地点", start + 3, start + 5, text[start + 3 : start + 5], 0.8)
        below = Annotation("任职(机构)", start + 3, start + 5, text[start + 3 : start + 5], 0.8)
        found += [head, other] if task == "ner" else [Annotation("人物", start, start + 2, head.text, 0.9, (below,))]
    return AnnotatedDocument(Document(text), task, tuple(found))


@pytest.mark.parametrize("task", ["ner", "re"])
def test_a_text_of_20_000_characters_is_drawn_page_by_page_and_says_so(task: str) -> None:
    result = long_result(task)
    page = drawn(result)
    assert not page.exception
    [leaf] = [one for one in page.get("pagination")]
    said = captions(page)
    if task == "ner":
        assert "全文 20,000 字" in said and "共 2,000 处" in said
        assert html_of(page).count("rex-chip") < 700, "only what is shown is sent"
        page.get_by_key(str(leaf.key)).set_value(2).run()
        assert captions(page) != said
    else:
        assert "2,000 处，1,000 条连线" in said and "本页为第" in said


def test_the_overview_is_a_report_with_figures_and_a_file(desk: AppTest) -> None:
    go(desk, "overview")
    press_run(desk, "overview")
    assert "desk-figures" in html_of(desk)
    assert WORDS["report.download"] in [button.proto.label for button in desk.get("download_button")]
    assert len([one for one in desk.subheader]) >= 9
