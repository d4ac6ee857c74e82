"""A storm of requests from quick and slow clients on `core serve`: `python -m scripts.slow_clients --requests 5000`.

200 at a time, every fourth sent in two pieces and read in small ones, with rests. Each must be answered, or told with
503 to come again; memory must stay within bounds, and afterwards everything is as before. Ends with status 1 when not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import uvicorn

from core.cluster.http import Bounds
from core.cluster.serve import LocalBackend, local_app
from core.config import EMBEDDED_MODEL, Settings
from scripts.desk_server import free_port

TEXT = "小说家陈静1972年3月出生于杭州，毕业于浙江大学。"
ASK = {"task": "ner", "schema": {"人物": None}, "documents": [TEXT]}
AT_ONCE, SLOW_EVERY = 200, 4
WAITING_TOKENS = 3_000
"""What requests may hold together; a single one asks for about 50."""
MEMORY_BYTES = 200 * 2**20
Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Storm:
    """How many of `requests` were answered and how many told to come again; growth of the process's memory."""

    requests: int
    answered: int
    told_to_come_again: int
    seconds: float
    memory_growth_bytes: int
    answered_afterwards: int

    @property
    def problem(self) -> str:
        """What did not hold; empty when all did."""
        if self.answered + self.told_to_come_again != self.requests:
            return "a request was neither answered nor told to come again"
        if self.answered < self.requests // 100 or not self.told_to_come_again:
            return "hardly any was answered, or the bound was never reached"
        if self.memory_growth_bytes >= MEMORY_BYTES:
            return "memory grew beyond the bound"
        return "" if self.answered_afterwards == 4 else "it does not answer afterwards"


@contextmanager
def serving(model: Path, data_dir: Path) -> Iterator[Address]:
    """The engine's HTTP service in this process, with little room for waiting requests; yields its address."""
    settings = Settings(_env_file=None, model=str(model), device="cpu", cpu_threads=1, data_dir=data_dir)
    backend = LocalBackend(settings)
    app = local_app(backend, host="127.0.0.1", token="", bounds=Bounds(waiting_tokens=WAITING_TOKENS))
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while (not server.started or backend._model is None) and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        yield "127.0.0.1", port
    finally:
        server.should_exit = True
        thread.join(20)
        backend.close()


def storm(address: Address, requests: int, *, wait_s: float) -> Storm:
    """Send so many, after some that load what is loaded once. Raises TimeoutError after `wait_s`."""
    _send(address, 100, wait_s=wait_s)
    before, began = psutil.Process().memory_info().rss, time.monotonic()
    told = _send(address, requests, wait_s=wait_s)
    seconds = round(time.monotonic() - began, 1)
    grown = psutil.Process().memory_info().rss - before
    after = _send(address, 4, wait_s=wait_s)
    return Storm(requests, told["200"], told["503"], seconds, grown, after["200"])


def _send(address: Address, requests: int, *, wait_s: float) -> Counter[str]:
    async def all_of_them() -> list[str]:
        gate = asyncio.Semaphore(AT_ONCE)

        async def through(number: int) -> str:
            async with gate:
                return await _one(address, number % SLOW_EVERY == 0)

        return list(await asyncio.gather(*(through(number) for number in range(requests))))

    return Counter(asyncio.run(asyncio.wait_for(all_of_them(), wait_s)))


async def _one(address: Address, slowly: bool) -> str:
    """The status of one request."""
    reader, writer = await asyncio.open_connection(*address, limit=256 if slowly else 2**16)
    body = json.dumps(ASK).encode()
    head = "POST /v1/annotate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n"
    data = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    try:
        for part in (data[:90], data[90:]) if slowly else (data,):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.3 if slowly else 0)
        answer = b""
        while some := await reader.read(64 if slowly else 2**16):
            answer += some
            await asyncio.sleep(0.005 if slowly else 0)
    finally:
        writer.close()
    status = answer.split(b" ", 2)[1].decode()
    found = json.loads(answer.partition(b"\r\n\r\n")[2])
    if status == "200":
        assert len(found["results"]) == 1 and not found["results"][0]["error"]
    else:
        assert "请稍后再试" in found["error"]["message"]
    return status


def main(arguments: Sequence[str] | None = None) -> None:
    """Let the storm loose on the included model, show the counts and perhaps keep them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=5_000)
    parser.add_argument("--model", type=Path, default=EMBEDDED_MODEL, help="checkpoint; the included model by default")
    parser.add_argument("--out", type=Path, help="write the counts here")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, serving(chosen.model, Path(folder)) as address:
        found = storm(address, chosen.requests, wait_s=3_600)
    report = {
        "command": f"python -m scripts.slow_clients --requests {chosen.requests}",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        **asdict(found),
        "problem": found.problem,
    }
    text = json.dumps(report, ensure_ascii=False, indent=1) + "\n"
    if chosen.out is not None:
        chosen.out.write_text(text, "utf-8")
    sys.stdout.write(text)
    if found.problem:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
