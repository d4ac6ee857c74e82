"""House rules that a tool can check: the layering, the size of modules, and what has no place in them."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from pathlib import Path

import pytest

from core.config import Settings
from streamlit_app.i18n import LANGUAGES, LOCALES, catalogue

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("core", "pages", "streamlit_app", "scripts")
LINES = 400
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
MODULES = sorted(path for package in PRODUCT for path in (ROOT / package).rglob("*.py"))
VALUE = re.compile(r"\{(\w+)[^}]*\}")


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def calls(path: Path) -> list[str]:
    """Dotted names of everything that a module calls or reads as an attribute."""
    tree = ast.parse(path.read_text("utf-8"))
    called = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return called + [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]


def test_rooms_import_only_from_the_lines_below_them():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", MODULES, ids=names(MODULES))
def test_modules_are_short_finished_and_documented(path):
    source = path.read_text("utf-8")
    assert source.count("\n") <= LINES, "a module this long holds more than one thing: split it"
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    assert not [comment for comment in comments if UNFINISHED.search(comment)]
    assert ast.get_docstring(ast.parse(source)) or not source.strip(), "the module does not say what it is for"


CORE = sorted((ROOT / "core").rglob("*.py"))


@pytest.mark.parametrize("path", CORE, ids=names(CORE))
def test_the_core_does_not_print_and_reads_the_environment_in_one_place(path):
    used = calls(path)
    if path.name != "cli.py":
        assert "print" not in used
    if path.relative_to(ROOT) == Path("core/__init__.py"):
        # It writes defaults for torch's thread pool (tests/test_threads.py) and for oneDNN, and reads nothing.
        source = path.read_text("utf-8")
        assert source.count("environ") == source.count("os.environ.setdefault(") == 1
    elif path.relative_to(ROOT) != Path("core/config.py"):
        assert not {"os.environ", "os.getenv"} & set(used)


PAGES = sorted((ROOT / "pages").glob("*.py"))


@pytest.mark.parametrize("path", PAGES, ids=names(PAGES))
def test_pages_define_no_classes_and_take_the_application_from_one_place(path):
    tree = ast.parse(path.read_text("utf-8"))
    assert not [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)], "pages are executed anew"
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert "resources" not in modules, "imported as `resources`, the application is built twice"


def test_test_files_have_unique_names_and_no_packages():
    tests = sorted((ROOT / "tests").rglob("*.py"))
    assert not [path for path in tests if path.name == "__init__.py"]
    repeated = [name for name, count in Counter(path.name for path in tests).items() if count > 1]
    assert repeated in ([], ["conftest.py"])


def test_both_languages_have_every_word_with_the_same_values():
    chinese, english = catalogue("zh"), catalogue("en")
    assert len(chinese) > 500 and chinese.keys() == english.keys()
    for key, word in chinese.items():
        assert word and english[key], f"{key} has no words"
        assert set(VALUE.findall(word)) == set(VALUE.findall(english[key])), key


def test_no_word_stands_twice_in_the_catalogues():
    for code in LANGUAGES:
        lines = "\n".join(path.read_text("utf-8") for path in LOCALES.glob(f"{code}/LC_MESSAGES/*.po")).splitlines()
        keys = Counter(line for line in lines if line.startswith("msgid ") and line != 'msgid ""')
        assert not [key for key, count in keys.items() if count > 1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_setting_has_its_meaning_in_words(language):
    assert not [name for name in Settings.model_fields if not catalogue(language).get(f"settings.meaning.{name}")]


def test_every_word_that_the_screens_ask_for_by_name_exists():
    words = catalogue("zh")
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "t" and node.args:
                key = node.args[0]
                if isinstance(key, ast.Constant):
                    assert key.value in words, f"{path.name}: t({key.value!r}) has no words"
