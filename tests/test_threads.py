"""Idle threads of torch must not starve other programs on the same cores."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHOW = "import sys, core, os; assert 'torch' not in sys.modules; print(os.environ['GOMP_SPINCOUNT'])"


def _spin_count(given: dict[str, str]) -> int:
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"} | given
    shown = subprocess.run(
        [sys.executable, "-c", SHOW], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return int(shown.stdout)


def test_importing_core_bounds_the_spinning_before_torch_is_loaded() -> None:
    assert _spin_count({}) <= 20_000


def test_a_value_that_the_user_set_stays() -> None:
    assert _spin_count({"GOMP_SPINCOUNT": "123"}) == 123
