"""The GPU page as a user meets it, with the real application."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.gpu.nvml import NvmlFailure
from core.services import Application
from streamlit_app.components.gpu_charts import POINTS, thinned
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


def test_both_languages_have_the_same_words_and_values():
    folder = Path(__file__).resolve().parents[2] / "streamlit_app" / "locales"
    chinese, english = (json.loads((folder / f"gpu.{code}.json").read_text("utf-8")) for code in ("zh", "en"))
    assert chinese.keys() == english.keys()
    for key, words in chinese.items():
        assert sorted(part.split("}")[0] for part in words.split("{")[1:]) == sorted(
            part.split("}")[0] for part in english[key].split("{")[1:]
        ), key


def test_a_long_history_is_thinned_and_keeps_the_newest(app):
    samples = [app.monitor.sample()] * 899 + [app.monitor.sample()]
    drawn = thinned(samples)
    assert len(drawn) <= POINTS and drawn[-1] is samples[-1]
