"""All runs in one table: `summary.json` and the part of the performance page that is made from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.benchmark.figures import FIGURES, Figure
from core.benchmark.report import write_json
from core.benchmark.texts import ROOT
from core.errors import FormatError

RUNS = ROOT / "data" / "benchmarks"
SUMMARY = RUNS / "summary.json"
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- 指标表：开始 -->", "<!-- 指标表：结束 -->"
NOT_YET = "还没有在合适的设备上运行"


def read_runs(directory: Path = RUNS) -> list[dict[str, Any]]:
    """The runs of a directory, oldest first; raises FormatError for a file that is none."""
    runs = []
    for path in sorted(directory.glob("*.json")):
        if path.name == SUMMARY.name:
            continue
        try:
            run = json.loads(path.read_text("utf-8"))
            runs.append((run["date"], {**run, "imitates": run["imitates"], "figures": dict(run["figures"])}))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FormatError(f"{path} 不是性能测量的结果：{error}。请移走或恢复该文件") from error
    return [run for _, run in sorted(runs, key=lambda one: one[0])]


def merge(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The newest value of every figure, of full runs on the device the figure is defined for; else why there is none.

    A figure defined on any device is taken from a card where one measured it. Runs that imitate another card by its
    profile do not count.
    """
    real = [run for run in runs if not run["quick"] and not run["imitates"]]
    return {name: _latest(figure, real) for name, figure in FIGURES.items()}


def _latest(figure: Figure, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    fitting = [run for run in runs if figure.name in run["figures"] and figure.device in (run["device"], "any")]
    if figure.device == "any":
        fitting.sort(key=lambda run: (run["device"] == "cuda", run["date"]))
    row: dict[str, Any] = {"value": None, "unit": figure.unit, "target": figure.target_text}
    reason = NOT_YET
    for run in reversed(fitting):
        one = run["figures"][figure.name]
        if one["value"] is not None:
            source = {"command": run["command"], "hardware": run["environment"]["hardware"], "date": run["date"]}
            return row | {"value": one["value"]} | source | {"holds": figure.holds(one["value"])}
        reason = one.get("reason") or reason if reason == NOT_YET else reason
    return row | {"reason": reason}


def table(summary: Mapping[str, Mapping[str, Any]]) -> str:
    """The table of the page."""
    rows = ["| 名称 | 指标 | 目标 | 实测 | 硬件与日期 |", "|---|---|---|---|---|"]
    for name, figure in FIGURES.items():
        one = summary[name]
        if one["value"] is None:
            value, where = "未测", str(one["reason"]).replace("|", "/").replace("\n", " ")
        else:
            mark = "" if figure.holds(one["value"]) else "（未达标）"
            value = f"**{one['value']:,g}** {one['unit']}".rstrip() + mark
            where = f"{one['hardware']}，{one['date'][:10]}，`{one['command']}`"
        target = f"{figure.target_text} {figure.unit}".rstrip()
        rows.append(f"| `{name}` | {figure.meaning} | {target} | {value} | {where} |")
    return "\n".join(rows)


def more_tables(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """What stands under the table: the closed loops of the newest run that has them, and runs that imitate a card."""
    full = [run for run in runs if not run["quick"]]
    loops = [
        loop
        for run in full
        if run["device"] == "cuda" and not run["imitates"]
        if (loop := run["figures"].get("open_loop_p99_ms", {}).get("detail", {}).get("closed_loop"))
    ]
    parts = []
    if loops:
        rows = [
            "闭环（每个客户端等到答案才发下一个请求）：",
            "",
            "| 客户端 | 请求/秒 | p50 毫秒 | p99 毫秒 |",
            "|---|---|---|---|",
        ]
        for clients, one in loops[-1].items():
            rows.append(f"| {clients} | {one['per_s']:,.0f} | {one['p50_ms']:.1f} | {one['p99_ms']:.1f} |")
        parts.append("\n".join(rows))
    imitated = [(run, name, one) for run in full if run["imitates"] for name, one in run["figures"].items()]
    if imitated:
        rows = [
            "模拟（只按那张卡的显存设限，速度仍是实际硬件的）：",
            "",
            "| 模拟 | 名称 | 实测 | 硬件与日期 |",
            "|---|---|---|---|",
        ]
        for run, name, one in imitated:
            value = "未测" if one["value"] is None else f"{one['value']:,g} {one['unit']}".rstrip()
            rows.append(
                f"| {run['imitates']} | `{name}` | {value} | {run['environment']['hardware']}，{run['date'][:10]} |"
            )
        parts.append("\n".join(rows))
    return parts


def with_table(page: str, runs: Sequence[Mapping[str, Any]]) -> str:
    """The page with its tables made anew; raises FormatError when the page has lost its markers."""
    before, opened, rest = page.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (opened and closed):
        raise FormatError(f"{PAGE} 里没有标记 {BEGIN} 和 {END}：请从版本库恢复该文件")
    made = "\n\n".join([table(merge(runs)), *more_tables(runs)])
    return f"{before}{BEGIN}\n{made}\n{END}{after}"


def summarise(directory: Path = RUNS, page: Path = PAGE) -> dict[str, dict[str, Any]]:
    """Merge the runs of a directory into its `summary.json` and bring the page up to date."""
    runs = read_runs(directory)
    summary = merge(runs)
    written = with_table(page.read_text("utf-8"), runs)
    write_json(directory / SUMMARY.name, summary)
    page.write_text(written, "utf-8")
    return summary
