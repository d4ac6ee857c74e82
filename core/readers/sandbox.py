"""Reads docx, xlsx, xls and pdf in a process of its own, bounded in time and memory: a bad file ends only that."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import FormatError
from core.readers.source import Source

TIME_LIMIT_S = 300
OUTPUT_CHARACTERS = 400 * 2**20
_ROOT = Path(__file__).resolve().parents[2]


def extract(source: Source, kind: str) -> Iterator[list[Any]]:
    """What the child says of the file, line by line: see `core.extraction.__main__`.

    Raises FormatError when the file is refused, ends the child, takes too long or gives too much.
    """
    with source.on_disk() as path:
        command = [sys.executable, "-m", "core.extraction", kind, str(path.resolve())]
        child = subprocess.Popen(
            command, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        late = threading.Event()

        def stop() -> None:
            late.set()
            child.kill()

        watch = threading.Timer(TIME_LIMIT_S, stop)
        watch.start()
        try:
            yield from _messages(child, late)
        finally:
            watch.cancel()
            child.kill()
            if child.stdout is not None:
                child.stdout.close()
            child.wait()


def _messages(child: subprocess.Popen[bytes], late: threading.Event) -> Iterator[list[Any]]:
    assert child.stdout is not None
    size = 0
    # ASCII lines: the length in bytes bounds the length in characters
    while line := child.stdout.readline(OUTPUT_CHARACTERS):
        size += len(line)
        if size >= OUTPUT_CHARACTERS:
            raise FormatError(f"展开后的文字超过 {OUTPUT_CHARACTERS // 2**20} MB。请拆分后重新导入。")
        if not line.endswith(b"\n"):
            break
        message = json.loads(line)
        if message[0] == "error":
            raise FormatError(message[1])
        if message[0] == "end":
            return
        yield message
    if late.is_set():
        raise FormatError(f"读取超过 {TIME_LIMIT_S} 秒，已放弃。请拆分文件，或用原程序另存一份后重新导入。")
    raise FormatError("文件已损坏，或展开后超过内存上限，解析程序中途退出。请用原程序打开，另存一份后重新导入。")
