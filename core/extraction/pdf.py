"""A PDF -> the text of its pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pypdfium2  # type: ignore[import-untyped]

from core.errors import FormatError

# What PDFium gives for a hyphen at a line's end, and control characters other than line ends and tabs.
_NOISE = re.compile("[\ufffe\uffff\x00-\x08\x0b-\x1f\x7f]")
_PASSWORD = "password"


def extract(path: Path) -> Iterator[list[Any]]:
    """["text", page number, text] for each page, also for one without text.

    Raises FormatError for a file that is damaged, protected or no PDF.
    """
    try:
        document = pypdfium2.PdfDocument(path)
        pages = len(document)
    except pypdfium2.PdfiumError as error:
        if _PASSWORD in str(error).lower():
            raise FormatError("PDF 有密码保护。请去掉密码后重新导入。") from error
        raise FormatError(f"不是完好的 PDF（{error}）。请用 PDF 阅读器打开，另存一份后重新导入。") from error
    for number in range(1, pages + 1):
        try:
            page = document[number - 1]
            text = page.get_textpage().get_text_range()
            page.close()
        except pypdfium2.PdfiumError as error:
            yield ["note", f"第 {number} 页无法读取（{error}），没有导入"]
            continue
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        yield ["text", number, _NOISE.sub("", text)]
