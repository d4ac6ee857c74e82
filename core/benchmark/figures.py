"""The figures that the engine is judged by: name, unit, target, and which scenario gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """What a name of the table means.

    most: whether the target is an upper bound. device: on which kind of device the figure is defined, "any" on both.
    """

    name: str
    scenario: str
    unit: str
    target: float
    most: bool
    device: str
    meaning: str

    @property
    def target_text(self) -> str:
        """The target as it stands in the table."""
        if self.most and self.target == 0:
            return "0"
        return f"{'≤' if self.most else '≥'} {self.target:,g}"

    def holds(self, value: float) -> bool:
        """Whether a value reaches the target."""
        return value <= self.target if self.most else value >= self.target


@dataclass(frozen=True, slots=True)
class Measured:
    """The value of one figure, or None and the reason; `detail` holds what stands behind it (plain JSON values)."""

    name: str
    value: float | None
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


def _rows(device: str, scenario: str, *rows: tuple[str, str, str, float, str]) -> list[Figure]:
    return [
        Figure(name, scenario, unit, target, bound == "≤", device, meaning)
        for name, unit, bound, target, meaning in rows
    ]


FIGURES: dict[str, Figure] = {
    figure.name: figure
    for figure in [
        *_rows(
            "cuda",
            "throughput",
            ("ratio_naive_128", "倍", "≥", 60, "128 字文本、8 个类型的实体识别，端到端吞吐与朴素路径之比"),
            ("docs_per_s_128", "文档/秒", "≥", 4000, "同上，每秒文档数"),
        ),
        *_rows("cuda", "windows", ("windows_per_s_512", "窗口/秒", "≥", 2500, "512 词元窗口，端到端")),
        *_rows(
            "cuda",
            "encoder",
            ("encoder_mfu_512", "", "≥", 0.40, "只算编码器：有效运算占显卡稠密峰值的份额，512 词元"),
            ("encoder_mfu_128", "", "≥", 0.30, "同上，128 词元"),
            (
                "tax_vs_bert_512",
                "倍",
                "≤",
                1.5,
                "编码器耗时与同尺寸、普通 SDPA 注意力、无相对位置的编码器之比，512 词元",
            ),
            ("tax_vs_bert_128", "倍", "≤", 1.5, "同上，128 词元"),
        ),
        *_rows(
            "cuda",
            "others",
            ("ratio_transformers", "倍", "≥", 2, "只算编码器：比 transformers 的 DebertaV2 快多少，同权重、精度和批"),
            ("ratio_flashdeberta", "倍", "≥", 1.2, "只算编码器：比 flashdeberta 快多少，同上"),
        ),
        *_rows(
            "cuda",
            "latency",
            ("latency_p50_ms", "毫秒", "≤", 8, "空闲时一个不超过 200 字的请求，中位数"),
            ("latency_p99_ms", "毫秒", "≤", 20, "同上，99 分位"),
        ),
        *_rows(
            "cuda",
            "load",
            ("open_loop_p99_ms", "毫秒", "≤", 100, "泊松到达，速率为离线吞吐的 60 %，从预定时刻起算，99 分位"),
        ),
        *_rows("cuda", "loaded", ("loaded_gib", "GiB", "≤", 1.0, "载入后驱动报告的显存，含上下文")),
        *_rows(
            "cuda",
            "budget",
            ("budget_failures", "个", "≤", 0, "预算 2 GiB，5,000 篇 10 至 20,000 字的文档，32 个调用者：失败的文档"),
            ("budget_peak_gib", "GiB", "≤", 2.0, "同上，驱动报告的最高显存"),
        ),
        *_rows(
            "cuda",
            "peak",
            ("peak_reduction_pct", "%", "≥", 60, "同一批的显存峰值比朴素注意力低多少"),
        ),
        *_rows(
            "cuda",
            "soak",
            (
                "soak_reserved_drift_pct",
                "%",
                "≤",
                1,
                "50,000 个混合请求，含释放、显存不足与杀死工作进程：预热后预留显存的漂移",
            ),
            ("soak_rss_drift_pct", "%", "≤", 2, "同上，主机内存的漂移"),
            ("soak_lost", "个", "≤", 0, "同上，没有得到答案的请求"),
        ),
        *_rows("cuda", "start", ("start_s_gpu", "秒", "≤", 10, "显卡上从进程启动到第一个答案")),
        *_rows("cpu", "start", ("start_s_cpu", "秒", "≤", 8, "CPU 上从进程启动到第一个答案，内置模型")),
        *_rows(
            "any",
            "precision",
            ("flip_pct", "%", "≤", 0.1, "与 float32 不同的标注，内置模型，真实文本"),
            ("f1_delta", "百分点", "≤", 0.1, "与 float32 的 F1 之差的绝对值"),
        ),
        *_rows(
            "cpu",
            "import",
            ("import_s", "秒", "≤", 137, "100 MiB 的 GB 18030 CSV 导入新数据库（`core import`），含搜索索引"),
            ("import_peak_mib", "MiB", "≤", 500, "同上，进程的内存峰值"),
        ),
        *_rows(
            "cpu",
            "queries",
            ("slowest_query_ms", "毫秒", "≤", 200, "10 万篇文档、200 万个标注：各页面查询中最慢的一个"),
        ),
        *_rows("cpu", "cpu", ("cpu_ratio", "倍", "≥", 3, "CPU、内置模型、2 核、200 篇文本，与朴素路径之比")),
    ]
}


def of_scenario(scenario: str, device: str) -> list[Figure]:
    """The figures that a scenario gives on a kind of device ("cuda" or "cpu")."""
    return [one for one in FIGURES.values() if one.scenario == scenario and one.device in (device, "any")]


def missing(scenario: str, device: str, *, reason: str) -> list[Measured]:
    """The figures of a scenario as not measured, with the reason; on a foreign kind of device all that it has."""
    figures = of_scenario(scenario, device) or [one for one in FIGURES.values() if one.scenario == scenario]
    return [Measured(one.name, None, reason) for one in figures]
