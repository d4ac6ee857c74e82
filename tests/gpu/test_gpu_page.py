"""The GPU page as a user meets it, with the real application."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

pytest.importorskip("streamlit", reason="streamlit is not installed: only the engine is tested here")
pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed: only the engine is tested here")

from streamlit.testing.v1 import AppTest

from core.gpu.governor import GovernorStatus
from core.gpu.nvml import NvmlFailure
from core.services import Application
from streamlit_app.components.gpu_charts import POINTS, thinned
from streamlit_app.components.gpu_engine import budget_segments
from streamlit_app.i18n import catalogue
from streamlit_app.resources import application

PAGE = "../../pages/gpu.py"


@pytest.fixture
def app(settings) -> Iterator[Application]:
    """The application that the page will find, on a database of this test alone."""
    application.clear()
    built = application()
    yield built
    application.clear()


def test_without_a_card_the_page_says_why_and_shows_the_host(app, scripted):
    app.monitor._driver = scripted(nvmlInit=NvmlFailure(12))
    page = AppTest.from_file(PAGE, default_timeout=60).run()
    assert not page.exception
    assert any("没有找到 NVIDIA 驱动" in info.value for info in page.info)
    labels = [metric.label for metric in page.metric]
    assert "本进程内存" in labels and "可用内存" in labels
    assert all(metric.value != "0" for metric in page.metric)


def test_the_flush_button_shows_before_and_after(app):
    page = AppTest.from_file(PAGE, default_timeout=60).run()
    page.button(key="gpu-flush").click().run()
    assert not page.exception
    frames = [frame.value for frame in page.dataframe]
    (table,) = [frame for frame in frames if "释放前" in frame.columns]
    assert "主机内存（本进程）" in list(table["内存"])
    assert any(event.kind == "flush" for event in app.monitor.events())


def test_a_card_is_drawn_with_its_processes_and_its_alarms(app, scripted):
    app.monitor._driver = scripted(nvmlDeviceGetCurrentClocksEventReasons=0x44, nvmlDeviceGetPowerUsage=NvmlFailure(4))
    page = AppTest.from_file(PAGE, default_timeout=60).run()
    assert not page.exception
    metrics = {metric.label: metric for metric in page.metric}
    assert metrics["已用显存"].value == "20.00 GiB" and metrics["GPU 利用率"].value == "37 %"
    assert metrics["功耗 / 上限"].value == "不可用" and "权限" in metrics["功耗 / 上限"].help
    assert any("强制降频" in error.value for error in page.error)
    assert any("功耗上限" in warning.value for warning in page.warning)
    assert any("python3" in list(frame.value.get("进程", [])) for frame in page.dataframe)


def test_a_lost_card_is_reported_and_does_not_break_the_page(app, scripted):
    app.monitor._driver = scripted(nvmlDeviceGetHandleByIndex=NvmlFailure(15))
    page = AppTest.from_file(PAGE, default_timeout=60).run()
    assert not page.exception
    assert any("掉线" in error.value for error in page.error)


def test_a_long_history_is_thinned_and_keeps_the_newest(app):
    samples = [app.monitor.sample()] * 899 + [app.monitor.sample()]
    drawn = thinned(samples)
    assert len(drawn) <= POINTS and drawn[-1] is samples[-1]


def engine_on_a_card() -> None:
    """What the page draws of a model in its own process on a card (run by Streamlit's test driver)."""
    from types import SimpleNamespace

    from core.gpu.governor import GovernorStatus
    from core.gpu.profiles import Card, find_profile
    from core.gpu.records import Event
    from core.gpu.tenant import TenantStatus
    from streamlit_app.components.gpu_engine import engine_facts, event_table

    gib = 2**30
    memory = GovernorStatus(2 * gib, 3 * gib // 2, gib // 2, gib // 4, gib, 7 * gib // 4, True, 3, 2, 1)
    tenant = TenantStatus(Card("NVIDIA A10", 22 * gib, (8, 6)), find_profile("A10"), memory)
    engine_facts(SimpleNamespace(worker="process", pid=4321, dtype="bfloat16"), tenant)
    event_table([Event(0.0, "load", "权重 <b>1</b>"), Event(1.0, "oom", "拆分后重试")], key="events")
    event_table([], key="no-events")


def test_a_model_on_a_card_shows_its_process_profile_budget_and_events():
    page = AppTest.from_function(engine_on_a_card, default_timeout=60).run()
    assert not page.exception
    shown = {metric.label: metric.value for metric in page.metric}
    assert shown == {"运行方式": "独立进程 4321", "设备配置": "A10", "精度": "bfloat16", "批次词元": "8,192"}
    captions = [caption.value for caption in page.caption]
    assert "显存预算 — 已用 1.50 GiB / 2.00 GiB，峰值 1.75 GiB" in captions and "还没有事件。" in captions
    assert any(
        "拆分了 3 个批次" in caption and "归还缓存 2 次" in caption and "重试 1 次" in caption for caption in captions
    )
    (table,) = [frame.value for frame in page.dataframe]
    assert list(table["事件"]) == ["显存不足", "预算就绪"] and table["内容"][1] == "权重 <b>1</b>"


def test_every_event_that_the_engine_records_has_its_word(repository):
    words = catalogue("zh")
    source = "\n".join(path.read_text("utf-8") for path in (repository / "core").rglob("*.py"))
    kinds = set(re.findall(r'(?:record|_record|mark)\(\s*"(\w+)"', source))
    assert {"load", "trim", "oom", "shrink", "flush"} <= kinds
    assert not [kind for kind in kinds if f"gpu.event.{kind}" not in words]


def test_the_segments_of_the_budget_add_up_to_it():
    memory = GovernorStatus(2000, 1500, 500, 300, 700, 1300, True, 0, 0, 0)
    segments = budget_segments(memory)
    assert sum(segment.size_bytes for segment in segments) == 2000
    assert {segment.kind: segment.size_bytes for segment in segments}["budget_left"] == 800


def test_the_model_is_loaded_and_let_go_by_button(app, checkpoint_dir):
    page = AppTest.from_file(PAGE, default_timeout=120).run()
    page.button(key="gpu-load").click().run()
    assert not page.exception and not page.error
    shown = {metric.label: metric.value for metric in page.metric}
    assert shown["设备配置"] == "CPU" and shown["精度"] == "float32"
    assert any("没有显存预算" in caption.value for caption in page.caption)
    page.button(key="gpu-reload").click().run()
    assert not page.exception and app.engine.scheduler.owner.loaded
    page.button(key="gpu-unload").click().run()
    assert not page.exception and not page.error
    assert page.button(key="gpu-load") and not app.engine.scheduler.owner.loaded
    kinds = [event.kind for event in app.monitor.events()]
    assert kinds.index("model") < kinds.index("unload")
