"""How quick the desk's pages are in a browser: `python -m scripts.time_desk`; needs Chromium. Saves its figures.

First paint: from asking for the address in a new session until the page's title is there, and until its script has
ended. Interaction: the other language is chosen on an open page, until its title has changed, which runs the whole page
again and changes every word on it. Then a document of 20,000 characters with 2,000 findings on each page that shows it;
and twice ten browser sessions at once, each with a text of its own, which must come back to it and to no other, and the
memory they take.

Times are those of the page's own clock, from the click or the key until what it changes is there: the tool that clicks
takes longer over it than a hand, and on its own looks at a page only every half a second. Beside them stands for how
long the processor worked for them, in the page (its main thread) and in the server: that hardly depends on what else it
has to do.

What cannot be measured is written down as a problem; the rest is saved. `scripts/desk_figures.py` makes the table of
docs/desk.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import torch
from playwright.sync_api import Browser, BrowserContext, Page
from playwright.sync_api import Error as PlaywrightError

from core import bootstrap
from core.benchmark.environment import describe
from core.benchmark.texts import ROOT
from core.config import Settings
from core.storage.store import Store
from core.types import AnnotatedDocument, Annotation, Document
from scripts.demo_data import Demo, fill
from scripts.desk_figures import table
from scripts.desk_server import RUN_MS, WINDOW, chromium, served, settled
from scripts.screenshots import addresses
from streamlit_app.i18n import catalogue
from streamlit_app.navigation import PAGES

SESSIONS = 10
CHARACTERS, SPANS = 20_000, 2_000
TYPES = ("人物", "地点", "组织机构", "时间", "金额")
CHINESE, ENGLISH = catalogue("zh"), catalogue("en")
TARGETS = {"first_paint_s": 2.0, "interaction_s": 0.3}
# The text with its chips, and the row that is on: what an action on the page changes.
MARKS = "() => document.querySelector('.rex-text')?.textContent"
ROW = "() => document.querySelector('.rexa-row.on')?.dataset.node"
ANSWERED = "() => document.querySelector('.rexa')?.dataset.busy === 'false'"
# When the user last did something, by the page's clock.
CLOCK = (
    "for (const kind of ['click', 'keydown']) addEventListener(kind, () => { window.acted = performance.now() }, true)"
)
# The time, in milliseconds since the address was asked for, once this is so.
HEADED = """words => [...document.querySelectorAll('[data-testid="stHeading"]')]
  .some(one => one.textContent.trim() === words) && performance.now()"""
ENDED = """() => document.querySelector('[data-testid="stApp"][data-test-script-state="notRunning"]')
  && performance.now()"""
STAGES = ("pages", "big_document", "sessions")


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pages", nargs="*", help="names of pages; all by default")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=3, help="pages are visited again no longer than this")
    parser.add_argument(
        "--stage", action="append", choices=STAGES, help="all by default; what the file has of others stays"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "benchmarks" / "desk" / "ui.json")
    asked = parser.parse_args()
    figures: dict[str, Any] = {
        "command": "python -m scripts.time_desk " + " ".join(sys.argv[1:]),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "environment": describe(torch.device("cpu")),
        "load": {"before": load()},
        "problems": [],
        "targets": TARGETS,
    }
    if asked.stage and asked.out.exists():
        kept = json.loads(asked.out.read_text("utf-8"))
        figures |= {name: kept[name] for name in STAGES if name in kept and name not in asked.stage}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        demo = fill(data)
        big = store_big(data)
        with served(data) as base, chromium() as browser:
            begin = time.perf_counter()
            stages = {
                "pages": lambda: time_pages(
                    browser,
                    base,
                    demo,
                    asked.pages,
                    server=server_of(base),
                    rounds=asked.rounds,
                    until=begin + asked.minutes * 60,
                ),
                "big_document": lambda: time_big(browser, base, big),
                "sessions": lambda: time_sessions(browser, base, server_of(base)),
            }
            for name in asked.stage or STAGES:
                try:
                    figures[name] = stages[name]()
                except (PlaywrightError, AssertionError) as error:
                    figures["problems"].append(f"{name}: {str(error).splitlines()[0]}")
                figures["load"][name] = load()
                figures["measured_s"] = round(time.perf_counter() - begin, 1)
                asked.out.write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(table(figures))
    print(*figures["problems"], sep="\n")
    raise SystemExit(bool(figures["problems"]))


def load() -> float:
    """Processes that ran or wanted to, in the mean of the last minute."""
    return round(os.getloadavg()[0], 2)


def server_of(base: str) -> psutil.Process:
    """The process that serves `base`, a child of this one."""
    port = base.rpartition(":")[2]
    return next(one for one in psutil.Process().children() if f"--server.port={port}" in one.cmdline())


def time_pages(
    browser: Browser,
    base: str,
    demo: Demo,
    names: list[str],
    *,
    server: psutil.Process,
    rounds: int,
    until: float,
) -> dict[str, Any]:
    """Medians for every page, each time in a session of its own. The first visit counts only where none follows.

    No more than `rounds` further visits, and none that would begin after the moment `until`.
    """
    known = addresses(demo)
    wanted = names or [name for group in PAGES.values() for name in group]
    times: dict[str, list[dict[str, float]]] = {name: [] for name in wanted}
    for number in range(rounds + 1):
        for name in wanted:
            if number == 0 or time.perf_counter() < until:
                times[name].append(_page(browser, base + known[name], name, server=server))
                print(
                    f"{number} {name:18} {times[name][-1]['title_s']:.2f} {times[name][-1]['again_s']:.2f}", flush=True
                )
    figures: dict[str, Any] = {}
    for name, all_of_it in times.items():
        counted = all_of_it[1:] or all_of_it
        figures[name] = {key: round(median(one[key] for one in counted), 3) for key in counted[0]}
        figures[name]["visits"] = len(all_of_it) - 1
    return figures


def _page(browser: Browser, address: str, name: str, *, server: psutil.Process) -> dict[str, float]:
    with _session(browser) as context:
        page = context.new_page()
        worked = _processor(page, server)
        page.goto(address, wait_until="commit")
        title = _when(page, HEADED, CHINESE[f"page.{name}"])
        whole = _when(page, ENDED)
        settled(page)
        opening = worked()
        page.get_by_test_id("stSidebar").get_by_text("English", exact=True).click()
        again = _when(page, HEADED, ENGLISH[f"page.{name}"]) - _acted(page)
        again_whole = _when(page, ENDED) - _acted(page)
        settled(page)
        redrawing = worked()
        return {
            "title_s": title,
            "whole_s": whole,
            "again_s": again,
            "again_whole_s": again_whole,
            "page_cpu_s": opening[0],
            "server_cpu_s": opening[1],
            "again_page_cpu_s": redrawing[0],
            "again_server_cpu_s": redrawing[1],
        }


def _processor(page: Page, server: psutil.Process) -> Callable[[], tuple[float, float]]:
    """What gives the seconds that the processor worked for the page and in the server since it was asked last."""
    browser = page.context.new_cdp_session(page)
    browser.send("Performance.enable", {"timeDomain": "threadTicks"})

    def now() -> tuple[float, float]:
        metrics = {one["name"]: one["value"] for one in browser.send("Performance.getMetrics")["metrics"]}
        spent = server.cpu_times()
        return metrics["TaskDuration"], spent.user + spent.system

    last = now()

    def since() -> tuple[float, float]:
        nonlocal last
        before, last = last, now()
        return last[0] - before[0], last[1] - before[1]

    return since


def _session(browser: Browser) -> BrowserContext:
    context = browser.new_context(viewport=WINDOW, locale="zh-CN")
    context.add_init_script(CLOCK)
    return context


def _when(page: Page, what: str, words: str | None = None) -> float:
    """Wait until a script gives a time of the page's clock; seconds since the address was asked for."""
    return float(page.wait_for_function(what, arg=words, timeout=RUN_MS, polling="raf").json_value()) / 1000


def _acted(page: Page) -> float:
    """When the user last did something, in seconds since the address was asked for."""
    return float(page.evaluate("window.acted")) / 1000


def store_big(data: Path) -> dict[str, int]:
    """Store a long document with many findings, spread evenly; its number and its run's."""
    app = bootstrap.build(Settings(data_dir=data, _env_file=None))
    try:
        sentence = "陈静在杭州的浙江大学读书，去年三月在上海花了二百元。\n"
        text = (sentence * (CHARACTERS // len(sentence) + 1))[:CHARACTERS]
        step = CHARACTERS // SPANS
        found = tuple(
            Annotation(TYPES[number % len(TYPES)], at, at + 3, text[at : at + 3], 0.5 + number % 50 / 100)
            for number, at in enumerate(range(0, CHARACTERS - 3, step))
        )
        store = Store(app.database)
        document = Document(text, id="long")
        [number] = store.add_documents([document])
        run = store.start_run(
            schema=dict.fromkeys(TYPES), task="ner", schema_id=None, model="m", revision="", dtype="", device="",
            threshold=0.5, total=1,
        )  # fmt: skip
        store.save_result(run, number, result=AnnotatedDocument(document, "ner", found), duration_s=1, position=0)
        store.finish_run(run, "done")
        return {"document": number, "run": run}
    finally:
        app.close()


def time_big(browser: Browser, base: str, big: Mapping[str, int]) -> dict[str, Any]:
    """Seconds until each page that shows the long document stands still, and of an interaction on it."""
    views = {
        "jobs": f"/jobs?job={big['run']}",
        "documents": f"/documents?document={big['document']}",
        "entities": f"/entities?job={big['run']}",
        "review": f"/review?run={big['run']}&document={big['document']}",
        "explore": f"/explore?run={big['run']}",
    }
    figures: dict[str, Any] = {"characters": CHARACTERS, "spans": SPANS}
    for name, address in views.items():
        times = [_big_page(browser, base + address, name) for _ in range(2)]
        figures[name] = {key: round(value, 3) for key, value in times[1].items()}
        print(f"{name:18} {figures[name]}", flush=True)
    return figures


def _big_page(browser: Browser, address: str, name: str) -> dict[str, float]:
    """Open; then on a marked text leave out a type and turn the page, under review step on and accept."""
    with _session(browser) as context:
        page = context.new_page()
        page.goto(address, wait_until="commit")
        _when(page, HEADED, CHINESE[f"page.{name}"])
        if name == "review":
            page.locator(".rexa-row.on").wait_for(timeout=RUN_MS)
        elif name != "explore":
            page.locator(".rex-text").first.wait_for(timeout=RUN_MS)
        times = {"open_s": _when(page, ENDED)}
        settled(page)
        if name == "review":
            times["next_s"] = _until_changed(page, ROW, lambda: page.keyboard.press("j"))
            page.keyboard.press("a")
            times["accept_s"] = _when(page, f"() => ({ANSWERED})() && performance.now()") - _acted(page)
        elif name != "explore":
            group = page.get_by_test_id("stButtonGroup").filter(has_text=f"{TYPES[0]} ").last
            kind = group.get_by_text(f"{TYPES[0]} ").first
            times["filter_s"] = _until_changed(page, MARKS, kind.click)
            settled(page)
            following = page.get_by_test_id("stPagination").first.get_by_text("2", exact=True)
            times["next_s"] = _until_changed(page, MARKS, following.click)
        return times


def _until_changed(page: Page, what: str, act: Callable[[], None]) -> float:
    """Seconds from an action until what a script reads from the page has changed."""
    before = page.evaluate(what)
    act()
    changed = page.wait_for_function(
        f"before => ({what})() !== before && performance.now()", arg=before, timeout=RUN_MS, polling=20
    )
    return float(changed.json_value()) / 1000 - _acted(page)


def time_sessions(browser: Browser, base: str, server: psutil.Process) -> dict[str, Any]:
    """Ten sessions run the entities page at once, then ten more; the server's memory before and after each, in MiB."""
    memory, took, mixed = [_memory(server)], [], 0
    for first in (0, SESSIONS):
        seconds, others = _at_once(browser, base, first)
        took.append(seconds)
        mixed += others
        memory.append(_memory(server))
    grown = [(after - before) / SESSIONS for before, after in zip(memory, memory[1:], strict=False)]
    return {
        "sessions": SESSIONS,
        "all_answered_s": [round(one, 2) for one in took],
        "mixed": mixed,
        "server_mib": memory,
        "mib_a_session": [round(one, 2) for one in grown],
    }


def _at_once(browser: Browser, base: str, first: int) -> tuple[float, int]:
    """Seconds until ten sessions that run together are all answered; how many with the text of another."""
    contexts = [_session(browser) for _ in range(SESSIONS)]
    try:
        pages = [context.new_page() for context in contexts]
        texts = [
            f"第{number}位分析师陈静{number}号昨天在杭州的浙江大学开会。" for number in range(first, first + SESSIONS)
        ]
        for page in pages:
            page.goto(f"{base}/entities", wait_until="commit")
        for page, text in zip(pages, texts, strict=True):
            _when(page, HEADED, CHINESE["page.entities"])
            settled(page)
            field = page.get_by_label(CHINESE["input.text"], exact=True)
            field.fill(text)
            field.blur()
        for page in pages:
            settled(page)
        begin = time.perf_counter()
        for page in pages:
            # At once: a real click would wait for the page to stand still, one page after the other.
            page.get_by_role("button", name=CHINESE["task.run"], exact=False).first.dispatch_event("click")
        shown = []
        for page in pages:
            page.locator(".rex-text").first.wait_for(timeout=RUN_MS)
            shown.append(page.locator(".rex-text").first.inner_text())
        took = time.perf_counter() - begin
        return took, sum(not one.startswith(text[: text.index("陈静")]) for one, text in zip(shown, texts, strict=True))
    finally:
        for context in contexts:
            context.close()


def _memory(server: psutil.Process) -> float:
    return round(server.memory_info().rss / 2**20, 1)


if __name__ == "__main__":
    main()
