"""Marking words by mouse and keyboard, arcs, and the report as a file, in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: make test installs it")
from playwright.sync_api import Page, expect  # noqa: E402

from scripts.desk_server import RUN_MS, served, settled  # noqa: E402
from streamlit_app.i18n import catalogue  # noqa: E402

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed: apt-get install chromium"),
]
WORDS = catalogue("zh")
# The emoji shifts offsets that count UTF-16 units.
TEXT = "😀小王把书给了小李，他说<b>她</b>看完了。"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    # The included model: what an untrained one finds is chance, and a picture without an arc shows nothing.
    settings = {"REX_DEVICE": "cpu", "REX_CPU_THREADS": "1"}
    with served(tmp_path_factory.mktemp("desk"), settings=settings) as url:
        yield url


def opened(page: Page, address: str, *, name: str, text: str) -> None:
    page.goto(f"{address}/{name}")
    page.get_by_test_id("stHeading").first.wait_for(timeout=RUN_MS)
    settled(page)
    field = page.get_by_label(WORDS["input.text"], exact=True)
    field.fill(text)
    field.blur()
    settled(page)


def run(page: Page, button: str) -> None:
    page.get_by_role("button", name=button, exact=False).first.click()
    page.get_by_test_id("stDownloadButton").first.wait_for(timeout=RUN_MS)
    settled(page)


def drag(page: Page, word: str) -> None:
    """Select a word of the text with the mouse, as a hand does."""
    box = page.evaluate(
        """word => {
          const root = document.querySelector(".rexm")
          const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT)
          while (walk.nextNode()) {
            const at = walk.currentNode.data.indexOf(word)
            if (at < 0) continue
            const range = document.createRange()
            range.setStart(walk.currentNode, at)
            range.setEnd(walk.currentNode, at + word.length)
            const { left, right, top, height } = range.getBoundingClientRect()
            return { left, right, y: top + height / 2 }
          }
        }""",
        word,
    )
    page.mouse.move(box["left"] + 1, box["y"])
    page.mouse.down()
    page.mouse.move(box["right"] - 1, box["y"], steps=4)
    page.mouse.up()
    # The answer adds a label behind the word, which moves what stands behind it.
    expect(page.locator(".rexm .on").get_by_text(word, exact=True)).to_be_visible(timeout=RUN_MS)
    settled(page)


def test_candidates_are_selected_and_pronouns_pressed_in_the_text(page: Page, address: str) -> None:
    opened(page, address, name="coreference", text=TEXT)
    text = page.locator(".rexm")
    expect(text.locator("[role=button]")).to_have_text(["他", "她"])
    expect(page.locator(".rexm b")).to_have_count(0)
    for word in ("小王", "小李"):
        drag(page, word)
    expect(text.locator(".candidate.on")).to_have_text(["小王", "小李"])
    text.get_by_text("他", exact=True).click()
    settled(page)
    her = text.get_by_role("button", name="她")
    her.focus()
    her.press("Enter")
    settled(page)
    expect(text.locator(".pronoun.on")).to_have_text(["他", "她"])
    expect(page.get_by_text("将判断 4 对", exact=False)).to_be_visible()
    text.get_by_role("button", name="小李").click()
    settled(page)
    expect(text.locator(".candidate.on")).to_have_text(["小王"])
    expect(page.get_by_text("将判断 2 对", exact=False)).to_be_visible()
    run(page, WORDS["task.run"])
    expect(page.locator(".rex-text").first).to_contain_text("看完了")
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_relations_are_drawn_as_arcs_whose_words_are_the_text(page: Page, address: str) -> None:
    text = "恒川动力成立于1998年，创始人曾宇航。😀<b>总部</b>设在合肥市高新区。"
    opened(page, address, name="relations", text=text)
    run(page, WORDS["task.run"])
    drawing = page.locator("svg.rexg")
    expect(drawing).to_be_visible()
    assert "".join(drawing.locator("tspan").all_text_contents()) == text
    titles = drawing.locator(".arc > title").all_text_contents()
    assert titles and all(" —" in title and "→ " in title for title in titles), "every arc tells its score"


@pytest.mark.slow  # two windows, each drawn twice
def test_arcs_use_the_room_of_a_wide_and_of_a_narrow_window(page: Page, address: str) -> None:
    text = (
        "恒川动力成立于1998年，创始人曾宇航，"
        + "公司长期从事新能源汽车动力电池的研发与生产，" * 3
        + "总部设在合肥市高新区。"
    )
    opened(page, address, name="relations", text=text)
    run(page, WORDS["task.run"])
    drawing, lines = page.locator("svg.rexg"), {}
    for width in (1920, 1100):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(1500)  # the window, its word to the desk, and the lines anew
        settled(page)
        lines[width] = drawing.locator("text:not([class])").count()
        assert "".join(drawing.locator("tspan").all_text_contents()) == text
        if width == 1920:
            wide, room = drawing.evaluate("svg => [Number(svg.getAttribute('width')), svg.parentElement.clientWidth]")
            assert room > 800 and 0.85 < wide / room <= 1.0
    assert lines[1920] < lines[1100]


def test_the_report_opens_on_its_own_and_loads_nothing(page: Page, address: str, tmp_path: Path) -> None:
    opened(page, address, name="", text=TEXT)
    run(page, WORDS["overview.run"])
    with page.expect_download(timeout=RUN_MS) as started:
        page.get_by_role("button", name=WORDS["report.download"], exact=True).click()
    file = tmp_path / "report.html"
    started.value.save_as(file)
    asked: list[str] = []
    other = page.context.new_page()
    other.on("request", lambda request: asked.append(request.url))
    other.goto(file.as_uri())
    expect(other.locator("section")).to_have_count(10)
    assert asked == [file.as_uri()]
    expect(other.locator("script")).to_have_count(0)
    other.emulate_media(media="print", color_scheme="dark")
    paper = other.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(255, 255, 255)", "printed on white"
