"""Every page by what a screen reader is told of it, and the way from an empty page to a finding by keys alone."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: make test installs it")
from playwright.sync_api import CDPSession, Page, expect  # noqa: E402

from scripts.demo_data import Demo, fill  # noqa: E402
from scripts.desk_server import RUN_MS, served, settled  # noqa: E402
from scripts.screenshots import addresses  # noqa: E402
from streamlit_app.components.frame_words import WORDS as FRAME  # noqa: E402
from streamlit_app.i18n import LANGUAGES, catalogue  # noqa: E402

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,  # a desk filled by the included model, and some seventy pages
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed: apt-get install chromium"),
]
WORDS = catalogue("zh")
NAMED = {
    *("button", "textbox", "searchbox", "combobox", "listbox", "slider", "spinbutton", "checkbox", "radio", "switch"),
    *("image", "img", "link", "tab", "menuitem", "treeitem", "dialog", "tree", "meter", "progressIndicator"),
}
# Plotly keeps an empty drawing outside of the page to measure with; its charts are described at the box around them.
WITHIN = """function () {
  const described = this.closest('[aria-label]:not([aria-label=""]), [aria-hidden="true"]')
  return this.id === "js-plotly-tester" || Boolean(described) ? "" : this.outerHTML.slice(0, 200)
}"""
DRAWN_MS = 1200
TABS = 80
PARTS = 3  # so that none takes minutes


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Demo]:
    data_dir = tmp_path_factory.mktemp("desk")
    return data_dir, fill(data_dir)


@pytest.fixture(scope="module")
def address(demo: tuple[Path, Demo]) -> Iterator[str]:
    with served(demo[0], settings={"REX_DEVICE": "cpu"}) as url:
        yield url


def opened(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_test_id("stHeading").first.wait_for(timeout=RUN_MS)
    settled(page)
    page.wait_for_timeout(DRAWN_MS)


def nameless(session: CDPSession) -> list[str]:
    """Role and markup of what the accessibility tree has no name for, though it can be used or looked at."""
    found = []
    for node in session.send("Accessibility.getFullAXTree")["nodes"]:
        role, name = (node.get(one, {}).get("value", "").strip() for one in ("role", "name"))
        # Streamlit calls a sign alone by the name of its drawing, as “stop_circle icon”.
        sign = role == "button" and re.fullmatch(r"[a-z]+_[a-z_]+ icon", name)
        if node.get("ignored") or role not in NAMED or (name and not sign):
            continue
        element = session.send("DOM.resolveNode", {"backendNodeId": node["backendDOMNodeId"]})["object"]["objectId"]
        call = {"objectId": element, "functionDeclaration": WITHIN, "returnByValue": True}
        if markup := session.send("Runtime.callFunctionOn", call)["result"]["value"]:
            found.append(f"{role}: {markup}")
    return found


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_that_can_be_used_or_seen_has_a_name_on_every_page(
    page: Page, address: str, demo: tuple[Path, Demo], language: str, part: int
) -> None:
    session = page.context.new_cdp_session(page)
    problems = []
    for name, path in list(addresses(demo[1]).items())[part::PARTS]:
        opened(page, address + path)
        if language != "zh":  # every page is opened in a session of its own, which begins in Chinese
            page.keyboard.press("Alt+KeyL")
            expect(page.get_by_text(catalogue(language)["nav.analysis"], exact=True)).to_be_visible(timeout=RUN_MS)
            settled(page)
            page.wait_for_timeout(DRAWN_MS)
        problems += [f"{name}: {one}" for one in dict.fromkeys(nameless(session))]
    assert problems == []


def focused(page: Page) -> tuple[str, str]:
    """Role or tag, and name, of what has the focus."""
    role, name = page.evaluate(
        """() => {
          let one = document.activeElement
          while (one && one.shadowRoot && one.shadowRoot.activeElement) one = one.shadowRoot.activeElement
          const name = one.getAttribute("aria-label") || one.innerText || ""
          return [one.getAttribute("role") || one.tagName.toLowerCase(), name]
        }"""
    )
    return role, name


def tab_to(page: Page, role: str, name: str = "") -> None:
    """Press Tab until the control has the focus."""
    for _ in range(TABS):
        page.keyboard.press("Tab")
        here = focused(page)
        if here[0] == role and name in here[1]:
            return
    pytest.fail(f"no {role} “{name}” within {TABS} steps of Tab; the last was {focused(page)}")


def test_from_an_empty_page_to_a_finding_and_its_review_by_keys_alone(page: Page, address: str) -> None:
    opened(page, f"{address}/jobs")
    page.keyboard.press("g")
    page.keyboard.press("e")
    expect(page.get_by_label(WORDS["input.text"], exact=True)).to_be_visible(timeout=RUN_MS)
    settled(page)
    tab_to(page, "combobox", WORDS["preset.pick"])
    before = page.get_by_label(WORDS["input.text"], exact=True).input_value()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    settled(page)
    assert page.get_by_label(WORDS["input.text"], exact=True).input_value() != before, "another preset, another sample"
    page.keyboard.press("Control+Enter")
    page.get_by_test_id("stDownloadButton").first.wait_for(timeout=RUN_MS)
    settled(page)
    tab_to(page, "canvas")
    page.keyboard.press("ArrowDown")
    chosen = page.locator('[data-testid="stDataFrame"] [role="gridcell"][aria-selected="true"]').first
    assert chosen.text_content(), "the table has a chosen cell"
    tab_to(page, "a", WORDS["actions.review"])
    page.keyboard.press("Enter")
    expect(page.locator(".rexa")).to_be_visible(timeout=RUN_MS)
    settled(page)
    rows = page.locator(".rexa-row")
    expect(rows.nth(0)).to_have_attribute("aria-current", "true")
    tab_to(page, "group", WORDS["review.do.region"])
    page.keyboard.press("j")
    expect(rows.nth(1)).to_have_attribute("aria-current", "true")
    page.keyboard.press("a")
    expect(rows.nth(1).locator(".rexa-state")).to_have_text("✓", timeout=RUN_MS)


def test_no_table_offers_a_file_whose_cells_a_spreadsheet_would_run(
    page: Page, address: str, demo: tuple[Path, Demo]
) -> None:
    opened(page, f"{address}/entities?job={demo[1].jobs['ner']}")
    table = page.get_by_test_id("stDataFrame").first
    table.hover()
    expect(page.get_by_role("button", name=WORDS["frame.full"], exact=True).first).to_be_visible()
    expect(page.get_by_role("button", name=WORDS["frame.csv"], exact=True)).to_have_count(0)
    page.keyboard.press("Alt+KeyL")
    settled(page)
    table.hover()
    expect(page.get_by_role("button", name="Fullscreen", exact=True).first).to_be_visible()
    expect(page.get_by_role("button", name="Download as CSV", exact=True)).to_have_count(0)


def test_no_english_word_of_the_frame_is_left_in_chinese_and_all_are_back_in_english(page: Page, address: str) -> None:
    opened(page, f"{address}/documents")
    field = page.get_by_role("textbox", name=WORDS["documents.search"], exact=True)
    field.fill("退款")
    expect(page.get_by_text(WORDS["frame.enter"])).to_be_visible()
    expect(page.get_by_text(WORDS["frame.upload"]).first).to_be_attached()
    left = page.evaluate(
        """words => ["aria-label", "title", "placeholder"].flatMap(name =>
          [...document.querySelectorAll(`[${name}]`)].map(one => one.getAttribute(name))
        ).filter(said => words.includes(said))""",
        list(FRAME),
    )
    assert left == []
    field.fill("")
    field.blur()
    settled(page)
    page.keyboard.press("Alt+KeyL")
    expect(page.get_by_role("link", name="Skip to main content")).to_be_attached(timeout=RUN_MS)
    expect(page.get_by_text("per file", exact=False).first).to_be_attached()
