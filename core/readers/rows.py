"""Rows of cells -> documents: finds the header, and which columns hold text, second text and id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

from core.errors import FormatError
from core.readers import columns as known
from core.readers.options import ReadOptions
from core.readers.report import Account, Item, Tally
from core.types import Document

# The first rows decide what the columns are.
SAMPLE_ROWS = 1000
_HEADER_CHARACTERS = 20
# The text column is taken by length only when it is this many times longer than the next.
_CLEARLY_LONGER = 2.0


class Row(NamedTuple):
    """One record and the line or sheet row that it starts at, counted from 1."""

    line: int
    cells: list[str]


class Columns(NamedTuple):
    """The column names in order, and those that hold the text, the second text, the id and the metadata."""

    names: list[str]
    text: str
    pair: str | None
    id: str | None
    kept: frozenset[str]


def read_rows(
    rows: Iterable[Row],
    options: ReadOptions,
    *,
    title: str,
    name: str,
    stem: str,
    account: Account,
    anchor: bool = False,
) -> Iterator[tuple[int, Item]]:
    """The row number and one document for each row; columns that are not text, second text or id become metadata.

    `title` names the table in messages, `name` the documents; ids that are missing are "<stem>-<number>".
    Raises FormatError, naming the columns, when a column asked for does not exist, or when none is named and
    several could be the text.
    """
    waiting = iter(rows)
    first = list(islice(waiting, SAMPLE_ROWS))
    if not first:
        raise FormatError(f"“{title}”中没有任何行。请检查文件内容。")
    names, sample, notes = _header(first, options)
    if not sample:
        raise FormatError(f"“{title}”只有表头（{'、'.join(names)}），没有数据行。请补充内容后重新导入。")
    # also when none of them can be chosen: whoever chooses by hand must see them
    account.columns = tuple(dict.fromkeys((*account.columns, *names)))
    chosen = choose_columns(names, sample, options=options)
    told = (("正文列", chosen.text), ("第二文本列", chosen.pair), ("编号列", chosen.id))
    notes.append("；".join(f"{role}：{column}" for role, column in told if column))
    account.notes += notes

    blank, short, long = Tally(), Tally(), Tally()
    seen: set[int] = set()  # of the ids only their hashes: a table may have millions
    repeated = 0
    for number, row in enumerate(chain(sample, waiting), start=1):
        if len(row.cells) != len(names):
            (short if len(row.cells) < len(names) else long).add(row.line)
        here = names if len(row.cells) <= len(names) else _unique([*names, *[""] * (len(row.cells) - len(names))])
        values = dict(zip(here, row.cells, strict=False))
        content = values.pop(chosen.text, "")
        if not content.strip():
            blank.add(row.line)
            continue
        pair = values.pop(chosen.pair, "") if chosen.pair else None
        external_id = values.pop(chosen.id, "").strip() if chosen.id else ""
        if external_id:
            repeated += hash(external_id) in seen
            seen.add(hash(external_id))
        metadata = {key: value for key, value in values.items() if key in chosen.kept or key not in names}
        yield (
            row.line,
            (
                Document(content, id=external_id or f"{stem}-{number}", name=name, text_pair=pair, metadata=metadata),
                None,
            ),
        )
    account.problems += blank.rows("的正文为空，已跳过")
    account.problems += short.rows("的列数少于表头，缺少的列按没有处理")
    if repeated:
        account.notes.append(
            f"编号列“{chosen.id}”有 {repeated} 行的编号在前面出现过：编号照原样保留，各行仍是不同的文档"
        )
    account.problems += long.rows("的列数多于表头，多出的内容保存为附加列")


def choose_columns(names: list[str], sample: Sequence[Row], *, options: ReadOptions) -> Columns:
    """Which column is what, as asked or by name and content. Raises FormatError naming the columns there are."""
    for asked, role in (
        (options.text_column, "正文列"),
        (options.pair_column, "第二文本列"),
        (options.id_column, "编号列"),
        *((name, "元数据列") for name in options.metadata_columns or ()),
    ):
        if asked is not None and asked not in names:
            raise FormatError(f"没有名为“{asked}”的列。现有的列：{'、'.join(names)}。请从中选择{role}。")
    if options.pair_column is not None and options.pair_column == options.text_column:
        raise FormatError(f"正文和第二文本不能是同一列“{options.pair_column}”：请选两个不同的列。")
    free = [column for column in names if column != options.pair_column]
    text = options.text_column or _find_text(free, sample, names)
    others = [column for column in names if column != text]
    pair = options.pair_column or known.find(others, known.TEXT_PAIR)
    external_id = options.id_column or _find_id(others, sample, names)
    kept = others if options.metadata_columns is None else options.metadata_columns
    return Columns(names, text, pair, external_id, frozenset(kept))


def _header(rows: list[Row], options: ReadOptions) -> tuple[list[str], list[Row], list[str]]:
    """Column names, the rows below, and what was assumed."""
    first = [cell.strip() for cell in rows[0].cells]
    asked = {options.text_column, options.pair_column} & set(first)
    if asked or known.find(first, (*known.TEXT, *known.TEXT_PAIR, *known.ID)) is not None:
        return _unique(first), rows[1:], []
    if len(first) > 1 and _looks_like_header(first):
        return _unique(first), rows[1:], ["第一行看来是表头，没有作为数据读取"]
    names = _unique([""] * len(first))
    listed = "、".join(names[:20]) + (f" 等 {len(names)} 列" if len(names) > 20 else "")
    return names, rows, [f"第一行不像表头，已作为数据读取，列名为 {listed}"]


def _looks_like_header(cells: Sequence[str]) -> bool:
    short = all(0 < len(cell) <= _HEADER_CHARACTERS and not _numeric(cell) for cell in cells)
    return short and len(set(cells)) == len(cells)


def _numeric(cell: str) -> bool:
    return any(character.isdigit() for character in cell) and not any(character.isalpha() for character in cell)


def _unique(names: Sequence[str]) -> list[str]:
    """Blank names become "列N"; a repeated name gets its column number, so that no cell hides another."""
    result: dict[str, None] = {}
    for number, name in enumerate(names, start=1):
        name = name or f"列{number}"
        while name in result:
            name = f"{name}_{number}"
        result[name] = None
    return list(result)


def _find_text(free: list[str], sample: Sequence[Row], names: list[str]) -> str:
    """The column of the text among the `free` of all `names`."""
    named = known.find(free, known.TEXT)
    if named is not None:
        return named
    lengths = sorted(((_mean_length(sample, names.index(column)), column) for column in free), reverse=True)
    if not free:
        raise FormatError(f"只有“{'、'.join(names)}”一列，没有另一列可作正文。请用有两列文本的表格。")
    if len(lengths) == 1 or lengths[0][0] >= _CLEARLY_LONGER * lengths[1][0]:
        return lengths[0][1]
    listed = "、".join(free[:50])
    raise FormatError(f"无法确定哪一列是正文。现有的列：{listed}。请指定正文列，或把它的列名改为 text 或“内容”。")


def _find_id(others: list[str], sample: Sequence[Row], names: list[str]) -> str | None:
    """The column that numbers the documents: by its name, else the first that sounds so and repeats no number."""
    named = known.find(others, known.ID)
    if named is not None:
        return named
    for column in known.numbering(others):
        place = names.index(column)
        cells = [row.cells[place].strip() if len(row.cells) > place else "" for row in sample]
        if all(cells) and len(set(cells)) == len(cells):
            return column
    return None


def _mean_length(sample: Sequence[Row], index: int) -> float:
    cells = [row.cells[index] for row in sample if len(row.cells) > index and not _numeric(row.cells[index])]
    return sum(map(len, cells)) / len(cells) if cells else 0.0
