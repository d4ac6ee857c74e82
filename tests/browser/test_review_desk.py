"""Review in a real browser: text selected with mouse and keyboard, digits for types, undo, two people at once."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

pytest.importorskip("playwright", reason="playwright is not installed: make test installs it")
from playwright.sync_api import Browser, Page, expect  # noqa: E402

from core import reviews  # noqa: E402
from core.review.actions import Action  # noqa: E402
from core.storage.database import migrate, open_database  # noqa: E402
from core.storage.review_queries import Review, get_review  # noqa: E402
from core.storage.store import Store  # noqa: E402
from core.types import AnnotatedDocument, Annotation, Document  # noqa: E402
from scripts.desk_server import RUN_MS, WINDOW, served, settled  # noqa: E402

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed: apt-get install chromium"),
]

# Characters of two UTF-16 units (emoji, rare Han), an emoji of several characters, a line feed and markup.
TEXT = '😀𠮷田武👩‍👩‍👧由张伟陪同，\n在云州市会见<b id="broken">李娜</b>。云州市民欢迎。'
SCHEMA = {"人物": {"同行(人物)": None}, "地点": None, "组织机构": None}
# Selects from one place to another as a hand would, by the places of the characters on the screen.
RECTANGLE = """([needle, nth, end]) => {
  const pieces = [...document.querySelectorAll(".rexa-piece")]
  const whole = pieces.map(one => one.textContent).join("")
  let at = -1
  for (let i = 0; i <= nth; i++) at = whole.indexOf(needle, at + 1)
  if (end) at += needle.length
  let before = 0
  for (const one of pieces) {
    const length = one.textContent.length
    if (end ? at <= before + length : at < before + length) {
      const range = document.createRange()
      const place = at - before
      range.setStart(one.firstChild, end ? Math.max(0, place - 1) : place)
      range.setEnd(one.firstChild, end ? place : place + 1)
      const box = range.getBoundingClientRect()
      return [end ? box.right - 1 : box.left + 1, box.top + box.height / 2]
    }
    before += length
  }
}"""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("review")


@pytest.fixture(scope="module")
def database(data_dir: Path) -> Iterator[Engine]:
    engine = open_database(f"sqlite:///{data_dir / 'app.db'}")
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def address(data_dir: Path, database: Engine, checkpoint_dir: Path) -> Iterator[str]:
    settings = {"REX_MODEL": str(checkpoint_dir), "REX_DEVICE": "cpu", "REX_CPU_THREADS": "1"}
    with served(data_dir, settings=settings) as url:
        yield url


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport=WINDOW, locale="zh-CN")
    yield context.new_page()
    context.close()


@pytest.fixture
def place(database: Engine) -> tuple[int, int]:
    return store_run(database)


def store_run(database: Engine) -> tuple[int, int]:
    """The numbers of a new run and of its first document, in which the model found one person."""
    store = Store(database)
    start = TEXT.index("张伟")
    found = (Annotation("人物", start, start + 2, "张伟", 0.8),)
    documents = [Document(TEXT, id="d0"), Document("第二篇", id="d1")]
    rows = store.add_documents(documents)
    run = store.start_run(
        task="re", schema_id=None, schema=SCHEMA, model="m", revision="", dtype="", device="", threshold=0.5, total=2
    )
    for position, (row, document) in enumerate(zip(rows, documents, strict=True)):
        result = AnnotatedDocument(document, "re", () if position else found)
        store.save_result(run, row, result=result, duration_s=0.0, position=position)
    store.finish_run(run, "done")
    return run, rows[0]


def open_review(page: Page, address: str, place: tuple[int, int]) -> None:
    page.goto(f"{address}/review?run={place[0]}&document={place[1]}")
    page.locator(".rexa-row").first.wait_for(timeout=RUN_MS)
    settled(page)  # what arrives later pushes the text down, under the mouse
    arrived(page)


def arrived(page: Page) -> None:
    """Wait until all that was done is answered."""
    page.wait_for_function(
        "() => document.querySelector('.rexa')?.dataset.busy === 'false'", timeout=RUN_MS, polling=50
    )


def drag(page: Page, needle: str, nth: int = 0) -> None:
    """Select words with the mouse."""
    start = page.evaluate(RECTANGLE, [needle, nth, False])
    end = page.evaluate(RECTANGLE, [needle, nth, True])
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move((start[0] + end[0]) / 2, end[1], steps=4)
    page.mouse.move(*end, steps=4)
    page.mouse.up()
    expect(page.locator(".rexa-box.selected").first).to_be_attached()


def key(page: Page, *names: str) -> None:
    for name in names:
        page.keyboard.press(name)
    arrived(page)


def words(review: Review) -> list[tuple[str, str, str]]:
    """What is there: type, the words of its offsets, decision."""
    assert all(TEXT[node.start : node.end] == node.text for node in review.nodes)
    return [(node.type, node.text, node.decision) for node in review.nodes]


def test_words_selected_with_the_mouse_get_exact_offsets_whatever_stands_before_them(
    page: Page, address: str, database: Engine, place: tuple[int, int]
) -> None:
    open_review(page, address, place)
    expect(page.locator("#broken")).to_have_count(0)
    expect(page.locator(".rexa-paper")).to_contain_text('<b id="broken">')
    drag(page, "𠮷田武")
    key(page, "1")
    drag(page, "云州市", 1)
    key(page, "2")
    drag(page, "👩‍👩‍👧")
    key(page, "3")
    assert words(get_review(database, *place)) == [
        ("人物", "张伟", "open"),
        ("人物", "𠮷田武", "accepted"),
        ("地点", "云州市", "accepted"),
        ("组织机构", "👩‍👩‍👧", "accepted"),
    ]
    second = get_review(database, *place).nodes[2]
    assert second.start == TEXT.rindex("云州市")
    expect(page.locator(".rexa-chip")).to_have_count(4)


def test_everything_can_be_done_with_the_keyboard_alone(
    page: Page, address: str, database: Engine, place: tuple[int, int]
) -> None:
    open_review(page, address, place)
    key(page, "a")
    assert words(get_review(database, *place)) == [("人物", "张伟", "accepted")]
    key(page, "2")
    assert words(get_review(database, *place)) == [("地点", "张伟", "accepted")]
    key(page, "Alt+Shift+ArrowRight")
    assert words(get_review(database, *place)) == [("地点", "张伟陪", "accepted")]
    key(page, "u", "u")
    assert words(get_review(database, *place)) == [("人物", "张伟", "accepted")]
    key(page, "Shift+U")
    key(page, "Control+z")
    # four characters to the left of the selected annotation, by the caret: the end of an emoji of five
    key(page, "ArrowLeft", "Shift+ArrowLeft", "Shift+ArrowLeft", "3")
    assert words(get_review(database, *place))[1][0] == "组织机构"
    key(page, "x")
    key(page, "k", "l")
    drag(page, "李娜")
    key(page, "1")
    review = get_review(database, *place)
    assert words(review) == [("人物", "张伟", "accepted"), ("同行(人物)", "李娜", "accepted")]
    assert review.nodes[1].parent == 0
    key(page, "k")
    expect(page.locator(".rexa-arc")).to_have_count(1)
    key(page, "Enter")
    assert get_review(database, *place).state == "corrected"
    expect(page.get_by_text("d1", exact=False).first).to_be_visible()
    key(page, "p")
    expect(page.locator(".rexa-row")).to_have_count(2)


def test_fast_keys_are_all_kept_in_their_order(
    page: Page, address: str, database: Engine, place: tuple[int, int]
) -> None:
    open_review(page, address, place)
    key(page, "2", "3", "1", "2", "u", "a")
    assert words(get_review(database, *place)) == [("人物", "张伟", "accepted")]
    assert get_review(database, *place).version == 5


def test_every_occurrence_is_previewed_before_it_is_labelled(
    page: Page, address: str, database: Engine, place: tuple[int, int]
) -> None:
    open_review(page, address, place)
    drag(page, "云州市")
    key(page, "f")
    page.get_by_role("combobox", name="标为").click()
    page.get_by_role("option", name="地点").click()
    settled(page)
    page.get_by_role("button", name="标本篇 2 处").click()
    settled(page)
    assert [one for one in words(get_review(database, *place)) if one[0] == "地点"] == [
        ("地点", "云州市", "accepted")
    ] * 2


def test_a_second_person_is_told_and_sees_both_versions(
    page: Page, address: str, database: Engine, place: tuple[int, int]
) -> None:
    open_review(page, address, place)
    reviews.perform(database, get_review(database, *place), Action("retype", 0, "组织机构"), author="韩梅梅")
    key(page, "x")
    expect(page.get_by_text("“韩梅梅”刚刚改动了这篇文档", exact=False)).to_be_visible(timeout=RUN_MS)
    assert words(get_review(database, *place)) == [("组织机构", "张伟", "accepted")]
    page.get_by_role("button", name="采用现在的版本").click()
    settled(page)
    expect(page.locator(".rexa-row.on .rexa-kind")).to_have_text("组织机构")


def test_another_language_keeps_the_run_and_the_queue_and_names_them_in_it(
    page: Page, address: str, database: Engine, place: tuple[int, int]
) -> None:
    store_run(database)  # the newest run is the one that the page falls back to
    open_review(page, address, place)
    page.get_by_role("combobox", name="状态").click()
    page.get_by_role("option", name="未复核").click()
    settled(page)
    for language, task, state in (("English", "Relations", "unreviewed"), ("中文", "关系抽取", "未复核")):
        page.get_by_test_id("stSidebar").get_by_text(language, exact=True).click()
        chosen = page.get_by_test_id("stSelectbox").locator("input")
        expect(chosen.nth(0)).to_have_value(re.compile(rf"^{place[0]} · {task}"), timeout=RUN_MS)
        expect(chosen.nth(1)).to_have_value(state)
        settled(page)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        assert f"run={place[0]}&" in page.url
