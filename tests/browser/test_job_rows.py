"""The list of jobs in a real browser: a long document counts on under the keys that pause, cancel and open it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: make test installs it")
from playwright.sync_api import Locator, Page, expect  # noqa: E402

from scripts.desk_server import RUN_MS, served, settled  # noqa: E402
from streamlit_app.i18n import catalogue  # noqa: E402

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,  # the included model reads a long text meanwhile
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed: apt-get install chromium"),
]
WORDS = catalogue("zh")
SENTENCE = "深圳市南山区的刘洋投诉京东物流把价值5600元的联想笔记本电脑送错了地址，派送员陈强拒绝赔偿。"
WINDOW_OF = re.compile(r"第 (\d+) / (\d+) 个窗口")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("rows"), settings={"REX_DEVICE": "cpu", "REX_CPU_THREADS": "1"}) as url:
        yield url


def windows(place: Locator) -> tuple[int, int]:
    found = WINDOW_OF.search(place.inner_text())
    assert found
    return int(found[1]), int(found[2])


def press(page: Page, name: str) -> None:
    """By keys: the button of the first row has the focus, and keeps it while the row counts on."""
    button = page.get_by_role("button", name=re.compile(f"^{name} 1 · ")).first
    button.focus()
    page.wait_for_timeout(2500)
    expect(button).to_be_focused()
    page.keyboard.press("Enter")


def test_a_long_document_counts_its_windows_and_its_job_is_paused_resumed_cancelled_and_opened(
    page: Page, address: str
) -> None:
    page.set_default_timeout(RUN_MS)
    page.goto(f"{address}/entities")
    field = page.get_by_label(WORDS["input.text"], exact=True)
    field.fill(SENTENCE * 900)
    field.blur()
    settled(page)
    page.keyboard.press("Control+Enter")
    told = page.get_by_text(WINDOW_OF)
    expect(told.first).to_be_visible(timeout=RUN_MS)
    asked = windows(told.first)[1]
    assert asked > 80
    page.goto(f"{address}/jobs")
    row = page.locator(".rexj-row")
    expect(row).to_have_count(1, timeout=RUN_MS)
    expect(row).to_contain_text(WINDOW_OF)
    expect(row).not_to_contain_text(re.compile(rf"第 {windows(row)[0]} / "), timeout=RUN_MS)
    assert windows(row)[1] == asked
    press(page, WORDS["jobs.pause"])
    expect(row.locator(".rexj-state")).to_have_text(WORDS["state.paused"], timeout=RUN_MS)
    press(page, WORDS["jobs.resume"])
    expect(row.locator(".rexj-state")).to_have_text(WORDS["state.running"], timeout=RUN_MS)
    press(page, WORDS["jobs.cancel"])
    expect(row.locator(".rexj-state")).to_have_text(WORDS["state.cancelled"], timeout=RUN_MS)
    row.get_by_role("link").press("Enter")
    expect(page.get_by_role("button", name=WORDS["jobs.back"])).to_be_visible(timeout=RUN_MS)
    expect(page).to_have_url(re.compile(r"/jobs\?job=1$"))
