"""The GPU page as a user meets it, with the real application; machines without such a card are played by a script."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator

import pytest

pytest.importorskip("streamlit", reason="streamlit is not installed: only the engine is tested here")
pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed: only the engine is tested here")

from streamlit.testing.v1 import AppTest

from core.config import EMBEDDED_MODEL, ROOT
from core.gpu.governor import GovernorStatus
from core.gpu.monitor import GpuMonitor
from core.services import Application
from scripts.scripted_cards import played
from scripts.scripted_scenarios import SCENARIOS
from streamlit_app.components.gpu_charts import GAP_S, POINTS, thinned
from streamlit_app.components.gpu_engine import budget_segments
from streamlit_app.components.gpu_gauge import READER_KEY
from streamlit_app.components.gpu_tiles import Tile, tile_html
from streamlit_app.i18n import LANGUAGE_KEY, catalogue
from streamlit_app.resources import application

PAGE = "../../pages/gpu.py"
TINY_MODEL = ROOT / "tests" / "fixtures" / "tiny"
NOW = 1_800_000_150.0


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """The application that the page will find, on a database of this file alone; tests put their monitor into it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REX_DATA_DIR", str(tmp_path_factory.mktemp("gpu-page")))
        patch.setenv("REX_MODEL", str(TINY_MODEL if TINY_MODEL.is_dir() else EMBEDDED_MODEL))
        patch.setenv("REX_DEVICE", "cpu")
        patch.delenv("REX_DATABASE_URL", raising=False)
        application.clear()
        built = application()
        own = built.monitor
        yield built
        built.monitor = own
        application.clear()


def open_page(app: Application, monitor: GpuMonitor, *, language: str = "zh") -> AppTest:
    """The page with that monitor, drawn once."""
    app.monitor = monitor
    page = AppTest.from_file(PAGE, default_timeout=60)
    page.session_state[LANGUAGE_KEY] = language
    page.run()
    assert not page.exception
    return page


def drawn(page: AppTest) -> str:
    """All HTML of the page."""
    return "\n".join(one.proto.body for one in page.get("html"))


def value(page: AppTest, label: str) -> str:
    """What the tile of that label says, its reason and details included."""
    (found,) = re.findall(rf"<h4>{re.escape(label)}</h4>(.*?)</div>\s*(?=<div class=\"gpu-tile|</div>|$)", drawn(page))
    return re.sub(r"<[^>]+>", " ", found)


def scripted_monitor(name: str) -> GpuMonitor:
    return played(SCENARIOS[name], lambda: NOW)


SAID = {
    "normal": ["其他进程 4.00 GiB", "计算能力", "cuda:0", "此卡或此模式不提供", "vllm", "PyTorch 正在使用"],
    "mig": ["MIG 0", "MIG 3", "本程序不可见", "此卡或此模式不提供"],
    "wddm": ["WDDM", "风扇", "其他进程与本进程上下文"],
    "container": ["其他进程与本进程上下文", "PyTorch 缓存未用"],
    "throttled": ["硬件过热降频", "达到功耗上限", "按设定的应用频率", "gpu-bad", "gpu-warn"],
    "oom": ["重试分配 3 次"],
    "several": ["GPU 2 · 未知型号", "掉线", "模型在此", "本程序不可见"],
    "sick": ["停用的显存行", "出厂以来 5"],
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_machine_is_drawn_with_what_it_can_and_cannot_say(app, name):
    monitor = scripted_monitor(name)
    page = open_page(app, monitor)
    html = drawn(page)
    for words in SAID.get(name, []):
        assert words in html, words
    assert "工作台进程内存" in html and "打开的页面" in html
    shown = " ".join(one.value for one in [*page.info, *page.warning, *page.error, *page.caption])
    expected = {
        "no_driver": "没有找到 NVIDIA 驱动",
        "not_loaded": "驱动没有加载",
        "mismatch": "重启机器",
        "lost": "掉线",
        "throttled": "请检查散热",
        "sick": "XID 48",
        "container": "--pid=host",
        "wddm": "WDDM",
        "mig": "整张卡的读数",
    }
    assert expected.get(name, "") in shown.replace("\\", "")
    if name in ("no_driver", "not_loaded", "mismatch"):
        assert "GPU 利用率" not in html and not page.get("expander")
    monitor.close()


def test_a_value_that_fails_says_so_and_why_and_is_never_zero(app):
    monitor = scripted_monitor("mig")
    page = open_page(app, monitor)
    for label in ("GPU 利用率", "显存读写"):
        assert "不可用" in value(page, label) and "不提供" in value(page, label)
        assert not re.search(r"\d", value(page, label))
    listed = "\n".join(one.value for one in page.markdown).replace("\\", "")
    assert "GPU 利用率 — 此卡或此模式不提供" in listed
    monitor.close()


def test_all_of_it_is_there_in_english(app):
    monitor = scripted_monitor("throttled")
    page = open_page(app, monitor, language="en")
    texts = drawn(page) + " ".join(
        one.value for one in [*page.subheader, *page.caption, *page.warning, *page.error] if one.value
    )
    assert "Unused" in texts or "unused" in texts
    assert "slows at 95°" in texts and "power limit" in texts and "Other processes" in texts
    assert not re.search(r"gpu\.[a-z]+\.", texts), "a word is missing"
    monitor.close()


def test_the_card_of_the_model_is_shown_first_and_another_can_be_chosen(app):
    monitor = scripted_monitor("several")
    page = open_page(app, monitor)
    assert [one.value for one in page.subheader][0].startswith("GPU 1")
    page.segmented_control(key="gpu-card").set_value(0).run()
    assert not page.exception and [one.value for one in page.subheader][0].startswith("GPU 0")
    page.segmented_control(key="gpu-card").set_value(2).run()
    assert not page.exception and "掉线" in page.error[0].value
    monitor.close()


def test_several_screens_share_one_sampler_and_are_counted(app):
    monitor = scripted_monitor("normal")
    pages = [open_page(app, monitor) for _ in range(3)]
    assert len({page.session_state[READER_KEY] for page in pages}) == 3
    assert monitor.status().sessions == 3
    asked = monitor._session._driver.asked
    assert asked.count("nvmlInit") == 1
    assert sum(thread.name == "gpu-monitor" for thread in threading.enumerate()) == 1
    monitor.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "gpu-monitor"]


def test_a_driver_that_stops_answering_leaves_old_values_with_their_age(app, scripted):
    hang, go_on = threading.Event(), threading.Event()
    driver = scripted(nvmlDeviceGetPerformanceState=lambda handle: go_on.wait(60) and None if hang.is_set() else 0)
    monitor = GpuMonitor(0.05, backend=driver)
    monitor.snapshot()
    hang.set()
    deadline = time.monotonic() + 10
    while not monitor.status().stalled and time.monotonic() < deadline:
        time.sleep(0.02)
    page = open_page(app, monitor)
    assert any("驱动没有回答" in one.value for one in page.warning) and "NVIDIA H200" in page.subheader[0].value
    go_on.set()
    monitor.close()


def test_the_peaks_begin_anew_at_the_button(app):
    monitor = scripted_monitor("normal")
    page = open_page(app, monitor)
    before = monitor.peaks()[1].since_s
    monitor._clock = lambda: NOW + 60
    page.button(key="gpu-peak-reset").click().run()
    assert not page.exception and monitor.peaks()[1].since_s > before
    assert [event.kind for event in monitor.events()] == ["peak_reset"]
    monitor.close()


def test_memory_is_given_back_at_three_levels_each_with_before_and_after(app, checkpoint_dir):
    monitor = GpuMonitor()
    page = open_page(app, monitor)
    assert page.button(key="gpu-unload").disabled
    page.button(key="gpu-flush").click().run()
    assert "主机内存（工作台进程）" in drawn(page) and not page.exception
    page.button(key="gpu-load").click().run()
    assert not page.exception and app.engine.scheduler.owner.loaded
    assert "设备配置" in drawn(page) and "float32" in drawn(page)
    assert any("没有显存预算" in caption.value for caption in page.caption)
    page.button(key="gpu-restart").click().run()
    assert not page.exception and app.engine.scheduler.owner.loaded and "卸载后" in drawn(page)
    page.button(key="gpu-unload").click().run()
    assert not page.exception and not page.error and not app.engine.scheduler.owner.loaded
    assert page.button(key="gpu-load")
    kinds = [event.kind for event in monitor.events()]
    assert kinds[0] == "flush" and kinds.count("restart") == 1 and kinds[-1] == "unload"
    monitor.close()


def test_a_long_history_is_thinned_and_keeps_the_newest():
    monitor = GpuMonitor()
    samples = [monitor.sample()] * 899 + [monitor.sample()]
    shown = thinned(samples)
    assert len(shown) <= POINTS and shown[-1] is samples[-1]
    assert (samples[-1].time_s - samples[0].time_s) / POINTS < GAP_S


def test_texts_in_a_tile_are_escaped():
    html = tile_html(Tile("<b>x</b>", '"><script>', "<i>", "<u>", about='"onfocus="x', share=7.0))
    assert "<script>" not in html and "<b>x</b>" not in html and "&quot;onfocus" in html and "width:100.0%" in html
    assert "不可用" in tile_html(Tile("y", None, why="<reason>")) and "&lt;reason&gt;" in tile_html(
        Tile("y", None, why="<reason>")
    )


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
    html = drawn(page)
    assert "独立进程 4321" in html and "A10" in html and "8,192" in html
    captions = [caption.value for caption in page.caption]
    assert "显存预算 — 已用 1.50 GiB / 2.00 GiB，峰值 1.75 GiB" in captions and "还没有事件。" in captions
    assert any(
        "拆分了 3 个批次" in caption and "归还缓存 2 次" in caption and "重试 1 次" in caption for caption in captions
    )
    (table,) = [frame.value for frame in page.dataframe]
    assert list(table["事件"]) == ["显存不足", "预算就绪"] and table["内容"][1] == "权重 <b>1</b>"


def test_every_event_reason_and_value_that_the_engine_records_has_its_word(repository):
    from core.gpu.records import THROTTLE_REASONS

    words = catalogue("zh")
    source = "\n".join(path.read_text("utf-8") for path in (repository / "core").rglob("*.py"))
    kinds = set(re.findall(r'(?:record|_record|mark|_tell)\(\s*(?:stretch, )?"(\w+)"', source))
    assert {"load", "trim", "oom", "shrink", "flush", "job", "job_end", "xid"} <= kinds
    assert not [kind for kind in kinds if f"gpu.event.{kind}" not in words]
    assert not [name for name in THROTTLE_REASONS.values() if f"gpu.reason.{name}" not in words]


def test_the_segments_of_the_budget_add_up_to_it():
    memory = GovernorStatus(2000, 1500, 500, 300, 700, 1300, True, 0, 0, 0)
    segments = budget_segments(memory)
    assert sum(segment.size_bytes for segment in segments) == 2000
    assert {segment.kind: segment.size_bytes for segment in segments}["budget_left"] == 800
