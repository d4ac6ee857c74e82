"""The one entry to exporting: results and a format's name -> a file with an account of what it cannot hold."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from core.errors import FormatError
from core.exporters import brat, conll, csv, doccano, html, label_studio, native, rex, spacy, uie
from core.exporters.packages import OpenFile, WriteFiles, choose, part_of, write_beside, write_folder
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

    overlap: spans that nest or cross; document: id, name, second text and metadata. A format of several files has
    `write_files`, `write` makes one zip of them; `beside` are their suffixes where they may stand side by side.
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
    write_files: WriteFiles | None = None
    beside: Mapping[str, str] = field(default_factory=dict)


def _xlsx(results: Results, target: BinaryIO, losses: Losses, about: About) -> None:
    from core.exporters import xlsx  # its library is needed only here

    xlsx.write(results, target, losses, about)


def _parquet(results: Results, target: BinaryIO, losses: Losses, about: About) -> None:
    from core.exporters import parquet  # slow to import, needed only here

    parquet.write(results, target, losses, about)


_LINES = "application/x-ndjson"
_ZIP = "application/zip"
_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_FLAT: dict[str, Any] = {
    "overlap": NONE,
    "relations": NONE,
    "events": NONE,
    "classes": NONE,
    "scores": NONE,
    "document": NONE,
}
FORMATS: dict[str, Format] = {
    "native": Format("本产品 JSONL（完整）", "own JSON lines", ".jsonl", _LINES, native.write),
    "rex": Format(
        "RexUniNLU 训练记录",
        "RexUniNLU records",
        ".rex.jsonl",
        _LINES,
        rex.write,
        classes=PART,
        scores=NONE,
        document=PART,
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
    "label-studio": Format(
        "Label Studio",
        "Label Studio",
        ".label-studio.zip",
        _ZIP,
        label_studio.write,
        write_files=label_studio.write_files,
        beside=label_studio.BESIDE,
    ),
    "conll": Format("CoNLL（BIO）", "CoNLL, BIO", ".bio.txt", "text/plain", conll.write_bio, **_FLAT),
    "bioes": Format("CoNLL（BIOES）", "CoNLL, BIOES", ".bioes.txt", "text/plain", conll.write_bioes, **_FLAT),
    "brat": Format("brat", "brat", ".brat.zip", _ZIP, brat.write, classes=PART, write_files=brat.write_files),
    "uie": Format(
        "UIE（PaddleNLP）",
        "UIE (PaddleNLP)",
        ".uie.jsonl",
        _LINES,
        uie.write,
        relations=PART,
        events=PART,
        scores=NONE,
        document=NONE,
    ),
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
    losses = Losses()
    chosen.write(_some(results), target, losses, about or About())
    return losses.report()


def _some(results: Results) -> Results:
    """The results, of which there must be one before anything is written. Raises FormatError."""
    coming = iter(results)
    first = next(coming, None)
    if first is None:
        raise FormatError("没有可导出的结果。请先运行一次分析。")
    return chain((first,), coming)


def write_file(results: Results, format: str, *, path: Path, about: About | None = None) -> tuple[Loss, ...]:
    """Write results to a file, which appears under its name only when it is complete.

    A format of several files becomes a zip, files side by side or a folder, by the name (see `packages.choose`).
    Raises InputError for a name that does not suit the format; FormatError as `write_to` does and when the file
    cannot be written.
    """
    chosen = find_format(format)
    places = _places(path, format)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if chosen.write_files is None or places is None:
            return _write_one(results, format, path=path, about=about)
        losses = Losses()
        some, write_files = _some(results), chosen.write_files

        def write_all(open_file: OpenFile) -> None:
            write_files(some, open_file, losses, about or About())

        if places:
            write_beside(write_all, places)
        else:
            write_folder(write_all, path)
    except OSError as error:
        raise FormatError(f"无法写入 {path}：{error}。请换一个位置或腾出空间后重试。") from error
    return losses.report()


def _places(path: Path, format: str) -> Mapping[str, Path] | None:
    chosen = find_format(format)
    return None if chosen.write_files is None else choose(path, format=format, beside=chosen.beside)


def written_paths(path: Path, format: str) -> tuple[Path, ...]:
    """What `write_file` wrote: the file or folder, or the files side by side."""
    return tuple((_places(path, format) or {}).values()) or (path,)


def _write_one(results: Results, format: str, *, path: Path, about: About | None) -> tuple[Loss, ...]:
    """Write one file. Raises OSError and FormatError."""
    part = part_of(path)
    try:
        with part.open("wb") as target:
            losses = write_to(results, format, target=target, about=about)
        part.replace(path)
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
