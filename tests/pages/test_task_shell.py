"""What all task pages share, with the included model: the slider, why it is empty, code, inputs, the schema editor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit
from streamlit.testing.v1 import AppTest

from core.config import EMBEDDED_MODEL
from core.job_services import wait_for_jobs
from core.schemas.schema import parse_schema
from core.storage import queries
from core.types import Document
from streamlit_app.components import schema_editor, stored_results
from streamlit_app.resources import application

ROOT = Path(__file__).resolve().parents[2]
TEXT = "姚明曾效力于休斯敦火箭队，现任中国篮球协会主席，昨天在上海出席了活动。"

LEAK = "昨日下午，某化工厂因<b>管道老化</b>发生泄漏，三名工人受伤，厂方已停产整改，应急部门要求全市排查。"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppTest]:
    if not (EMBEDDED_MODEL / "config.json").is_file():
        pytest.skip(f"no checkpoint in {EMBEDDED_MODEL}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REX_DATA_DIR", str(tmp_path_factory.mktemp("desk")))
        patch.setenv("REX_MODEL", str(EMBEDDED_MODEL))
        patch.setenv("REX_DEVICE", "cpu")
        application.clear()
        yield AppTest.from_file(str(ROOT / "streamlit_app" / "app.py"), default_timeout=60).run()
        application.clear()


def ask(desk: AppTest, schema: Any, text: str = TEXT, *, threshold: float = 0.5) -> int:
    """Open the page of entities, paste a schema, type a text, run; the number of the job."""
    desk.switch_page("../pages/entities.py").run()
    desk.get_by_key("ner-source").set_value("text").run()
    desk.slider(key="ner-threshold").set_value(threshold)
    desk.text_area(key="ner-text").set_value(text)
    paste(desk, json.dumps(schema, ensure_ascii=False))
    return run(desk)


def paste(desk: AppTest, written: str) -> None:
    desk.text_area(key="ner-schema-paste").set_value(written)
    desk.button(key="ner-schema-paste-take").click().run()
    assert not desk.exception


def run(desk: AppTest, task: str = "ner") -> int:
    desk.button(key=f"{task}-run").click().run()
    job = desk.session_state[f"{task}-job"]
    assert wait_for_jobs(application(), [job], 60)
    desk.run()
    assert not desk.exception
    return int(job)


def shown(desk: AppTest) -> list[str]:
    frames = [frame.value for frame in desk.dataframe if "score" in frame.value]
    return [str(word) for frame in frames for word in frame["text"]]


def revealed_caption(desk: AppTest) -> bool:
    return any("低于运行阈值的候选" in part.value for part in desk.caption)


def lines(desk: AppTest) -> str:
    return "".join(part.value for part in desk.html if "desk-near" in part.value)


def test_the_slider_filters_what_was_found_and_reveals_candidates_without_another_run(desk: AppTest) -> None:
    job = ask(desk, ["球员", "国家", "城市", "赛事", "身份"])
    found = shown(desk)
    assert {"姚明", "上海"} <= set(found) and not revealed_caption(desk)
    (result,) = queries.load_results(application().database, job)
    scores = sorted(one.score for one in result.annotations)
    middle = min(round(scores[len(scores) // 2], 2), 0.99)
    desk.slider(key="ner-threshold").set_value(middle).run()
    assert len(shown(desk)) == sum(one.score > middle for one in result.annotations) < len(found)
    desk.slider(key="ner-threshold").set_value(0.05).run()
    assert set(shown(desk)) == set(found) and revealed_caption(desk)
    near = [one for one in result.candidates if one.annotation.score <= 0.5]
    assert near and all(f"{one.annotation.score:.2f}" in lines(desk) for one in near[:5])
    assert queries.count_runs(application().database) == 1


def test_an_empty_answer_is_explained_and_its_buttons_lower_the_slider_and_rename_the_type(desk: AppTest) -> None:
    job = ask(desk, ["原因", "负责人", "人名"], LEAK, threshold=0.9)
    (result,) = queries.load_results(application().database, job)
    best = max(one.annotation.score for one in result.candidates)
    assert not result.annotations and lines(desk).count("<mark") >= 3
    assert "<b>" not in lines(desk) and "&lt;b&gt;" in lines(desk)
    desk.button(key=f"ner-{job}-why-0-lower").click().run()
    assert 0.05 < desk.slider(key="ner-threshold").value < best
    assert any(f"{best:.2f}" in part.value for part in desk.html)
    number = next(n for n in range(3) if any(one.key == f"ner-{job}-why-{n}-rename" for one in desk.button))
    desk.button(key=f"ner-{job}-why-{number}-rename").click().run()
    assert list(desk.session_state["ner-schema"].to_dict()) == ["原因", "负责人", "人物"]
    assert list(json.loads(desk.session_state["ner-schema-json"])) == ["原因", "负责人", "人物"]


def test_a_run_is_offered_as_code_for_review_and_in_every_format(desk: AppTest) -> None:
    job = ask(desk, ["人物"])
    command, script = (part.value for part in desk.code)
    assert command.startswith("python -m core annotate --task ner --schema") and TEXT in command
    assert "services.annotate(app, documents" in script
    assert len(desk.selectbox(key=f"ner-{job}-download-format").options) > 10
    desk.text_input(key=f"ner-{job}-actions-save-name").set_value("我的人物").run()
    desk.button(key=f"ner-{job}-actions-save-do").click().run()
    assert queries.schema_versions(application().database, "我的人物")[0].body == {"人物": None}


def test_many_texts_and_stored_documents_are_read(desk: AppTest) -> None:
    desk.switch_page("../pages/entities.py").run()
    desk.get_by_key("ner-source").set_value("lines").run()
    desk.text_area(key="ner-lines").set_value("张三在北京。\n\n 李四去了上海。 \n王五住在广州。").run()
    job = run(desk)
    found = [one.document.text for one in queries.load_results(application().database, job)]
    assert found == ["张三在北京。", "李四去了上海。", "王五住在广州。"]
    application().store.add_documents([Document("赵六在成都吃火锅。", id="库"), Document("无关的一篇。")])
    desk.get_by_key("ner-source").set_value("stored").run()
    desk.text_input(key="ner-stored-words").set_value("火锅").run()
    job = run(desk)
    assert [one.document.id for one in queries.load_results(application().database, job)] == ["库"]
    desk.switch_page("../pages/jobs.py").run()
    desk.switch_page("../pages/entities.py").run()
    assert desk.text_input(key="ner-stored-words").value == "火锅"


def test_only_stored_documents_with_a_second_text_are_pairs_and_more_than_a_page_holds_lead_elsewhere(
    desk: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_results, "MOST_DOCUMENTS", 1)
    pairs = [Document(f"怎么退款{number}", id=f"对{number}", text_pair="如何退钱") for number in range(2)]
    application().store.add_documents([*pairs, Document("单独一篇。", id="单"), Document("空的", text_pair="")])
    desk.switch_page("../pages/matching.py").run()
    desk.get_by_key("matching-source").set_value("stored").run()
    job = run(desk, "matching")
    assert [one.document.id for one in queries.load_results(application().database, job)] == ["对1", "对0"]
    assert any("复核修正" in one.value for one in desk.info)
    assert f"--job {job} " in desk.code[0].value


def test_pasted_json_is_mended_and_the_mending_is_told(desk: AppTest) -> None:
    desk.switch_page("../pages/entities.py").run()
    paste(desk, "{“药物”：null，'剂量': None,}")
    assert desk.session_state["ner-schema"].to_dict() == {"药物": None, "剂量": None}
    assert any("逗号" in part.value for part in desk.info)
    paste(desk, '{"药物": ')
    assert "JSON" in desk.error[0].value
    assert desk.session_state["ner-schema"].to_dict() == {"药物": None, "剂量": None}


def test_steps_of_editing_are_undone_and_redone_and_reach_the_json(monkeypatch: pytest.MonkeyPatch) -> None:
    state: dict[str, Any] = {}
    monkeypatch.setattr(streamlit, "session_state", state)
    schema_editor.put_schema("re", {"人物": {"职务": None}, "地点": None})
    steps: list[dict[str, Any]] = [
        {"op": "add", "path": [], "name": "时间"},
        {"op": "in", "path": ["地点"]},
        {"op": "up", "path": ["人物", "地点"]},
        {"op": "duplicate", "path": ["时间"]},
        {"op": "rename", "path": ["时间2"], "name": "日期"},
        {"op": "place", "path": ["日期"], "above": ["人物"], "index": 0},
        {"op": "delete", "path": ["人物", "职务"]},
    ]
    bodies = [json.dumps(state["re-schema"].to_dict(), ensure_ascii=False)]
    for step in steps:
        schema_editor.apply_step("re", step)
        bodies.append(json.dumps(state["re-schema"].to_dict(), ensure_ascii=False))
        assert json.dumps(json.loads(state["re-schema-json"]), ensure_ascii=False) == bodies[-1]
    assert json.loads(bodies[-1]) == {"人物": {"日期": None, "地点": None}, "时间": None}
    for body in reversed(bodies[:-1]):
        schema_editor.apply_step("re", {"op": "undo", "path": []})
        assert json.dumps(state["re-schema"].to_dict(), ensure_ascii=False) == body
    for body in bodies[1:]:
        schema_editor.apply_step("re", {"op": "redo", "path": []})
        assert json.dumps(state["re-schema"].to_dict(), ensure_ascii=False) == body
    schema_editor.apply_step("re", {"op": "add", "path": [], "name": "时间"})
    assert "已有类型" in state["re-schema-fault"][0]
    assert state["re-schema"] == parse_schema(bodies[-1])
