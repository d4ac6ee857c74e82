"""Pictures of the running desk for the README: `python scripts/screenshots.py` writes docs/images/*.png.

Needs Chromium on the PATH and the packages of requirements-dev.txt. Uses a throw-away data directory.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
WINDOW = {"width": 1440, "height": 900}
BROWSER_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
START_S = 120
RUN_MS = 180_000
# Page, and whether its run button is pressed first.
PAGES = {
    "overview": True,
    "entities": True,
    "relations": True,
    "events": True,
    "aspects": True,
    "classification": True,
    "matching": True,
    "reading": True,
    "documents": False,
    "runs": False,
    "gpu": False,
    "settings": False,
}


@contextmanager
def served(data_dir: Path) -> Iterator[str]:
    """The desk on a free port of this machine; yields its address and stops it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app/app.py"]
    command += [f"--server.port={port}", "--server.address=127.0.0.1", "--server.headless=true"]
    log = data_dir / "server.log"
    with log.open("wb") as output:
        environment = {**os.environ, "REX_DATA_DIR": str(data_dir)}
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            wait_until_healthy(server, address, log=log)
            yield address
        finally:
            server.terminate()
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def wait_until_healthy(server: subprocess.Popen[bytes], address: str, *, log: Path) -> None:
    """Return once the server answers; raises RuntimeError with its output when it does not."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.3)
    raise RuntimeError(f"the desk did not start:\n{log.read_text(errors='replace')[-4000:]}")


def settled(page: Page) -> None:
    """Wait until no script runs any more."""
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=RUN_MS)
    page.wait_for_timeout(600)


def take(page: Page, address: str, *, name: str, run: bool) -> Path:
    """Open one page, press its run button if asked, and photograph it."""
    page.goto(f"{address}/" if name == "overview" else f"{address}/{name}")
    page.wait_for_selector('[data-testid="stHeading"]', timeout=RUN_MS)
    settled(page)
    if run:
        page.get_by_role("button", name="开始分析").first.click()
        page.wait_for_selector('[data-testid="stDownloadButton"]', timeout=RUN_MS)
        settled(page)
    target = IMAGES / f"{name}.png"
    page.screenshot(path=target)
    return target


def main() -> None:
    """Photograph every page named in PAGES, or only those named on the command line."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("chromium not found: apt-get install chromium fonts-noto-cjk")
    wanted = sys.argv[1:] or list(PAGES)
    IMAGES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder)) as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=BROWSER_ARGUMENTS)
        page = browser.new_page(viewport=WINDOW, locale="zh-CN")
        for name in wanted:
            print(take(page, address, name=name, run=PAGES[name]).relative_to(ROOT))
        browser.close()


if __name__ == "__main__":
    main()
