"""A run of the benchmark as JSON: its values with machine, versions, date and command."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.benchmark.figures import FIGURES, Measured
from core.errors import FormatError


def new_report(
    about: Mapping[str, Any], *, command: str, device: str, quick: bool, imitates: str = ""
) -> dict[str, Any]:
    """A run without figures yet; imitates: the card whose profile was set by name, empty for the card's own."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "device": device,
        "quick": quick,
        "imitates": imitates,
        "environment": dict(about),
        "figures": {},
    }


def add(report: dict[str, Any], measured: Sequence[Measured]) -> None:
    """Put figures into a run."""
    for one in measured:
        figure = FIGURES[one.name]
        report["figures"][one.name] = {
            "value": None if one.value is None else rounded(one.value),
            "unit": figure.unit,
            "target": figure.target_text,
            "holds": None if one.value is None else figure.holds(one.value),
            **({"reason": one.reason} if one.reason else {}),
            "detail": plain(one.detail),
        }


def rounded(value: float) -> float:
    """Four significant digits; whole numbers above that stay whole."""
    return float(f"{value:.4g}") if abs(value) < 1000 else float(round(value))


def plain(value: Any) -> Any:
    """The same with every number rounded and every container one that JSON has."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, bool) or value is None or isinstance(value, str | int):
        return value
    return float(f"{float(value):.6g}")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file whole or not at all; raises FormatError when the place refuses."""
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", "utf-8")
        part.replace(path)
    except OSError as error:
        raise FormatError(f"无法写入 {path}：{error}。请换一个 --out") from error


def lines(report: Mapping[str, Any]) -> list[str]:
    """A run for the terminal, one line a figure."""
    shown = []
    for name, one in report["figures"].items():
        mark = {True: "✓", False: "✗", None: "—"}[one["holds"]]
        value = f"未测：{one['reason']}" if one["value"] is None else f"{one['value']:,g} {one['unit']}".rstrip()
        shown.append(f"{mark} {name}\t{value}\t目标 {one['target']}")
    return shown
