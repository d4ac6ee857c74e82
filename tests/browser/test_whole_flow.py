"""An analyst's whole way in a real browser: a table from Excel in, a job, a correction by keyboard, a workbook out."""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest

pytest.importorskip("playwright", reason="playwright is not installed: make test installs it")
from playwright.sync_api import Browser, FilePayload, Locator, Page, expect  # noqa: E402

from core.exporters import FORMATS  # noqa: E402
from scripts.desk_server import RUN_MS, WINDOW, served, settled  # noqa: E402
from streamlit_app.i18n import catalogue  # noqa: E402
from streamlit_app.navigation import KEYS  # noqa: E402

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed: apt-get install chromium"),
]
WORDS, ENGLISH = catalogue("zh"), catalogue("en")
FORMULA = '=HYPERLINK("http://calc.invalid","点我")'
SECRET = "只有第一位分析师才看得见的一句话，张伟在北京。"
CASES = (
    "王秀英反映，她于6月3日在杭州市西湖区的华润万家超市购买了一台美的空调，付款3299元，至今没有安装。",
    "李建国称上海市徐汇区天平路的联通营业厅多扣了他128元套餐费，客服张敏答应三天内退款，已经过去两周。",
    "深圳市南山区的刘洋投诉京东物流把价值5600元的联想笔记本电脑送错了地址，派送员陈强拒绝赔偿。",
    "成都市武侯区居民赵丽华说，万科物业5月起每月多收120元停车费，找项目经理周军三次都没有答复。",
    "广州的黄志强在天河区苏宁易购买的海尔冰箱不到一个月就不制冷，维修费要680元，他认为应该免费。",
    "何静于4月18日向中国银行南京分行投诉理财经理孙涛误导她买了20万元的基金，要求全额退还。",
)
CHANNELS = ("12345热线", "网站", "微信公众号")
ROWS = 30
WORKBOOK = FORMATS["xlsx"].title_zh


def table() -> bytes:
    """The complaints as Chinese Excel saves them: GB18030 with \\r\\n, one of them beginning like a formula."""
    written = io.StringIO(newline="")
    rows = csv.writer(written)
    rows.writerow(["投诉编号", "日期", "渠道", "投诉内容"])
    for number in range(ROWS):
        text = CASES[number % len(CASES)] + f"这是第{number + 1}次登记。"
        if number == 1:
            text = FORMULA + text
        rows.writerow([f"TS2026{number:04}", f"2026-06-{number % 28 + 1:02}", CHANNELS[number % 3], text])
    return written.getvalue().encode("gb18030")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("flow"), settings={"REX_DEVICE": "cpu", "REX_CPU_THREADS": "1"}) as url:
        yield url


def go(page: Page, name: str, words: dict[str, str] = WORDS) -> None:
    """To a page with the keyboard."""
    page.keyboard.press("Escape")
    page.evaluate("() => document.activeElement?.blur()")
    page.keyboard.press("g")
    page.keyboard.press(KEYS[name])
    arrived(page, name, words)


def arrived(page: Page, name: str, words: dict[str, str] = WORDS) -> None:
    seen(page.get_by_role("heading", name=words[f"page.{name}"], exact=True))
    settled(page)


def seen(found: Locator) -> Locator:
    """What is found, once it is on the screen."""
    expect(found).to_be_visible(timeout=RUN_MS)
    return found


def choose(page: Page, field: Locator, option: str) -> None:
    """One of a list of choices."""
    field.click()
    page.get_by_role("option", name=option, exact=True).click()
    settled(page)


def press(page: Page, *keys: str) -> None:
    """Keys on the text under review, each when the one before it is answered."""
    for key in keys:
        page.keyboard.press(key)
        page.wait_for_function("() => document.querySelector('.rexa')?.dataset.busy === 'false'", polling=50)


def test_a_table_of_complaints_becomes_a_workbook_with_what_a_person_corrected_and_nobody_else_sees_the_inputs(
    page: Page, address: str, browser: Browser, tmp_path: Path
) -> None:
    page.set_default_timeout(RUN_MS)
    page.goto(f"{address}/entities")
    arrived(page, "entities")
    field = page.get_by_label(WORDS["input.text"], exact=True)
    field.fill(SECRET)
    field.blur()
    settled(page)
    go(page, "documents")
    other = browser.new_context(viewport=WINDOW, locale="zh-CN")
    try:
        beside = other.new_page()
        beside.goto(f"{address}/entities")
        import_table(page)
        job = run_entities(page)
        before, after = correct_by_keyboard(page)
        workbook = export(page, tmp_path)
        check_workbook(workbook, before=before, after=after)
        flush_and_switch_language(page)
        sees_nothing_of_the_other(beside, job)
    finally:
        other.close()


def import_table(page: Page) -> None:
    page.get_by_text(WORDS["documents.import"], exact=True).click()
    payload = FilePayload(name="投诉.csv", mimeType="text/csv", buffer=table())
    page.get_by_test_id("stFileUploaderDropzoneInput").first.set_input_files(payload)
    said = seen(page.get_by_text("编号列：投诉编号"))
    expect(said).to_contain_text("gb18030")
    expect(said).to_contain_text("正文列：投诉内容")
    page.get_by_role("button", name=WORDS["import.run"].format(count=1)).click()
    seen(page.get_by_text(WORDS["import.done"].format(documents=ROWS, failed=0)))
    settled(page)


def run_entities(page: Page) -> str:
    """The number of the job that reads all of them."""
    page.get_by_role("button", name=WORDS["documents.many"].format(count=ROWS)).click()
    arrived(page, "entities")
    seen(page.get_by_text(WORDS["input.stored.count"].format(count=ROWS, total=ROWS)))
    page.keyboard.press("Control+Enter")
    progress = page.get_by_test_id("stProgress").filter(has_text=f"/ {ROWS}")
    ended = page.get_by_test_id("stDownloadButton").first
    progress.or_(ended).first.wait_for(timeout=RUN_MS)
    ended.wait_for(timeout=RUN_MS)
    expect(page).to_have_url(re.compile(r"\?job=\d+"))
    settled(page)
    page.get_by_role("link", name=WORDS["actions.review"]).click()
    arrived(page, "review")
    return page.url


def correct_by_keyboard(page: Page) -> tuple[str, str]:
    """The words of the first finding before and after, its type being changed too."""
    first = page.locator(".rexa-row.on .rexa-words")
    first.wait_for(timeout=RUN_MS)
    before = first.inner_text()
    press(page, "Alt+Shift+ArrowRight", "3", "Enter")
    settled(page)
    press(page, "p")
    settled(page)
    row = page.locator(".rexa-row").filter(has_text=WORDS["review.was"].split("{")[0]).first
    after = row.locator(".rexa-words").evaluate("one => one.firstChild.textContent")
    assert after.startswith(before) and len(after) == len(before) + 1
    return before, after


def export(page: Page, folder: Path) -> Path:
    go(page, "exports")
    choose(page, page.get_by_role("combobox", name=WORDS["exports.format"]), WORKBOOK)
    page.get_by_role("button", name=WORDS["exports.make"]).click()
    button = page.get_by_test_id("stDownloadButton").get_by_role("button")
    button.wait_for(timeout=RUN_MS)
    with page.expect_download(timeout=RUN_MS) as started:
        button.click()
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    return path


def check_workbook(path: Path, *, before: str, after: str) -> None:
    assert path.suffix == ".xlsx"
    book = openpyxl.load_workbook(path)
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert not [cell for cell in cells if cell.data_type == "f"], "nothing in it is computed when it is opened"
    values = [str(cell.value) for cell in cells]
    assert after in values
    assert any(FORMULA in value for value in values), "what looked like a formula is there as text"
    assert {f"TS2026{number:04}" for number in range(ROWS)} <= set(values)
    assert all(cell.hyperlink is None for cell in cells)
    assert before != after


def flush_and_switch_language(page: Page) -> None:
    go(page, "gpu")
    page.get_by_role("button", name=WORDS["gpu.level.flush"]).click()
    seen(page.get_by_text(re.compile("用时 .* 毫秒")))
    page.keyboard.press("Alt+l")
    arrived(page, "gpu", ENGLISH)
    go(page, "entities", ENGLISH)
    seen(page.get_by_test_id("stDownloadButton").first)


def sees_nothing_of_the_other(beside: Page, job: str) -> None:
    arrived(beside, "entities")
    field = beside.get_by_label(WORDS["input.text"], exact=True)
    assert field.input_value() not in ("", SECRET)
    expect(beside.get_by_test_id("stDownloadButton")).to_have_count(0)
    field.fill("李娜在上海。")
    field.blur()
    arrived(beside, "entities")
    assert field.input_value() == "李娜在上海。"
    assert SECRET not in beside.content()
    assert job not in beside.content()
