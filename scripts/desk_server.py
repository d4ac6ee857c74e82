"""The desk as users run it, on a free port and a data directory of its own; for browser tests and screenshots."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
WINDOW: ViewportSize = {"width": 1440, "height": 900}
BROWSER_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
START_S = 120
RUN_MS = 180_000


@contextmanager
def served(
    data_dir: Path,
    *,
    settings: Mapping[str, str] | None = None,
    script: Sequence[str] = ("streamlit_app/app.py",),
    port: int = 0,
) -> Iterator[str]:
    """Yield the address of a desk that keeps its data in `data_dir`; `settings` are more environment variables.

    `script`: what Streamlit runs, with its arguments. `port`: where it listens, a free one for 0.
    """
    port = port or free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "streamlit", "run", script[0]]
    command += [f"--server.port={port}", "--server.address=127.0.0.1", "--server.headless=true"]
    command += ["--", *script[1:]] if script[1:] else []
    log = data_dir / "server.log"
    with log.open("wb") as output:
        environment = {**os.environ, "REX_DATA_DIR": str(data_dir), "REX_HEALTH_PORT": "0", **(settings or {})}
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


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# Streamlit fetches the code of a widget when the first of its kind is drawn; until then this holds a smaller place.
SKELETON = '[data-testid="stSkeleton"]'


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


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield Debian's Chromium. Raises RuntimeError when it is not installed."""
    executable = shutil.which("chromium")
    if executable is None:
        raise RuntimeError("chromium not found: apt-get install chromium fonts-noto-cjk")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=BROWSER_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def settled(page: Page) -> None:
    """Wait until no script runs any more and every widget has taken the place of its skeleton."""
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=RUN_MS)
    page.wait_for_function(f"() => !document.querySelector({SKELETON!r})", timeout=RUN_MS, polling=50)
    page.wait_for_timeout(600)
