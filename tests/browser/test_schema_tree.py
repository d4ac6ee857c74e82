"""The tree of a schema by keyboard and by mouse, in a real browser; also a big one."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: make test installs it")
from playwright.sync_api import Page, expect  # noqa: E402

from scripts.desk_server import WINDOW, chromium, served, settled  # noqa: E402
from streamlit_app.i18n import catalogue  # noqa: E402

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed: apt-get install chromium"),
]
WORDS = catalogue("zh")
OPEN_MS = 180_000
MANY = 150


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, checkpoint_dir: Path) -> Iterator[Page]:
    settings = {"REX_MODEL": str(checkpoint_dir), "REX_DEVICE": "cpu", "REX_CPU_THREADS": "1"}
    with served(tmp_path_factory.mktemp("desk"), settings=settings) as address, chromium() as browser:
        page = browser.new_page(viewport=WINDOW, locale="zh-CN")
        page.set_default_timeout(OPEN_MS)
        page.goto(f"{address}/relations")
        page.get_by_role("tree").wait_for(timeout=OPEN_MS)
        settled(page)
        yield page


def paste(page: Page, schema: Any) -> None:
    page.get_by_test_id("stPopoverButton").filter(has_text=WORDS["schema.paste"]).click()
    field = page.get_by_role("textbox", name=WORDS["schema.paste"])
    field.fill(json.dumps(schema, ensure_ascii=False))
    field.blur()
    settled(page)
    page.get_by_role("button", name=WORDS["schema.paste.take"]).click()
    settled(page)
    page.keyboard.press("Escape")


def rows(page: Page) -> list[tuple[str, int]]:
    """Name and level of every row that is shown."""
    found = page.get_by_role("treeitem").evaluate_all(
        "all => all.map(one => [one.querySelector('.rext-name').firstChild.data, one.getAttribute('aria-level')])"
    )
    return [(name, int(level)) for name, level in found]


def expect_rows(page: Page, wanted: list[tuple[str, int]]) -> None:
    deadline = time.monotonic() + 20
    while rows(page) != wanted and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    assert rows(page) == wanted


def press(page: Page, *keys: str) -> None:
    """Press keys on the tree, each when what the one before it did is on the screen."""
    for key in keys:
        before = page.get_by_role("tree").inner_html()
        page.keyboard.press(key)
        deadline = time.monotonic() + 20
        while page.get_by_role("tree").inner_html() == before and time.monotonic() < deadline:
            page.wait_for_timeout(50)
        settled(page)


def test_a_schema_is_edited_by_keyboard_alone(page: Page) -> None:
    paste(page, {"人物": {"职务": None}, "地点": None})
    expect_rows(page, [("人物", 1), ("职务", 2), ("地点", 1)])
    page.get_by_role("treeitem", name="人物").focus()
    press(page, "+")
    page.keyboard.type("配偶(人物)")
    press(page, "Enter")
    expect_rows(page, [("人物", 1), ("职务", 2), ("配偶(人物)", 2), ("地点", 1)])
    expect(page.get_by_role("treeitem", name="配偶(人物)")).to_be_focused()
    press(page, "Alt+ArrowUp")
    expect_rows(page, [("人物", 1), ("配偶(人物)", 2), ("职务", 2), ("地点", 1)])
    press(page, "End", "Alt+ArrowRight")
    expect_rows(page, [("人物", 1), ("配偶(人物)", 2), ("职务", 2), ("地点", 2)])
    press(page, "Control+d", "Delete", "F2")
    page.keyboard.type("籍贯")
    press(page, "Enter")
    expect_rows(page, [("人物", 1), ("配偶(人物)", 2), ("职务", 2), ("籍贯", 2)])
    press(page, "Control+z", "Control+z", "Control+z", "Control+z")
    expect_rows(page, [("人物", 1), ("配偶(人物)", 2), ("职务", 2), ("地点", 1)])
    press(page, "Control+Shift+z")
    expect_rows(page, [("人物", 1), ("配偶(人物)", 2), ("职务", 2), ("地点", 2)])


def test_a_type_is_dragged_below_another_and_a_twin_is_refused_in_words(page: Page) -> None:
    paste(page, {"人物": {"职务": None}, "职务": None, "地点": None})
    page.get_by_role("treeitem", name="地点").drag_to(page.get_by_role("treeitem", name="人物"))
    expect_rows(page, [("人物", 1), ("职务", 2), ("地点", 2), ("职务", 1)])
    page.get_by_role("treeitem", name="职务").last.drag_to(page.get_by_role("treeitem", name="人物"))
    expect(page.get_by_test_id("stAlert").filter(has_text="已有类型“职务”")).to_be_visible()
    expect_rows(page, [("人物", 1), ("职务", 2), ("地点", 2), ("职务", 1)])


def test_a_better_name_is_one_press_away_and_markup_stays_text(page: Page) -> None:
    paste(page, {"人名": {"<b>粗</b>": None}})
    expect_rows(page, [("人名", 1), ("<b>粗</b>", 2)])
    assert page.locator(".rext b").count() == 0
    page.get_by_role("button", name=WORDS["tree.better"]).click()
    expect_rows(page, [("人物", 1), ("<b>粗</b>", 2)])


def test_a_big_schema_is_filtered_and_moved_through_quickly(page: Page) -> None:
    paste(page, {f"类型{number:03}": {f"角色{number:03}": None} for number in range(MANY)})
    expect(page.get_by_text(WORDS["tree.count"].format(count=2 * MANY), exact=True)).to_be_visible()
    page.get_by_role("searchbox").fill("角色077")
    expect_rows(page, [("类型077", 1), ("角色077", 2)])
    page.get_by_role("searchbox").fill("")
    page.get_by_role("treeitem", name="类型000").focus()
    begun = time.monotonic()
    for _ in range(50):
        page.keyboard.press("ArrowDown")
    expect(page.get_by_role("treeitem", name="类型025")).to_be_focused()
    assert time.monotonic() - begun < 10
