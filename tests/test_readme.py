"""The README and the pages behind it say what the code does: settings, commands, files, tests, examples."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import json
import re
import runpy
import shlex
import sys
import warnings
from pathlib import Path

import pytest
import typer.main

from core.cli import app
from core.cli_input import load_schema
from core.config import ROOT, Settings
from core.schemas.presets import find_preset
from core.schemas.schema import parse_schema
from core.tasks import TASKS, schema_for

CARD = ROOT / "data" / "models" / "rex-mini-zh" / "README.md"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", CARD, *sorted((ROOT / "docs").glob("*.md"))]
README = PAGES[0].read_text("utf-8")
NATURAL_TASKS = set(TASKS) - {"rex"}


def _commands(page: Path) -> list[str]:
    """Every `python -m …` of the page, from blocks (a backslash continues the line) and from running text."""
    text = page.read_text("utf-8").replace("\\\n", " ")
    blocks = re.findall(r"```(\w*)\n(.*?)```", text, re.S)
    lines = [line for language, block in blocks if language != "python" for line in block.splitlines()]
    lines += re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"```.*?```", "", text, flags=re.S))
    found = [line[line.index("python -m ") :] for line in lines if "python -m core" in line]
    return list(dict.fromkeys(found))


COMMANDS = [(str(page.relative_to(ROOT)), command) for page in PAGES for command in _commands(page)]


def settings_table() -> str:
    """The table of settings as the README must have it."""
    rows = ["| name | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        value = str(field.default).replace(f"{ROOT}/", "")
        rows.append(f"| `REX_{name.upper()}` | {f'`{value}`' if value else 'empty'} | {field.description} |")
    return "\n".join(rows)


def test_the_table_of_settings_is_the_code_s() -> None:
    assert settings_table() in README


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) >= 15


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_every_command_is_understood(page: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    del page  # only names the case
    module, *arguments = shlex.split(command)[2:]
    if module == "core" and arguments and arguments[0] != "train":
        name, *rest = arguments
        root = typer.main.get_command(app)
        root.commands[name].make_context(name, rest)  # type: ignore[attr-defined]  # raises on what it does not know
        return
    if module == "core":
        module = f"core.training.{arguments[1]}"
        arguments = arguments[2:]
    if not arguments:
        importlib.import_module(module)
        return
    known = _help(module, monkeypatch)
    for option in (argument for argument in arguments if argument.startswith("--")):
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", known), f"{module} has no {option}"


def _help(module: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    output = io.StringIO()
    with contextlib.redirect_stdout(output), pytest.raises(SystemExit) as left, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the module was imported before, by another test
        runpy.run_module(module, run_name="__main__")
    assert left.value.code == 0
    return output.getvalue()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_linked_file_and_picture_exists(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if target.startswith("#"):
            title = re.sub(r"[^\w\- ]", "", target[1:].replace("-", " "))
            assert re.search(rf"^#+ {title}$", page.read_text("utf-8"), re.M | re.I), target
        elif not target.startswith("http"):
            assert (page.parent / target).is_file(), target


def test_every_path_in_the_readme_s_tree_exists() -> None:
    for path in re.findall(r"`((?:data|docs|tests|core|scripts)/[\w./-]+)`", README):
        made_at_run_time = path in ("data/app.db", "data/cache/models")
        assert made_at_run_time or (ROOT / path).exists(), path


def test_every_task_has_its_row_and_its_preset() -> None:
    rows = re.findall(r"^\| `([a-z]+)` \| [^|]+ \| ([^|`]+) \|$", README, re.M)
    assert {task for task, _ in rows} == NATURAL_TASKS
    for task, preset in rows:
        assert find_preset(preset.strip()).task == task


def test_the_examples_cover_every_task_and_stand_in_the_readme() -> None:
    lines = (ROOT / "docs" / "examples" / "tasks.jsonl").read_text("utf-8").splitlines()
    examples = [json.loads(line) for line in lines]
    assert [one["task"] for one in examples] and {one["task"] for one in examples} == NATURAL_TASKS
    table = runpy.run_path(str(ROOT / "docs" / "examples" / "table.py"))
    for one in examples:
        schema_for(TASKS[one["task"]], parse_schema(one["schema"]) if "schema" in one else None)
        assert table["document"](one).text == one["text"]
        assert f"| `{one['task']}` | {table['given'](one)} |" in README


def test_every_message_under_troubleshooting_is_one_of_the_product_s() -> None:
    messages = re.findall(r"^\| `([^`a-z]*[\u4e00-\u9fff][^`]*)` \|", README, re.M)
    source = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "core").rglob("*.py")))
    assert len(messages) >= 10
    for message in messages:
        for part in message.split("…"):
            assert part.strip() in source, message


def test_the_fine_tuning_example_is_a_record_with_true_offsets() -> None:
    (line,) = re.findall(r"```json\n(.*?)\n```", README, re.S)
    record = json.loads(line)
    assert load_schema(json.dumps(record["schema"])).types
    for path in record["info_list"]:
        for one in path:
            start, end = one["offset"]
            assert record["text"][start:end] == one["span"]


def test_every_test_that_the_parity_page_names_exists() -> None:
    page = (ROOT / "docs" / "parity.md").read_text("utf-8")
    named = re.findall(r"`(?:(tests/[\w/.]+\.py)::)?(test_\w+)`", page)
    assert len(named) >= 20
    parity = [ROOT / "tests" / "parity" / f"test_{name}.py" for name in ("reference", "differences")]
    for file, name in named:
        sources = [ROOT / file] if file else parity
        assert any(re.search(rf"^def {name}\(", source.read_text("utf-8"), re.M) for source in sources), name


def test_every_deliberate_difference_has_its_line() -> None:
    page = (ROOT / "docs" / "parity.md").read_text("utf-8")
    source = (ROOT / "tests" / "parity" / "test_differences.py").read_text("utf-8")
    for name in re.findall(r"^def (test_\w+)\(", source, re.M):
        assert f"`{name}`" in page, name


def test_the_tables_of_accuracy_are_those_of_the_run_that_is_kept() -> None:
    tables = runpy.run_path(str(ROOT / "docs" / "examples" / "accuracy.py"))
    run = tables["read_run"]()
    assert run["parts_done"] == run["parts_planned"]
    assert tables["readme_table"](run) in README
    assert tables["card_table"](run) in CARD.read_text("utf-8")
    weights = {name: digest for name, digest in run["model"]["sha256"].items() if name.endswith(".safetensors")}
    assert weights
    for name, digest in weights.items():
        assert hashlib.sha256((CARD.parent / name).read_bytes()).hexdigest() == digest, f"{name} has changed since"
