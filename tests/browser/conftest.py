"""One Chromium for each file of browser tests, and a window of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: requirements-dev.txt")

from playwright.sync_api import Browser, Page

from scripts.desk_server import WINDOW, chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport=WINDOW, locale="zh-CN", accept_downloads=True)
    yield context.new_page()
    context.close()
