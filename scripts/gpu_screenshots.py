"""Pictures of the GPU page on scripted machines: `python -m scripts.gpu_screenshots OUT [scenario ...]`.

Every scenario whole; `normal` also as the window shows it at 1440×900 and 1920×1080, light and dark.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser

from scripts.desk_server import RUN_MS, chromium, served, settled
from scripts.scripted_scenarios import SCENARIOS

SIZES = {"1440": (1440, 900), "1920": (1920, 1080)}
SHOTS = (("1440", "light"), ("1920", "light"), ("1440", "dark"), ("1920", "dark"))
WHOLE_PX = 2250
FIRST = "normal"


def photograph(
    browser: Browser, address: str, *, target: Path, size: tuple[int, int], theme: str, load: bool = False
) -> Path:
    """Open the page in one size and theme, load the model if asked, and photograph it."""
    page = browser.new_page(
        viewport={"width": size[0], "height": size[1]},
        locale="zh-CN",
        color_scheme="dark" if theme == "dark" else "light",
    )
    page.goto(f"{address}/gpu")
    page.wait_for_selector('[data-testid="stHeading"]', timeout=RUN_MS)
    settled(page)
    button = page.get_by_role("button", name="加载模型")
    if load and button.count():
        button.first.click()
        page.wait_for_timeout(1000)
        settled(page)
    page.wait_for_selector(".js-plotly-plot", timeout=RUN_MS)  # drawn after the script has ended
    page.wait_for_timeout(4000)
    page.screenshot(path=target, timeout=RUN_MS)
    page.close()
    return target


def main() -> None:
    """Photograph the scenarios named on the command line, or all."""
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    names = sys.argv[2:] or list(SCENARIOS)
    with chromium() as browser:
        for name in names:
            script = ("scripts/scripted_desk.py", name)
            with tempfile.TemporaryDirectory() as folder, served(Path(folder), script=script) as address:
                first = name == FIRST
                for size, theme in SHOTS if first else ():
                    target = out / f"{name}-{size}-{theme}.png"
                    print(photograph(browser, address, target=target, size=SIZES[size], theme=theme, load=first))
                target = out / f"{name}-whole.png"
                print(photograph(browser, address, target=target, size=(1440, WHOLE_PX), theme="light"))


if __name__ == "__main__":
    main()
