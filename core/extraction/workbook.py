"""An Excel workbook (xlsx, xls) -> the rows of its sheets."""

from __future__ import annotations

import datetime
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook, PasswordError

from core.errors import FormatError

# Sheets are read whole; far more than Excel's own files ever hold.
EXPANDED_BYTES = 1024 * 2**20


def extract(path: Path, *, text: Callable[[Any], str] | None = None) -> Iterator[list[Any]]:
    """["row", sheet, row number, [cells]] for each row that holds something; sheets without any are noted.

    `text` makes the words of a cell; None: as a person reads it.

    Raises FormatError for a file that is damaged, protected, too large, or no workbook.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > EXPANDED_BYTES:
                raise FormatError(f"工作簿展开后超过 {EXPANDED_BYTES // 2**20} MB，可能是压缩炸弹，没有读取。")
            if any(member.filename.endswith("vbaProject.bin") for member in members):
                yield ["note", "文件带有宏：没有运行，只读取了单元格的值"]
    try:
        workbook = CalamineWorkbook.from_path(str(path))
        names = workbook.sheet_names
    except PasswordError as error:
        raise FormatError("工作簿有密码保护。请在 Excel 中去掉密码后重新导入。") from error
    except (CalamineError, OSError, ValueError) as error:
        raise FormatError(f"不是完好的 Excel 工作簿（{error}）。请用 Excel 打开，另存为 xlsx 后重新导入。") from error
    for name in names:
        yield from _sheet(workbook, name, text or _text)


def _sheet(workbook: Any, name: str, text: Callable[[Any], str]) -> Iterator[list[Any]]:
    try:
        sheet = workbook.get_sheet_by_name(name)
        first = sheet.start[0] + 1 if sheet.start else 1
        rows = sheet.to_python(skip_empty_area=True)
    except (CalamineError, OSError, ValueError) as error:
        yield ["note", f"工作表“{name}”没有读取：{error}"]
        return
    empty = True
    for number, row in enumerate(rows, start=first):
        cells = [text(value) for value in row]
        if any(cell.strip() for cell in cells):
            empty = False
            yield ["row", name, number, cells]
    if empty:
        yield ["note", f"工作表“{name}”是空的"]


def _text(value: Any) -> str:
    """A cell as a person reads it: whole numbers without a point, days without midnight."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime.datetime):
        at_midnight = value.time() == datetime.time()
        return value.date().isoformat() if at_midnight else value.isoformat(sep=" ")
    # Excel writes a carriage return as _x000D_; both mean a line end within a cell
    return str(value).replace("_x000D_", "\r").replace("\r\n", "\n").replace("\r", "\n")
