"""Loads a model, annotates one text and writes the answer as one JSON line: the smallest whole run of the engine.

    python -m core.benchmark.first_answer --model DIR --device cuda --text TEXT

Needs nothing but the engine, so that the time from start to answer can be measured where the product's other
packages are not installed. A second line tells the seconds of each stage, counted from the start of the process.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from core.config import Settings
from core.inference.standby import start_ahead


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    begun = psutil.Process().create_time()
    parser = argparse.ArgumentParser(description="载入模型，标注一段文字，写出一行 JSON")
    parser.add_argument("--model", type=Path, required=True, help="检查点目录")
    parser.add_argument("--device", default="auto", help="auto、cpu、cuda 或 cuda:N")
    parser.add_argument("--text", required=True, help="要分析的正文")
    options = parser.parse_args(arguments)
    start_ahead(Settings(device=options.device))  # before anything that imports torch
    stages = {"begun": time.time() - begun}

    from core.benchmark.system import open_system
    from core.schemas.schema import parse_schema

    stages["imported"] = time.time() - begun
    with open_system(options.model, device=options.device) as system:
        stages["loaded"] = time.time() - begun
        (result,) = system.annotate(system.items([options.text], parse_schema({"人物": None})))
        sys.stdout.write(json.dumps([one.text for one in result.annotations], ensure_ascii=False) + "\n")
        sys.stdout.flush()
        stages["answered"] = time.time() - begun
        stages |= {f"load_{name}": seconds for name, seconds in system.info.stages}
    rounded = {name: round(seconds, 3) for name, seconds in stages.items()}
    sys.stdout.write(json.dumps({"stages_s": rounded}) + "\n")


if __name__ == "__main__":
    main()
