"""The one entry to exporting: results and a format's name -> a file with an account of what it cannot hold."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from core.errors import FormatError
from core.exporters import brat, conll, csv, doccano, html, label_studio, native, rex, spacy, uie
from core.exporters.report import About, Loss, Losses
from core.types import AnnotatedDocument

Results = Iterable[AnnotatedDocument]
FULL, PART, NONE = "full", "part", "none"


@dataclass(frozen=True, slots=True)
class Export:
    """A file to download; `losses` says what the format leaves out or changes, `report` the same in plain words."""

    data: bytes
    filename: str
    mime: str
    losses: tuple[Loss, ...]

    @property
    def report(self) -> tuple[str, ...]:
        """One sentence for each loss."""
        return tuple(f"{loss}。" for loss in self.losses)


@dataclass(frozen=True, slots=True)
class Format:
    """A format to write, and how much of each kind of finding it keeps: "full", "part" or "none".

    overlap: spans that nest or cross; document: id, name, second text and metadata.
    """

    title_zh: str
    title_en: str
    suffix: str
    mime: str
    write: Callable[[Results, BinaryIO, Losses, About], None]
    overlap: str = FULL
    relations: str = FULL
    events: str = FULL
    classes: str = FULL
    scores: str = FULL
    document: str = FULL


def _xlsx(results: Results, target: BinaryIO, losses: Losses, about: About) -> None:
    from core.exporters import xlsx  # its library is needed only here

    xlsx.write(results, target, losses, about)


def _parquet(results: Results, target: BinaryIO, losses: Losses, about: About) -> None:
    from core.exporters import parquet  # slow to import, needed only here

    parquet.write(results, target, losses, about)


_LINES = "application/x-ndjson"
_ZIP = "application/zip"
_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_FLAT = {"overlap": NONE, "relations": NONE, "events": NONE, "classes": NONE, "scores": NONE, "document": NONE}
FORMATS: dict[str, Format] = {
    "native": Format("本产品 JSONL（完整）", "own JSON lines", ".jsonl", _LINES, native.write),
    "rex": Format(
        "RexUniNLU 训练记录", "RexUniNLU records", ".rex.jsonl", _LINES, rex.write, scores=NONE, document=PART
    ),
    "rex-output": Format(
        "RexUniNLU 模型回答",
        "RexUniNLU answers",
        ".rex-output.jsonl",
        _LINES,
        rex.write_output,
        scores=NONE,
        document=NONE,
    ),
    "doccano": Format("doccano", "doccano", ".doccano.jsonl", _LINES, doccano.write, classes=PART, scores=PART),
    "label-studio": Format("Label Studio", "Label Studio", ".label-studio.zip", _ZIP, label_studio.write),
    "conll": Format("CoNLL（BIO）", "CoNLL, BIO", ".bio.txt", "text/plain", conll.write_bio, **_FLAT),
    "bioes": Format("CoNLL（BIOES）", "CoNLL, BIOES", ".bioes.txt", "text/plain", conll.write_bioes, **_FLAT),
    "brat": Format("brat", "brat", ".brat.zip", _ZIP, brat.write, classes=PART),
    "uie": Format("UIE（PaddleNLP）", "UIE (PaddleNLP)", ".uie.jsonl", _LINES, uie.write, scores=NONE, document=NONE),
    "spacy": Format("spaCy JSONL", "spaCy JSON lines", ".spacy.jsonl", _LINES, spacy.write, classes=PART, scores=PART),
    "csv": Format("CSV 表格", "CSV table", ".csv", "text/csv", csv.write, document=PART),
    "xlsx": Format("Excel 工作簿", "Excel workbook", ".xlsx", _SHEET, _xlsx),
    "parquet": Format("Parquet", "Parquet", ".parquet", "application/vnd.apache.parquet", _parquet),
    "html": Format("HTML 报告", "HTML report", ".html", "text/html", html.write),
}
ALIASES = {"jsonl": "native"}


def find_format(name: str) -> Format:
    """The format of that name. Raises FormatError listing the names there are."""
    key = ALIASES.get(name, name)
    if key not in FORMATS:
        raise FormatError(f"不支持导出格式“{name}”。可选：{'、'.join(FORMATS)}。")
    return FORMATS[key]


def write_to(results: Results, format: str, *, target: BinaryIO, about: About | None = None) -> tuple[Loss, ...]:
    """Write results to an open file as they come, a few in memory at a time; returns what the format lost.

    `target` stays open and need not seek. Raises FormatError for an unknown format and for no results.
    """
    chosen = find_format(format)
    coming = iter(results)
    first = next(coming, None)
    if first is None:
        raise FormatError("没有可导出的结果。请先运行一次分析。")
    losses = Losses()
    chosen.write(chain((first,), coming), target, losses, about or About())
    return losses.report()


def write_file(results: Results, format: str, *, path: Path, about: About | None = None) -> tuple[Loss, ...]:
    """Write results to a file, which appears under its name only when it is complete.

    Raises FormatError as `write_to` does and when the file cannot be written.
    """
    # two people may export the same run at once
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as target:
            losses = write_to(results, format, target=target, about=about)
        part.replace(path)
    except OSError as error:
        raise FormatError(f"无法写入 {path}：{error}。请换一个位置或腾出空间后重试。") from error
    finally:
        with suppress(OSError):
            part.unlink()
    return losses


def write(results: Results, format: str, *, about: About | None = None) -> Export:
    """Results as a file in memory, for a download; `write_to` is for large ones. Raises FormatError as it does."""
    chosen = find_format(format)
    tasks: set[str] = set()

    def seen() -> Iterable[AnnotatedDocument]:
        for result in results:
            tasks.add(result.task)
            yield result

    buffer = io.BytesIO()
    losses = write_to(seen(), format, target=buffer, about=about)
    name = tasks.pop() if len(tasks) == 1 else "all"
    return Export(buffer.getvalue(), f"annotations-{name}{chosen.suffix}", chosen.mime, losses)
