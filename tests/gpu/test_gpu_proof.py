"""The proof on a card, as far as a machine without one can run it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from core.gpu.nvml import NvmlDriver, NvmlFailure
from scripts.gpu_proof_picture import monitor_html
from scripts.scripted_cards import played
from scripts.scripted_scenarios import SCENARIOS

# What a bare machine lacks; the first half must not ask for it.
WITHOUT = ("streamlit", "sqlalchemy", "alembic", "plotly", "pandas", "pydantic", "pydantic_settings")


def card_there() -> bool:
    try:
        NvmlDriver().query("nvmlInit")
        return int(NvmlDriver().query("nvmlDeviceGetCount")) > 0
    except NvmlFailure:
        return False


@pytest.mark.skipif(card_there(), reason="this machine has a card: run `python -m scripts.gpu_proof` itself")
def test_without_a_card_and_without_the_desk_s_packages_the_proof_says_why_and_what_it_would_do(tmp_path, repository):
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({WITHOUT!r})); sys.argv = ['x', '--out', {str(tmp_path)!r}]; "
        "from scripts.gpu_proof import main; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert "这里不能证明" in done.stdout and "7." in done.stdout
    found = json.loads((tmp_path / "proof.json").read_text("utf-8"))
    assert found["reason"] and found["checks"] == [] and found["readings"][0]["host"]["rss_bytes"] > 0
    assert "<svg" in (tmp_path / "monitor.html").read_text("utf-8")


def test_the_picture_has_a_line_for_each_kind_of_memory_and_escapes_texts():
    now = [0.0]
    monitor = played(SCENARIOS["normal"], lambda: now[0])
    for step in range(5):
        now[0] = 2.0 * step
        monitor.sample()
    monitor.mark("step", "<分配>")
    html = monitor_html(monitor.history(), monitor.events(), [{"name": "<a>", "held": False, "detail": "b"}], "")
    assert html.count("<polyline") == 6 and "&lt;分配&gt;" in html and "✗" in html and "<a>" not in html
    monitor.close()
