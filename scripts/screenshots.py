"""Pictures of the running desk for the README: `python -m scripts.screenshots [page ...]` writes docs/images/*.png.

Needs Chromium on the PATH and the packages of requirements-dev.txt. Uses a throw-away data directory.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from scripts.desk_server import ROOT, RUN_MS, WINDOW, chromium, served, settled

IMAGES = ROOT / "docs" / "images"
RUN_BUTTON = re.compile("运行|生成报告")
# Page, and whether its run button is pressed first.
PAGES = {
    "overview": True,
    "entities": True,
    "events": True,
    "aspects": True,
    "classification": True,
    "matching": True,
    "reading": True,
    "relations": True,
    "review": False,  # shows the newest run
    "explore": False,
    "schemas": False,
    "documents": False,
    "jobs": False,
    "exports": False,
    "gpu": False,
    "doctor": False,
    "settings": False,
}


def take(page: Page, address: str, *, name: str, run: bool) -> Path:
    """Open one page, press its run button if asked, and photograph it."""
    page.goto(f"{address}/" if name == "overview" else f"{address}/{name}")
    page.wait_for_selector('[data-testid="stHeading"]', timeout=RUN_MS)
    settled(page)
    if run:
        page.get_by_role("button", name=RUN_BUTTON).first.click()
        page.wait_for_selector('[data-testid="stDownloadButton"]', timeout=RUN_MS)
        settled(page)
    page.wait_for_timeout(5000)  # charts and tables draw themselves after the script has ended
    target = IMAGES / f"{name}.png"
    page.screenshot(path=target)
    return target


def main() -> None:
    """Photograph every page of PAGES, or only those named on the command line."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as address, chromium() as browser:
        page = browser.new_page(viewport=WINDOW, locale="zh-CN")
        for name in sys.argv[1:] or PAGES:
            print(take(page, address, name=name, run=PAGES[name]).relative_to(ROOT))


if __name__ == "__main__":
    main()
