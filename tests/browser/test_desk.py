"""The desk in a real browser: paste, edit the schema, run, see, download."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: make test installs it")
from playwright.sync_api import Browser, Download, Page, expect  # noqa: E402
from playwright.sync_api import Error as PlaywrightError  # noqa: E402

from core.storage.database import open_database  # noqa: E402
from scripts.desk_server import RUN_MS, WINDOW, served, settled  # noqa: E402
from scripts.hostile_text import ADDRESS, store_hostile  # noqa: E402
from streamlit_app import navigation  # noqa: E402
from streamlit_app.i18n import catalogue  # noqa: E402

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed: apt-get install chromium"),
]

# An emoji shifts offsets that count UTF-16 units; the markup must stay text.
TEXT = '😀昨天，刘志诚在广州市出席了签约仪式。\n<b id="broken">王宏伟</b>没有到场。'
WORDS = catalogue("zh")
OPEN_MS = 60_000
NEW_TYPE = "产品名称"
PAGES = tuple(name for group in navigation.PAGES.values() for name in group)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("desk")


@pytest.fixture(scope="module")
def address(data_dir: Path, checkpoint_dir: Path) -> Iterator[str]:
    settings = {"REX_MODEL": str(checkpoint_dir), "REX_DEVICE": "cpu", "REX_CPU_THREADS": "1"}
    with served(data_dir, settings=settings) as url:
        yield url


def open_page(page: Page, address: str, *, name: str) -> None:
    page.goto(address if name == "overview" else f"{address}/{name}")
    try:
        page.get_by_test_id("stHeading").first.wait_for(timeout=OPEN_MS)
    except PlaywrightError:
        pytest.fail(f"{name} did not open; the screen says: {page.locator('body').inner_text()[:2000]}")
    settled(page)


def enter(page: Page, label: str, *, text: str) -> None:
    """Type into a field and leave it, as a user does; wait until the page has taken it."""
    field = page.get_by_label(label, exact=True)
    field.fill(text)
    field.blur()
    settled(page)


def asked_types(data_dir: Path) -> set[str]:
    """Every type of every schema that a stored run used."""
    with closing(sqlite3.connect(f"file:{data_dir / 'app.db'}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT body FROM schemas JOIN runs ON runs.schema_id = schemas.id").fetchall()
    return {name for (body,) in rows for name in json.loads(body)}


def download(page: Page, name: str) -> Download:
    with page.expect_download(timeout=RUN_MS) as started:
        page.get_by_role("button", name=name, exact=True).click()
    return started.value


def test_entities_are_found_shown_and_downloaded_with_exact_offsets(page: Page, address: str, data_dir: Path):
    open_page(page, address, name="entities")
    enter(page, WORDS["input.text"], text=TEXT)
    page.get_by_role("button", name=WORDS["tree.add"]).click()
    page.get_by_label(WORDS["tree.new"]).fill(NEW_TYPE)
    page.keyboard.press("Enter")
    page.get_by_role("treeitem", name=NEW_TYPE).wait_for(timeout=OPEN_MS)
    settled(page)
    page.get_by_role("button", name=WORDS["task.run"], exact=False).first.click()
    page.get_by_test_id("stDownloadButton").first.wait_for(timeout=RUN_MS)
    settled(page)

    marked = page.locator(".rex-text .rex-span")
    assert marked.count() >= 2
    expect(page.locator(".rex-text")).to_contain_text('<b id="')
    expect(page.locator("#broken")).to_have_count(0)
    expect(page.get_by_test_id("stException")).to_have_count(0)

    table = Path(download(page, WORDS["download.csv"]).path()).read_bytes()
    assert table.startswith(b"\xef\xbb\xbf"), "Excel needs the mark to read Chinese"
    rows = list(csv.DictReader(io.StringIO(table.decode("utf-8-sig"), newline="")))
    assert len(rows) >= 2
    for row in rows:
        assert row["原文"] == TEXT
        assert TEXT[int(row["开始"]) : int(row["结束"])] == row["文本"] != ""
        assert 0.5 <= float(row["得分"]) <= 1

    (line,) = Path(download(page, WORDS["download.jsonl"]).path()).read_text("utf-8").splitlines()
    result = json.loads(line)
    found = result["annotations"]
    assert len(found) == len(rows)
    for annotation in found:
        assert TEXT[annotation["start"] : annotation["end"]] == annotation["text"]
    assert {annotation["type"] for annotation in found} == {row["类型"] for row in rows}
    assert NEW_TYPE in asked_types(data_dir), "the added type was not asked for"


def test_a_schema_with_a_fault_says_what_is_wrong_and_cannot_be_run(page: Page, address: str):
    open_page(page, address, name="entities")
    page.get_by_role("radio", name=WORDS["schema.view.json"]).or_(
        page.get_by_role("button", name=WORDS["schema.view.json"])
    ).first.click()
    settled(page)
    enter(page, WORDS["schema.json"], text='{"人物": null,')
    expect(page.get_by_test_id("stAlert").first).to_be_visible()
    expect(page.get_by_role("button", name=WORDS["task.run"], exact=False).first).to_be_disabled()


def test_the_gpu_page_shows_memory_and_flushes(page: Page, address: str):
    open_page(page, address, name="gpu")
    expect(page.get_by_role("heading", name=WORDS["gpu.host.rss"])).to_be_visible()
    page.get_by_role("button", name=WORDS["gpu.level.flush"]).click()
    expect(page.get_by_text(re.compile("用时 .* 毫秒"))).to_be_visible(timeout=RUN_MS)


def test_the_language_can_be_switched(page: Page, address: str):
    open_page(page, address, name="gpu")
    page.get_by_text("English", exact=True).click()
    expect(page.get_by_role("button", name=catalogue("en")["gpu.level.flush"])).to_be_visible(timeout=RUN_MS)


def test_every_page_opens_without_an_error(page: Page, address: str):
    open_page(page, address, name="overview")
    links = page.get_by_test_id("stSidebarNav").get_by_role("link")
    expect(links).to_have_count(len(PAGES))
    for name in PAGES:
        links.filter(has_text=re.compile(f"^\\W*\\w*{re.escape(WORDS[f'page.{name}'])}$")).click()
        expect(page.get_by_role("heading", name=WORDS[f"page.{name}"], exact=True)).to_be_visible(timeout=RUN_MS)
        settled(page)
        expect(page.get_by_test_id("stException"), name).to_have_count(0)


def title(page: Page, name: str) -> None:
    """Wait until the page of that name stands on the screen."""
    expect(page.get_by_role("heading", name=WORDS[f"page.{name}"], exact=True)).to_be_visible(timeout=RUN_MS)
    settled(page)


def test_keys_lead_to_pages_help_fields_and_the_other_language_but_not_while_typing(page: Page, address: str):
    open_page(page, address, name="settings")
    page.keyboard.press("g")
    page.keyboard.press(navigation.KEYS["entities"])
    title(page, "entities")
    page.keyboard.press("/")
    field = page.get_by_label(WORDS["input.text"], exact=True)
    expect(field).to_be_focused()
    field.press("End")
    field.press_sequentially("gd?/")
    expect(field).to_have_value(re.compile(r"gd\?/"))
    title(page, "entities")
    field.blur()
    settled(page)
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(WORDS["keys.addresses"], timeout=RUN_MS)
    page.keyboard.press("g")
    page.keyboard.press("d")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    title(page, "entities")
    page.keyboard.press("Alt+l")
    expect(page.get_by_role("heading", name=catalogue("en")["page.entities"], exact=True)).to_be_visible(timeout=RUN_MS)


def test_a_copied_address_opens_the_same_in_another_session(page: Page, address: str, browser: Browser):
    open_page(page, address, name="sentiment")
    enter(page, WORDS["input.text"], text="房间干净，早餐也很好。")
    page.keyboard.press("Control+Enter")
    page.get_by_test_id("stDownloadButton").first.wait_for(timeout=RUN_MS)
    settled(page)
    expect(page).to_have_url(re.compile(r"/sentiment\?job=\d+"))
    other = browser.new_context(viewport=WINDOW, locale="zh-CN")
    try:
        copied = other.new_page()
        copied.goto(page.url)
        expect(copied.get_by_label(WORDS["input.text"], exact=True)).to_have_value(
            "房间干净，早餐也很好。", timeout=RUN_MS
        )
        expect(copied.get_by_test_id("stDownloadButton").first).to_be_visible(timeout=RUN_MS)
    finally:
        other.close()


def test_hostile_texts_run_nothing_and_fetch_nothing(page: Page, address: str, data_dir: Path):
    stored = store_hostile(open_database(f"sqlite:///{data_dir / 'app.db'}"), {"ner": ("甲",), "ee": ("甲", "乙")})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    run = stored.runs["ner"]
    for where in (
        f"documents?document={stored.document}",
        f"jobs?job={stored.runs['ee']}",
        f"review?run={run}&document={stored.document}",
        f"explore?run={run}&view=context",
        f"entities?job={run}",
        "schemas",
    ):
        page.goto(f"{address}/{where}")
        page.get_by_test_id("stHeading").first.wait_for(timeout=OPEN_MS)
        settled(page)
        assert page.evaluate("window.hit") is None, where
        assert page.locator(f"img[src*='{ADDRESS}']").count() == 0, where
    assert not [url for url in asked if ADDRESS in url]
