"""What the product needs is declared, pinned and explained; what it must not need is not loaded."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

PACKAGES = ("core", "pages", "streamlit_app")
HEAVY = ("transformers", "datasets", "deepspeed", "einops")
LINE = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[A-Za-z0-9.+]+)\s+# (?P<reason>\S.*)$")
# Imported only where it is used, and its absence is handled there: ray for many machines, triton with torch for CUDA.
OPTIONAL = {"ray", "triton"}


def requirements(repository: Path) -> list[str]:
    lines = (repository / "requirements.txt").read_text("utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def imported(repository: Path) -> dict[str, str]:
    """Top-level names that the product imports from elsewhere, each with one file that does."""
    names: dict[str, str] = {}
    for package in PACKAGES:
        for path in (repository / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found = [node.module]
                for name in found:
                    names.setdefault(name.split(".")[0], str(path.relative_to(repository)))
    return {name: path for name, path in names.items() if name not in sys.stdlib_module_names | set(PACKAGES)}


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_requirement_is_pinned_and_says_what_for(repository):
    for line in requirements(repository):
        assert LINE.match(line), f"requirements.txt: {line!r} is not of the form name==version  # reason"


def test_every_import_is_a_declared_requirement(repository):
    declared = {normalised(LINE.match(line)["name"]) for line in requirements(repository)}
    distributions = packages_distributions()
    for name, path in imported(repository).items():
        if name in OPTIONAL:
            continue
        owners = {normalised(owner) for owner in distributions.get(name, [])}
        assert owners & declared, f"{path} imports {name}, which requirements.txt does not declare"


def test_every_declared_requirement_is_imported(repository):
    names = imported(repository)
    provided = {
        normalised(owner) for name, owners in packages_distributions().items() if name in names for owner in owners
    }
    for line in requirements(repository):
        assert normalised(LINE.match(line)["name"]) in provided, f"nothing imports {line.split('==')[0]}"


def modules_after(script: str, repository: Path, **environment: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after `script`."""
    tail = "\nimport json, sys; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", script + tail],
        cwd=repository,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_annotating_a_text_loads_no_heavy_framework_and_no_screen(repository, settings, checkpoint_dir):
    script = """
from core import bootstrap, services
from core.types import Document
app = bootstrap.build()
(result,) = services.annotate(app, [Document("刘志诚在广州市出席了签约仪式。")], task="ner", schema={"人物": None})
assert result.windows == 1
app.close()
"""
    loaded = modules_after(script, repository, REX_MODEL=str(checkpoint_dir))
    assert "torch" in loaded
    assert not loaded & {*HEAVY, "streamlit", "modelscope"}


def test_values_schemas_and_the_monitor_are_read_without_torch(repository):
    loaded = modules_after("import core.types, core.config, core.schemas.schema, core.gpu.monitor", repository)
    assert not loaded & {"torch", "streamlit", *HEAVY}


@pytest.mark.parametrize("name", HEAVY)
def test_no_file_imports_a_heavy_framework(repository, name):
    assert name not in imported(repository)
