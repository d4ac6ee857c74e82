"""Import the hostile files of the tests and count what became of them: `python -m scripts.hostile_files`."""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from core.benchmark.environment import describe
from core.config import ROOT
from core.readers import Importer

TESTS = ROOT / "tests" / "readers" / "test_hostile.py"


def hostile() -> Mapping[str, bytes]:
    """The files by name, as the tests make them."""
    spec = importlib.util.spec_from_file_location("hostile", TESTS)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    files: Mapping[str, bytes] = module.hostile()
    return files


def measure(files: Mapping[str, bytes]) -> dict[str, Any]:
    """Counts over the files: crashes (an exception that is no report), messages, and the slowest in seconds."""
    importer = Importer(lambda batch: None)
    crashes: list[str] = []
    refused = partly = read = without_words = documents = 0
    slowest = ("", 0.0)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, data) in enumerate(files.items()):
            path = Path(folder) / str(number) / name.replace("/", "_")
            path.parent.mkdir()
            path.write_bytes(data)
            start = time.monotonic()
            try:
                reports = list(importer.paths([path]))
            except Exception as error:  # what is counted here
                crashes.append(f"{name}: {type(error).__name__}: {error}")
                continue
            finally:
                slowest = max(slowest, (name, time.monotonic() - start), key=lambda one: one[1])
                path.unlink()
            errors = sum(bool(one.error) for one in reports)
            found = sum(one.documents for one in reports)
            documents += found
            refused += bool(errors and not found)
            partly += bool(errors and found)
            read += not errors
            without_words += any(not (one.error or one.documents or one.notes) for one in reports)
    return {
        "files": len(files),
        "crashes": len(crashes),
        "crashed": crashes,
        "refused_with_message": refused,
        "partly_read_with_message": partly,
        "read": read,
        "without_a_word": without_words,
        "documents": documents,
        "slowest_s": round(slowest[1], 2),
        "slowest": slowest[0],
        "duration_s": round(time.monotonic() - begun, 1),
    }


def main() -> None:
    """Measure, write the figures, and show them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="write the figures here")
    options = parser.parse_args()
    report = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "-m", "scripts.hostile_files", *sys.argv[1:]]),
        "environment": describe(torch.device("cpu")),
        "hostile": measure(hostile()),
    }
    text = json.dumps(report, ensure_ascii=False, indent=1) + "\n"
    if options.out is not None:
        options.out.write_text(text, "utf-8")
    sys.stdout.write(text)
    if report["hostile"]["crashes"]:  # type: ignore[index]
        raise SystemExit(1)


if __name__ == "__main__":
    main()
