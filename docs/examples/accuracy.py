"""Tables of the included model's accuracy, for the README and its card: `python docs/examples/accuracy.py`.

Both are made of one run of the suite, `data/evaluation/rex-mini-zh.json`, which names its command, machine and date.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "data" / "evaluation" / "rex-mini-zh.json"
CHOICE = "`mrc`, answers to choose from"
Row = dict[str, Any]


def read_run() -> Row:
    """The run of the suite as `evaluate --out` wrote it."""
    run: Row = json.loads(RUN.read_text("utf-8"))
    return run


def readme_table(run: Row) -> str:
    """A row a task: how many sets, their mean, the worst and the best."""
    lines = ["| task | sets | mean | worst set | best set |", "|---|---|---|---|---|"]
    for mean in run["means"]:
        sets = sorted((one for one in run["sets"] if one["task"] == mean["task"]), key=lambda one: one["value"])
        name = CHOICE if mean["task"] == "choice" else f"`{mean['task']}`"
        worst, best = (f"{one['set']} {one['value']:.2f}" for one in (sets[0], sets[-1]))
        lines.append(f"| {name} | {mean['sets']} | {mean['value']:.2f} | {worst} | {best} |")
    return "\n".join(lines)


def card_table(run: Row) -> str:
    """A row a set, with the other tools that answered the same records."""
    lines = [
        "| task | set | records | precision | recall | F1 or accuracy | ECE | others on the same records |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in run["sets"]:
        figures = " | ".join("" if one.get(key) is None else f"{one[key]:.3f}" for key in ("precision", "recall"))
        lines.append(
            f"| {one['task']} | {one['set']} | {one['records']} | {figures} | {one['value']:.3f} |"
            f" {one['calibration_error']:.3f} | {_peers(one)} |"
        )
    return "\n".join(lines)


def _peers(one: Row) -> str:
    return "; ".join(
        f"{peer['name']} {peer['value']:.3f}"
        + (f" ({'、'.join(peer['types'])}; this model {peer['model_value']:.3f})" if peer["types"] else "")
        for peer in one["peers"]
        if peer["value"] is not None
    )


if __name__ == "__main__":
    run = read_run()
    sys.stdout.write(f"{readme_table(run)}\n\n{card_table(run)}\n")
