"""Feed random and damaged input to everything that reads it, for minutes: `python -m scripts.fuzz --minutes 30`.

The properties are those of `tests/fuzz`, which `make test` tries a few times each; here they run round after round,
each with a new seed and many more examples, until the time is over. Ends with status 1 at the first property that does
not hold; Hypothesis then has shown the smallest example, and keeps it for the next run of the tests.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.config import ROOT

TIMES, COUNTS = "REX_FUZZ_TIMES", "REX_FUZZ_COUNTS"
TRIED: Counter[str] = Counter()


def examples(usual: int) -> int:
    """How many examples a property gets: so many by default, a multiple in a long run."""
    return usual * int(os.environ.get(TIMES, "1"))


def tried(what: str) -> None:
    """Count one example."""
    TRIED[what] += 1


@atexit.register
def _write_counts() -> None:
    if (path := os.environ.get(COUNTS)) and TRIED:
        Path(path).write_text(json.dumps(TRIED, ensure_ascii=False), "utf-8")


def run(minutes: float, *, times: int) -> dict[str, Any]:
    """Rounds of all properties until the time is over; the counts, and what failed."""
    total: Counter[str] = Counter()
    rounds, failed, began = 0, "", time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder) / "counts.json"
        while not failed and time.monotonic() - began < minutes * 60:
            command = [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", "tests/fuzz"]
            command += [f"--hypothesis-seed={random.randrange(2**32)}"]
            environment = {**os.environ, TIMES: str(times), COUNTS: str(counts)}
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            total.update(json.loads(counts.read_text("utf-8")) if counts.exists() else {})
            counts.unlink(missing_ok=True)
            rounds += 1
            if done.returncode:
                failed = done.stdout[-6000:] + done.stderr[-2000:]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "minutes": round((time.monotonic() - began) / 60, 1),
        "rounds": rounds,
        "examples": sum(total.values()),
        "by_property": dict(sorted(total.items())),
        "failed": failed,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, show the counts and perhaps keep them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--times", type=int, default=20, help="examples of a round, as a multiple of the usual ones")
    parser.add_argument("--out", type=Path, help="write the counts here")
    chosen = parser.parse_args(arguments)
    report = run(chosen.minutes, times=chosen.times)
    report["command"] = f"python -m scripts.fuzz --minutes {chosen.minutes:g} --times {chosen.times}"
    text = json.dumps(report, ensure_ascii=False, indent=1) + "\n"
    if chosen.out is not None:
        chosen.out.write_text(text, "utf-8")
    sys.stdout.write(text)
    if report["failed"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
