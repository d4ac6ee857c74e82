"""The one entry to annotated files: a path and a format's name -> annotated documents and a report."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import FormatError, InputError
from core.readers.annotated import brat, conll, doccano, label_studio, native, rex, spacy, uie
from core.readers.annotated.align import UNITS
from core.readers.annotated.graph import count
from core.readers.annotated.ledger import ImportReport, Ledger
from core.readers.archive import member_names
from core.readers.files import LIMIT_BYTES
from core.readers.jsonl import Bad, json_values
from core.readers.kinds import is_zip
from core.readers.source import Source, from_bytes, from_path
from core.types import AnnotatedDocument

# What may be unpacked of one archive into memory.
EXPANDED_BYTES = 400 * 2**20
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)


@dataclass(frozen=True, slots=True)
class AnnotatedFormat:
    """A format that holds annotations: its title, the files it comes in, and what of them is read."""

    title: str
    files: str
    keeps: str


ANNOTATED_FORMATS = {
    "native": AnnotatedFormat("本程序的结果", "jsonl", "全部"),
    "rex": AnnotatedFormat("RexUniNLU", "jsonl（text、info_list、schema）", "实体、关系、事件、类别"),
    "doccano": AnnotatedFormat("doccano", "jsonl", "实体、关系、类别、元数据"),
    "label-studio": AnnotatedFormat(
        "Label Studio", "json、jsonl，或含 tasks.json 的 zip 或文件夹", "实体、关系、类别、得分、元数据"
    ),
    "conll": AnnotatedFormat("CoNLL", "txt、bio、conll（BIO、BIOES、BMES、BILOU）", "不重叠的实体"),
    "bioes": AnnotatedFormat("BIOES", "同 conll", "不重叠的实体"),
    "brat": AnnotatedFormat("brat", "zip、文件夹，或成对的 txt 和 ann", "实体、关系、事件、属性"),
    "uie": AnnotatedFormat("UIE", "jsonl（content、prompt、result_list）", "实体、关系、事件角色、类别"),
    "spacy": AnnotatedFormat("spaCy", "jsonl", "实体、关系、类别、元数据"),
}
_BY_VALUE: dict[str, Callable[..., Iterator[AnnotatedDocument]]] = {
    "native": native.parse,
    "rex": rex.parse,
    "doccano": doccano.parse,
    "label-studio": label_studio.parse,
    "spacy": spacy.parse,
}


def read_annotated(
    path: Path, format: str, *, encoding: str | None = None, offsets: str = "auto"
) -> tuple[list[AnnotatedDocument], ImportReport]:
    """The documents of an annotated file, and what was repaired or could not be used.

    `format` is one of ANNOTATED_FORMATS; `offsets` says what the file counts in ("auto", "codepoint", "utf16",
    "utf8"). Raises FormatError, in words for the user, when nothing can be read.
    """
    if format not in ANNOTATED_FORMATS:
        raise FormatError(f"不认识标注格式“{format}”。可选：{'、'.join(ANNOTATED_FORMATS)}。")
    if offsets not in UNITS:
        raise FormatError(f"不认识位置单位“{offsets}”。可选：{'、'.join(UNITS)}。")
    ledger = Ledger(offsets=offsets)
    try:
        documents = list(_documents(path, format, encoding=encoding, ledger=ledger))
    except FormatError as error:
        raise FormatError(str(error) if path.name in str(error) else f"“{path.name}”：{error}") from error
    except _BROKEN as error:
        raise FormatError(f"“{path.name}”无法读取（{error}）。请检查文件后重新导入。") from error
    found = sum(count(one.annotations) for one in documents)
    report = ledger.report(format, documents=len(documents), annotations=found)
    if not documents:
        raise FormatError(f"“{path.name}”中没有可用的 {format} 标注。" + " ".join(report.problems))
    return documents, report


def _documents(path: Path, format: str, *, encoding: str | None, ledger: Ledger) -> Iterator[AnnotatedDocument]:
    if format == "brat":
        yield from brat.read(_brat_files(path), encoding=encoding, ledger=ledger)
        return
    source = _source(path, format)
    if source.size_bytes > LIMIT_BYTES:
        raise FormatError(f"有 {source.size_bytes // 2**20} MB，超过上限 {LIMIT_BYTES // 2**20} MB。请拆分后分别导入。")
    if not source.size_bytes:
        raise FormatError("是空文件。请检查后重新导入。")
    if format in ("conll", "bioes"):
        yield from conll.read(source, encoding=encoding, ledger=ledger)
        return
    values = json_values(source, ledger.account, encoding=encoding)
    if format == "uie":
        for number, lines in enumerate(uie.group(values, ledger), start=1):
            try:
                yield from uie.parse(lines, default_id=f"{source.stem}-{number}", ledger=ledger)
            except InputError as error:
                ledger.problem(lines[0][0], f"{error}，已跳过。")
        return
    parse = _BY_VALUE[format]
    for place, number, value in values:
        try:
            if isinstance(value, Bad):
                raise InputError(value.reason)
            yield from parse(value, place=place, default_id=f"{source.stem}-{number}", ledger=ledger)
        except InputError as error:
            ledger.problem(place, f"{error}，已跳过。")
        except RecursionError:
            ledger.problem(place, "嵌套过深，已跳过。")


def _source(path: Path, format: str) -> Source:
    """The file to read, whatever its name says: itself, or the one in an archive or in a folder."""
    if path.is_dir():
        found = _annotation_file([one.name for one in sorted(path.iterdir()) if one.is_file()], f"文件夹“{path.name}”")
        return _source(path / found, format)
    source = from_path(path)
    if is_zip(source.head(8)):
        files = _unzip(path)
        name = _annotation_file(list(files), "压缩包")
        return from_bytes(name, files[name])
    return source


def _annotation_file(names: Sequence[str], place: str) -> str:
    """The one annotated file among names, `tasks.json` where there are several."""
    found = [name for name in names if name.lower().endswith((".json", ".jsonl", ".txt", ".bio", ".conll"))]
    found = [name for name in found if name.rpartition("/")[2] == "tasks.json"] or found
    if len(found) != 1:
        raise FormatError(f"{place}里应有一个标注文件，现有 {len(found)} 个。请逐个导入。")
    return found[0]


def _brat_files(path: Path) -> dict[str, bytes]:
    if path.is_dir():
        return {
            str(one.relative_to(path)): one.read_bytes()
            for one in sorted(path.rglob("*"))
            if one.is_file() and not one.is_symlink() and one.stat().st_size <= LIMIT_BYTES
        }
    if is_zip(from_path(path).head(8)):
        return _unzip(path)
    pair = [path.with_suffix(suffix) for suffix in (".txt", ".ann", ".meta.json")]
    beside = [path.parent / name for name in ("visual.conf", "labels.json")]
    found = {one.name: one.read_bytes() for one in (*pair, *beside) if one.is_file()}
    if path.with_suffix(".ann").name not in found:
        raise FormatError("旁边没有同名的 .ann 文件。brat 的一个文档是成对的 .txt 和 .ann。")
    return found


def _unzip(path: Path) -> dict[str, bytes]:
    """The files of an archive in memory. Raises FormatError for what is locked or too large."""
    files: dict[str, bytes] = {}
    left = EXPANDED_BYTES
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        for info, name in zip(infos, member_names(infos), strict=True):
            if info.is_dir():
                continue
            if info.flag_bits & 1:
                raise FormatError("压缩包有密码。请去掉密码后重新导入。")
            with archive.open(info) as file:
                data = file.read(left + 1)
            left -= len(data)
            if left < 0:
                raise FormatError(f"解压后超过 {EXPANDED_BYTES // 2**20} MB。请拆分后分别导入。")
            files[name] = data
    return files


def annotated_table() -> str:
    """The annotated files that can be imported, as a Markdown table for the documents."""
    rows = ["| `--format` | 来自 | 文件 | 读取 |", "|---|---|---|---|"]
    rows += [f"| `{name}` | {one.title} | {one.files} | {one.keeps} |" for name, one in ANNOTATED_FORMATS.items()]
    return "\n".join(rows)
