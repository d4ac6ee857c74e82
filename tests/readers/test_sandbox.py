"""The process that reads Office files and PDF: a bad end of it is a message, not a crash."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import FormatError
from core.readers import from_path, sandbox

REPORT = Path(__file__).resolve().parents[2] / "data" / "samples" / "report.pdf"


def test_a_child_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "TIME_LIMIT_S", 0)
    with pytest.raises(FormatError, match="已放弃"):
        list(sandbox.extract(from_path(REPORT), "pdf"))


def test_a_child_that_dies_is_told() -> None:
    with pytest.raises(FormatError, match="中途退出"):
        list(sandbox.extract(from_path(REPORT), "没有这种"))


def test_a_file_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "OUTPUT_CHARACTERS", 100)
    with pytest.raises(FormatError, match="展开后的文字超过"):
        list(sandbox.extract(from_path(REPORT), "pdf"))


def test_a_reader_that_stops_early_leaves_no_child() -> None:
    messages = sandbox.extract(from_path(REPORT), "pdf")
    assert next(messages)[:2] == ["text", 1]
    messages.close()


def test_the_child_loads_one_parser_and_nothing_of_the_product_but_errors() -> None:
    script = (
        "import runpy, sys; sys.argv[1:] = ['docx', 'x']; runpy.run_module('core.extraction', run_name='__main__');"
        "print(sorted(name for name in sys.modules if name.startswith(('core.', 'python_calamine', 'pypdfium2'))))"
    )
    root = REPORT.parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0].startswith('["error"')
    loaded = done.stdout.splitlines()[-1]
    assert loaded == "['core.errors', 'core.extraction', 'core.extraction.docx']"
