"""How many documents and users a machine serves, from kept runs: the table of the operations page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from core.benchmark.summary import read_runs
from core.benchmark.texts import ROOT
from core.errors import FormatError

PAGE = ROOT / "docs" / "operations.md"
BEGIN, END = "<!-- capacity: begin -->", "<!-- capacity: end -->"
CARDS = ("A10", "A100", "H200")
"""Cards that have a row even where nothing was measured on them."""
DAY_S = 86_400
ASKS_EVERY_S = 10
IN_TIME_MS = 100.0
"""The 99th percentile that users bear: the aim of `open_loop_p99_ms`."""
MISSING = "not measured"
Run = Mapping[str, Any]


def table(runs: Sequence[Run]) -> str:
    """A row for two CPU cores, for each card of CARDS, and for every other card that a full run was made on.

    runs: as `read_runs` gives them, oldest first. Runs that were quick or imitate another card do not count.
    """
    real = [run for run in runs if not run["quick"] and not run["imitates"]]
    measured = {_card(run) for run in real if run["device"] == "cuda"}
    rows = [
        "| machine | documents a day | users, each asking every ten seconds | one alone: p50, p99 | measured |",
        "|---|---|---|---|---|",
        _row("CPU", [run for run in real if run["device"] == "cpu"], rate=_cpu_rate),
    ]
    for card in (*CARDS, *sorted(measured - set(CARDS))):
        runs_of_it = [run for run in real if run["device"] == "cuda" and _card(run) == card]
        rows.append(_row(card, runs_of_it, rate=lambda run: _value(run, "docs_per_s_128")))
    return "\n".join(rows)


def with_table(page: str, runs: Sequence[Run]) -> str:
    """The page with its table made anew; raises FormatError when the page has lost its markers."""
    before, opened, rest = page.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (opened and closed):
        raise FormatError(f"{PAGE} 里没有标记 {BEGIN} 和 {END}：请从版本库恢复该文件")
    return f"{before}{BEGIN}\n{table(runs)}\n{END}{after}"


def bring_up_to_date(page: Path = PAGE) -> None:
    """Write the table of the kept runs into the page."""
    page.write_text(with_table(page.read_text("utf-8"), read_runs()), "utf-8")


def _card(run: Run) -> str:
    """The name of a card as CARDS has it, else what the driver calls it; several cards of one kind are one."""
    words = str(run["environment"]["hardware"]).replace(",", " ").replace("-", " ").split()
    return next((card for card in CARDS if card in words), str(run["environment"]["hardware"]).split(",")[0])


def _value(run: Run, name: str) -> float | None:
    value: float | None = run["figures"].get(name, {}).get("value")
    return value


def _cpu_rate(run: Run) -> float | None:
    """The engine's own rates behind `cpu_ratio`: texts of 128 characters, three types, the included model."""
    rates = run["figures"].get("cpu_ratio", {}).get("detail", {}).get("rates")
    return median(rates) if rates else None


def _users(run: Run) -> str | None:
    """Requests a second that were answered in time, times ten seconds: the open loop's, else the best closed loop's."""
    value = _value(run, "open_loop_p99_ms")
    if value is None:
        return None
    detail = run["figures"]["open_loop_p99_ms"]["detail"]
    if value <= IN_TIME_MS:
        return f"{detail['asked_per_s'] * ASKS_EVERY_S:,.0f} (p99 {value:,.3g} ms)"
    loops = [loop for loop in detail.get("closed_loop", {}).values() if loop["p99_ms"] <= IN_TIME_MS]
    if not loops:
        return None
    best = max(loops, key=lambda loop: float(loop["per_s"]))
    return f"{best['per_s'] * ASKS_EVERY_S:,.0f} (p99 {best['p99_ms']:,.3g} ms, closed loop)"


def _alone(run: Run) -> str | None:
    p50, p99 = _value(run, "latency_p50_ms"), _value(run, "latency_p99_ms")
    return None if p50 is None or p99 is None else f"{p50:,.3g} ms, {p99:,.3g} ms"


def _row(machine: str, runs: Sequence[Run], *, rate: Any) -> str:
    """The newest value of every column; a column without one says so."""

    def newest(read: Any) -> tuple[Any, Run | None]:
        return next(((found, run) for run in reversed(runs) if (found := read(run)) is not None), (None, None))

    per_s, first = newest(rate)
    users, second = newest(_users)
    alone, third = newest(_alone)
    day = MISSING if per_s is None else f"{per_s * DAY_S / 1e6:,.1f} million ({per_s:,.4g} a second)"
    used = [run for run in (first, second, third) if run is not None]
    where = sorted({f"{run['environment']['hardware']}, {run['date'][:10]}" for run in used})
    return f"| {machine} | {day} | {users or MISSING} | {alone or MISSING} | {'; '.join(where) or '–'} |"
