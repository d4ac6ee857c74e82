"""Pictures of every page, filled: `python -m scripts.screenshots [page ...]` writes build/screenshots/<theme>-<size>/.

    make screenshots                                     every page, both themes, 1440x900 and 1920x1080
    python -m scripts.screenshots entities gpu --theme dark --size 1440x900
    python -m scripts.screenshots --readme               the pictures of docs/images

Needs Chromium on the PATH and the packages of requirements-dev.txt. Uses a throw-away data directory, filled by
scripts/demo_data.py with real results. A page that does not draw is named at the end; the others are taken.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable
from pathlib import Path

from playwright.sync_api import Browser, Page
from playwright.sync_api import Error as PlaywrightError

from scripts.demo_data import Demo, fill
from scripts.desk_server import ROOT, RUN_MS, chromium, served, settled
from streamlit_app.components.task_pages import TASK_PAGES
from streamlit_app.i18n import catalogue
from streamlit_app.navigation import PAGES

OUT = ROOT / "build" / "screenshots"
IMAGES = ROOT / "docs" / "images"
README = ("overview", "entities", "relations", "review", "gpu")
THEMES = ("light", "dark")
SIZES = ("1440x900", "1920x1080")
WORDS = catalogue("zh")
DRAWN_MS = 2500  # charts and tables draw themselves after the script has ended
# The second and further tasks of a page, and views of a page that its first picture does not show.
VIEWS = {
    "explore": ("scores", "together", "time", "context", "documents"),
    "review": ("changes", "history", "queue", "scores"),
}


def addresses(demo: Demo) -> dict[str, str]:
    """Name of the picture → address that shows it filled; the plain page where nothing better is known."""
    found = {name: f"/{name}" for names in PAGES.values() for name in names}
    found["overview"] = "/"
    for task, page in TASK_PAGES.items():
        second = found[page] != f"/{page}"
        name = f"{page}-{task}" if second else page
        found[name] = f"/{page}?job={demo.jobs[task]}" + (f"&task={task}" if second else "")
    found |= {
        "documents-one": f"/documents?document={demo.document}",
        "jobs-one": f"/jobs?job={demo.news}",
        "review": f"/review?run={demo.news}&document={demo.document}",
        "explore": f"/explore?run={demo.complaints}",
        "explore-relations": f"/explore?run={demo.jobs['re']}&view=relations",
        "explore-polarity": f"/explore?run={demo.feelings},{demo.jobs['absa']}&view=polarity",
        "explore-quality": f"/explore?run={demo.news}&view=quality",
        "schemas": f"/schemas?schema={demo.schema}",
        "exports": f"/exports?run={demo.news}",
    }
    return found


def take(page: Page, address: str, name: str, *, place: Path) -> list[str]:
    """Photograph one page, and its views where it has some, but for the README; what did not work, in words."""
    page.goto(address)
    page.get_by_test_id("stHeading").first.wait_for(timeout=RUN_MS)
    settled(page)
    problems = []
    if name == "overview":
        page.get_by_role("button", name=WORDS["overview.run"]).first.click()
        page.get_by_test_id("stDownloadButton").first.wait_for(timeout=RUN_MS)
        settled(page)
    page.wait_for_timeout(DRAWN_MS)
    page.screenshot(path=place / f"{name}.png")
    if page.get_by_test_id("stException").count():
        problems.append(f"{name}: the page shows an exception")
    for view in VIEWS.get(name, ()) if place != IMAGES else ():
        label = WORDS.get(f"{name}.view.{view}") or WORDS.get(f"{name}.tab.{view}")
        button = page.get_by_test_id("stButtonGroup").get_by_text(label or view, exact=True)
        if not button.count():
            problems.append(f"{name}: no view “{view}”")
            continue
        button.first.click()
        settled(page)
        page.wait_for_timeout(DRAWN_MS)
        page.screenshot(path=place / f"{name}-{view}.png")
    return problems


def take_all(
    browser: Browser, base: str, demo: Demo, *, names: Iterable[str], theme: str, size: str, place: Path
) -> list[str]:
    """Photograph pages in one theme and size; what did not work."""
    place.mkdir(parents=True, exist_ok=True)
    width, height = (int(part) for part in size.split("x"))
    context = browser.new_context(
        viewport={"width": width, "height": height}, locale="zh-CN", color_scheme="dark" if theme == "dark" else "light"
    )
    page = context.new_page()
    problems = []
    known = addresses(demo)
    for name in names:
        try:
            problems += take(page, base + known[name], name, place=place)
        except PlaywrightError as error:
            problems.append(f"{name}: {str(error).splitlines()[0]}")
    context.close()
    return [f"{theme} {size} {one}" for one in problems]


def main() -> None:
    """Photograph what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pages", nargs="*", help="names of pictures; all of them by default")
    parser.add_argument("--theme", action="append", choices=THEMES)
    parser.add_argument("--size", action="append", help="WIDTHxHEIGHT")
    parser.add_argument("--readme", action="store_true", help="the pictures of docs/images only")
    parser.add_argument("--data", type=Path, help="a directory to fill and keep, for a look at the running desk")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = asked.data or Path(folder)
        data.mkdir(parents=True, exist_ok=True)
        demo = fill(data)
        names = asked.pages or (README if asked.readme else list(addresses(demo)))
        problems = []
        with served(data) as base, chromium() as browser:
            for theme in ("light",) if asked.readme else asked.theme or THEMES:
                for size in ("1440x900",) if asked.readme else asked.size or SIZES:
                    place = IMAGES if asked.readme else OUT / f"{theme}-{size}"
                    problems += take_all(browser, base, demo, names=names, theme=theme, size=size, place=place)
                    print(f"{place.relative_to(ROOT)}: {len(list(place.glob('*.png')))} pictures", flush=True)
    for one in problems:
        print("not as it should be:", one)
    raise SystemExit(bool(problems))


if __name__ == "__main__":
    main()
