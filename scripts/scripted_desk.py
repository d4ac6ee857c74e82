"""The desk on a scripted machine, for pictures: `streamlit run scripts/scripted_desk.py -- normal`.

The monitor of the application is replaced from outside; the product itself knows nothing of scripts.
"""

from __future__ import annotations

import runpy
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)] if str(ROOT) not in sys.path else []

from core.gpu.monitor import GpuMonitor  # noqa: E402
from core.services import Application  # noqa: E402
from scripts.scripted_cards import Scenario, played  # noqa: E402
from scripts.scripted_scenarios import SCENARIOS  # noqa: E402
from streamlit_app.resources import application  # noqa: E402

PAST_S, STEP_S = 1750, 2


def with_past(scenario: Scenario) -> GpuMonitor:
    """A monitor with half an hour behind it."""
    now = [time.time() - PAST_S]
    monitor = played(scenario, lambda: now[0])
    ends = time.time()
    waiting = sorted(scenario.events, key=lambda event: -event[0])
    while now[0] < ends:
        while waiting and now[0] >= ends - waiting[0][0]:
            monitor.mark(waiting[0][1], waiting.pop(0)[2])
        monitor.sample()
        now[0] += STEP_S
    monitor._clock = time.time
    monitor.follow = lambda worker, **_: None  # type: ignore[method-assign]  # the script plays the model's process too
    return monitor


def put_in_place(app: Application, scenario: Scenario) -> None:
    """Give the application a scripted monitor, once."""
    if not getattr(app.monitor, "scripted", False):
        app.monitor.close()
        app.monitor = with_past(scenario)
        app.monitor.scripted = True  # type: ignore[attr-defined]


if __name__ == "__main__":
    put_in_place(application(), SCENARIOS[sys.argv[1]])
    runpy.run_path(str(ROOT / "streamlit_app" / "app.py"), run_name="__main__")
