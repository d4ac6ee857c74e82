"""The page of jobs, run by Streamlit's test driver over the real application and a small network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core import job_services
from core.storage import queries
from core.types import Document
from streamlit_app.components.job_rows import perform
from streamlit_app.resources import application

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 60
PEOPLE = {"人物": None}


@pytest.fixture
def desk(tmp_path: Path, checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    monkeypatch.setenv("REX_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("REX_MODEL", str(checkpoint_dir))
    monkeypatch.setenv("REX_DEVICE", "cpu")
    application.clear()
    yield AppTest.from_file(str(ROOT / "streamlit_app" / "app.py"), default_timeout=WAIT_S).run()
    application.clear()


def opened(desk: AppTest, job: int | str = "") -> AppTest:
    if job:
        desk.query_params["job"] = str(job)
    desk.switch_page("../pages/jobs.py").run()
    assert not desk.exception
    return desk


def texts(count: int, **more: str) -> list[Document]:
    return [Document(f"{number}。陈静在杭州。", id=f"甲{number}", **more) for number in range(count)]  # type: ignore[arg-type]


def shown(desk: AppTest) -> dict[str, Any]:
    """The first row of the list, of its actions the names alone."""
    (table,) = [one.proto for one in desk.get("bidi_component") if one.proto.component_name.endswith("job_rows")]
    row = json.loads(table.json)["rows"][0]
    return {**row, "actions": [name for name, _ in row["actions"]]}


def never(job: int) -> None:
    raise AssertionError(job)


def test_a_job_is_paused_resumed_and_cancelled_from_the_list(desk: AppTest) -> None:
    app = application()
    job = job_services.start_job(app, texts(3000), task="ner", schema=PEOPLE)
    opened(desk)
    assert shown(desk)["actions"] == ["pause", "cancel", "open"]
    perform(app, {"job": job, "action": "pause"}, on_open=never)
    desk.run()
    assert shown(desk)["state"] == "已暂停" and shown(desk)["actions"] == ["resume", "cancel", "open"]
    perform(app, {"job": job, "action": "resume"}, on_open=never)
    assert queries.get_run(app.database, job).active
    perform(app, {"job": float(job), "action": "cancel"}, on_open=never)
    desk.run()
    assert shown(desk)["state"] == "已取消"
    for said in (None, "x", {"job": "1", "action": "pause"}, {"job": job, "action": "delete_job"}, {"job": None}):
        perform(app, said, on_open=never)
    seen: list[int] = []
    perform(app, {"job": job, "action": "open"}, on_open=seen.append)
    assert seen == [job]
    desk.get_by_key("jobs-filter").set_value("active").run()
    assert "没有符合的作业。" in [one.value for one in desk.info]


def test_the_address_opens_a_job_with_what_made_its_results_and_what_failed(desk: AppTest) -> None:
    app = application()
    job = job_services.start_job(
        app, [*texts(2), Document(" ", id="空<b>")], task="ner", schema=PEOPLE, schema_name="人*们", threshold=0.3
    )
    assert job_services.wait_for_jobs(app, [job], WAIT_S)
    opened(desk, job)
    told = "\n".join(one.value for one in desk.markdown)
    for fact in (r"人\*们 v1", "0.30", "float32", "完成", "主机 "):
        assert fact in told
    (failures,) = [one.value for one in desk.dataframe if "error" in one.value]
    assert failures["document"].tolist() == ["空<b>"]
    desk.button(key=f"job-{job}-retry").click().run()
    assert not desk.exception
    assert job_services.wait_for_jobs(app, [job], WAIT_S)
    assert queries.get_run(app.database, job).failed == 1
    desk.button(key="jobs-back").click().run()
    assert not desk.exception
    assert shown(desk)["title"] == f"{job} · 实体识别" and shown(desk)["failures"] == "1 篇失败"


def test_an_address_of_no_job_is_said_and_the_list_is_shown(desk: AppTest) -> None:
    for wrong in ("999", "x", "²"):
        opened(desk, wrong)
        assert "没有这个编号" in desk.warning[0].value


def test_a_task_page_follows_its_job_and_shows_what_was_found_when_it_is_stopped(desk: AppTest) -> None:
    app = application()
    desk.switch_page("../pages/entities.py").run()
    job = job_services.start_job(app, texts(2000), task="ner", schema=PEOPLE)
    desk.session_state["ner-job"] = job
    desk.run()
    assert not desk.exception
    desk.button(key="ner-pause").click().run()
    assert not desk.exception
    assert queries.get_run(app.database, job).state == "paused"
    desk.run()
    assert "已暂停" in desk.warning[0].value
