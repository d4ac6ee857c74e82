"""The report of a suite: one table for people, one JSON object for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import east_asian_width

from core.evaluation.scoring import Figures
from core.evaluation.suite_run import PartResult, PeerResult, Report
from core.tasks import TASKS

HEAD = ("任务", "数据集", "条数", "金标", "指标", "模型", "文档/秒", "ECE")


@dataclass(frozen=True, slots=True)
class Mean:
    """The plain mean over the sets of one task, those seen in training apart from those left out."""

    task: str
    zero_shot: bool
    sets: int
    metric: str
    value: float
    second: float | None


def means(report: Report) -> list[Mean]:
    """One mean a task in the order of the table; parts without records do not count."""
    groups: dict[tuple[str, bool], list[Figures]] = {}
    for result in in_order(report):
        if result.part.records:
            groups.setdefault((result.part.task, report.is_zero_shot(result)), []).append(result.figures)
    return [
        Mean(
            task=task,
            zero_shot=left_out,
            sets=len(figures),
            metric=figures[0].metric,
            value=sum(one.value for one in figures) / len(figures),
            second=_mean_second(figures),
        )
        for (task, left_out), figures in groups.items()
    ]


def _mean_second(figures: Sequence[Figures]) -> float | None:
    seconds = [one.second for one in figures if one.second is not None]
    return sum(seconds) / len(seconds) if seconds else None


def in_order(report: Report) -> list[PartResult]:
    """The results by task, in the order of the product's tasks, then by set."""
    places = {name: place for place, name in enumerate(TASKS)}
    return sorted(
        report.results,
        key=lambda one: (places.get(one.part.task, len(places)), one.part.task, one.part.source),
    )


def to_dict(report: Report) -> dict[str, Any]:
    """What `--json` prints; ratios are rounded to four digits."""
    return {
        "suite": report.suite,
        "parts_planned": report.planned,
        "parts_done": len(report.results),
        **report.about,
        "sets": [_row(result, zero_shot=report.is_zero_shot(result)) for result in in_order(report)],
        "means": [
            {
                "task": mean.task,
                "zero_shot": mean.zero_shot,
                "sets": mean.sets,
                "metric": mean.metric,
                "value": round(mean.value, 4),
                **_optional(character_f1=mean.second),
            }
            for mean in means(report)
        ],
        "skipped_peers": list(report.skipped_peers),
    }


def _row(result: PartResult, *, zero_shot: bool) -> dict[str, Any]:
    part, figures, scores = result.part, result.figures, result.figures.scores
    return {
        "task": part.task,
        "set": part.source,
        "zero_shot": zero_shot,
        "fixed": part.wanted,
        "records": len(part.records),
        "missing": part.missing,
        "failed": len(result.failed),
        "failures": sorted(set(result.failed)),
        "metric": figures.metric,
        "value": round(figures.value, 4) if part.records else None,
        **_optional(character_f1=figures.second, f1_without_offsets=figures.loose_f1),
        "precision": round(scores.precision, 4),
        "recall": round(scores.recall, 4),
        "gold": scores.gold,
        "predicted": scores.predicted,
        "correct": scores.correct,
        "calibration_error": None if result.calibration_error is None else round(result.calibration_error, 4),
        "seconds": round(result.seconds, 3),
        "documents_per_s": round(result.documents_per_s, 2),
        "peers": [_peer_row(peer) for peer in result.peers],
    }


def _peer_row(peer: PeerResult) -> dict[str, Any]:
    return {
        "name": peer.name,
        "version": peer.version,
        "types": None if peer.types is None else list(peer.types),
        "value": None if peer.value is None else round(peer.value, 4),
        "model_value": round(peer.model_value, 4),
        "seconds_with_loading": round(peer.seconds, 3),
        "error": peer.error,
    }


def _optional(**values: float | None) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items() if value is not None}


def table(report: Report) -> str:
    """The results as one table, the means of the tasks, and what the run was made with."""
    peers = list(dict.fromkeys(peer.name for one in report.results for peer in one.peers))
    rows = [_cells(result, peers, zero_shot=report.is_zero_shot(result)) for result in in_order(report)]
    blank = [""] * len(peers)
    rows += [
        [f"{one.task} 平均", _left_out(f"{one.sets} 个数据集", one.zero_shot), "", "", one.metric]
        + [_number(one.value, one.second), "", "", *blank]
        for one in means(report)
    ]
    return "\n".join([*_aligned([[*HEAD, *peers], *rows]), "", *_notes(report)])


def _cells(result: PartResult, peers: Sequence[str], *, zero_shot: bool) -> list[str]:
    part = result.part
    count = str(len(part.records))
    if part.missing:
        count += f"（{part.missing}/{part.wanted} 缺失）"
    if result.failed:
        count += f"（{len(result.failed)} 条出错）"
    cells = [part.task, _left_out(part.source, zero_shot), count]
    if not part.records:
        return [*cells, "", "", "", "", "", *("" for _ in peers)]
    error = result.calibration_error
    cells += [str(result.figures.scores.gold), result.figures.metric]
    cells += [_number(result.figures.value, result.figures.second), f"{result.documents_per_s:.1f}"]
    cells.append("" if error is None else f"{error:.3f}")
    reached = {peer.name: peer for peer in result.peers}
    return cells + [_peer_cell(reached.get(peer)) for peer in peers]


def _peer_cell(peer: PeerResult | None) -> str:
    if peer is None:
        return ""
    value = "出错" if peer.value is None else f"{peer.value:.3f}"
    return value if peer.types is None else f"{value}（模型 {peer.model_value:.3f}）"


def _left_out(name: str, zero_shot: bool) -> str:
    return f"{name}（零样本）" if zero_shot else name


def _number(value: float, second: float | None) -> str:
    return f"{value:.3f}" if second is None else f"{value:.3f} / {second:.3f}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of a Markdown table whose columns also line up in a terminal, where Chinese takes two columns."""
    widths = [max(_width(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        padded = [cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        lines.append("| " + " | ".join(padded) + " |")
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return lines


def _width(text: str) -> int:
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def _notes(report: Report) -> list[str]:
    about = report.about
    model, versions, hardware = about["model"], about["versions"], about["hardware"]
    notes = [f"模型 {model['name']}（{model['revision']}），{model['parameters'] / 1e6:.1f} M 参数"]
    notes += [f"  {name} sha256 {digest[:16]}" for name, digest in model["sha256"].items() if _is_weight(name)]
    cuda = f"，CUDA {versions['cuda']}" if versions["cuda"] else ""
    notes.append(f"Python {versions['python']}，torch {versions['torch']}{cuda}，{about['settings']['dtype']}")
    notes.append(f"{hardware['device']}，{hardware['processor']}，{hardware['threads']} 线程")
    notes.append(f"{about['date']}  {about['command']}")
    every = [(result.part, peer) for result in report.results for peer in result.peers]
    notes += dict.fromkeys(f"{peer.name}：{peer.version}" for _, peer in every)
    notes += dict.fromkeys(
        f"{part.task} {part.source} 括号内外只计类型 {'、'.join(peer.types)}" for part, peer in every if peer.types
    )
    notes += [f"{part.task} {part.source}，{peer.name} 出错：{peer.error}" for part, peer in every if peer.error]
    notes += [f"跳过 {one}" for one in report.skipped_peers]
    missing = sum(result.part.missing for result in report.results)
    if missing:
        notes.append(f"共缺 {missing} 条固定记录：数据集不全，或由另一版本的转换器得到")
    return notes


def _is_weight(name: str) -> bool:
    return name.endswith((".safetensors", ".bin"))
