"""The child process of `core.readers.sandbox`: writes what a file holds.

One JSON list a line on standard output: ["row", sheet, row number, [cells]], ["text", number, text] (a paragraph
or a page), ["note", words], ["error", words] or, last, ["end"].
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

from core.errors import FormatError

MEMORY_BYTES = 2 * 2**30
CPU_S = 240
KINDS = ("docx", "pdf", "workbook", "cells")


def limit() -> None:
    """Bound this process where the system can: address space and processor time."""
    try:
        import resource  # not on Windows
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(kind: str, path: str) -> None:
    """Write the messages of one file."""
    if kind not in KINDS:
        raise SystemExit(f"KIND: {'、'.join(KINDS)}")
    limit()
    write = sys.stdout.write
    try:
        for message in import_module(f"core.extraction.{kind}").extract(Path(path)):
            write(json.dumps(message) + "\n")
        write('["end"]\n')
    except FormatError as error:
        write(json.dumps(["error", str(error)]) + "\n")
    except MemoryError:
        write(json.dumps(["error", "展开后超过内存上限。请拆分后重新导入。"]) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:3])
