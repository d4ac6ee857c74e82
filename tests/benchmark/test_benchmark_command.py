"""The command: what is run, what is written, what is refused."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from core.benchmark import command
from core.benchmark.figures import Measured
from core.cli import app


@pytest.fixture
def scripted(monkeypatch):
    """One scenario with a fixed value in place of the real ones."""
    monkeypatch.setattr(
        command, "SCENARIOS", {"cpu": lambda bench: [Measured("cpu_ratio", 3.14159, "", {"a": (1, 2)})]}
    )


def test_a_run_is_written_with_everything_that_explains_it(scripted, tmp_path, capsys):
    out = tmp_path / "runs" / "cpu.json"
    command.main(["--device", "cpu", "--only", "cpu_ratio", "--json", "--out", str(out)])
    run = json.loads(out.read_text("utf-8"))
    assert json.loads(capsys.readouterr().out) == run
    assert run["figures"]["cpu_ratio"] == {
        "value": 3.142,
        "unit": "倍",
        "target": "≥ 3",
        "holds": True,
        "detail": {"a": [1, 2]},
    }
    assert run["command"] == f"python -m core benchmark --device cpu --only cpu_ratio --json --out {out}"
    assert (run["device"], run["quick"]) == ("cpu", False)
    assert run["environment"]["versions"]["torch"] and run["environment"]["cores"]


def test_the_terminal_shows_one_line_a_figure(scripted, capsys):
    command.main(["--device", "cpu", "--quick"])
    assert capsys.readouterr().out == "✓ cpu_ratio\t3.142 倍\t目标 ≥ 3\n"


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(SystemExit, match="没有场景或指标“nothing”：可选 throughput"):
        command.main(["--only", "nothing"])


def test_the_product_s_command_line_passes_on(scripted):
    result = CliRunner().invoke(app, ["benchmark", "--device", "cpu", "--only", "cpu"])
    assert result.exit_code == 0, result.output
    assert "cpu_ratio\t3.142" in result.output


def test_the_engine_is_measured_without_the_rest_of_the_product():
    code = "import sys, core.benchmark.command; print(sorted(n for n in sys.modules if '.' not in n))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = set(json.loads(shown.replace("'", '"')))
    assert "torch" in loaded
    assert not loaded & {"typer", "pandas", "sqlalchemy", "streamlit", "transformers", "flashdeberta"}


ABSENT = ("sqlalchemy", "alembic", "streamlit", "typer", "pandas", "transformers", "modelscope", "openpyxl")
"""Packages that a machine with the engine only need not have."""


def without(words: list[str]) -> subprocess.CompletedProcess[str]:
    """`python -m core.benchmark` with those words, in a process in which none of ABSENT can be imported."""
    code = f"""
import runpy, sys
sys.modules.update(dict.fromkeys({ABSENT!r}))
sys.argv = ["benchmark", *{words!r}]
runpy.run_module("core.benchmark", run_name="__main__", alter_sys=True)
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_scenarios_are_listed_where_only_the_engine_s_packages_are_installed():
    shown = without(["--help"])
    assert shown.returncode == 0, shown.stderr
    listed = "".join(shown.stdout.split())
    assert all(name in listed for name in command.SCENARIOS)


def test_a_scenario_without_its_packages_is_missing_for_that_reason_and_others_run(tmp_path, checkpoint_dir):
    out = tmp_path / "run.json"
    words = ["--device", "cpu", "--quick", "--model", str(checkpoint_dir), "--out", str(out)]
    done = without([*words, "--only", "cpu,queries"])
    assert done.returncode == 0, done.stderr
    figures = json.loads(out.read_text("utf-8"))["figures"]
    assert figures["cpu_ratio"]["value"] > 0
    assert figures["slowest_query_ms"]["value"] is None and "sqlalchemy" in figures["slowest_query_ms"]["reason"]
