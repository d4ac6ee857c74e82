"""Thousands of requests from clients that send and read slowly: all are answered or told to come again."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import uvicorn

from core.cluster.http import Bounds
from core.cluster.serve import LocalBackend, local_app
from core.config import Settings

TEXT = "小说家陈静1972年3月出生于杭州，毕业于浙江大学。"
ASK = {"task": "ner", "schema": {"人物": None}, "documents": [TEXT]}
WAIT_S = 240
MEMORY_BYTES = 200 * 2**20


@pytest.fixture(scope="module")
def address(checkpoint_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """A service whose requests may hold 3,000 tokens together; a single one asks for about 50."""
    settings = Settings(
        _env_file=None, model=str(checkpoint_dir), device="cpu", cpu_threads=1, data_dir=tmp_path_factory.mktemp("data")
    )
    backend = LocalBackend(settings)
    app = local_app(backend, host="127.0.0.1", token="", bounds=Bounds(waiting_tokens=3_000))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while (not server.started or backend._model is None) and time.monotonic() < deadline:
        time.sleep(0.02)
    yield "127.0.0.1", port
    server.should_exit = True
    thread.join(20)
    backend.close()


async def one(address: tuple[str, int], slowly: bool) -> str:
    """The status of one request; a slow client sends in two pieces and reads in small ones, both with rests."""
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


def storm(address: tuple[str, int], requests: int) -> Counter[str]:
    """So many requests, 200 of them at a time, every fourth slow."""

    async def all_of_them() -> list[str]:
        gate = asyncio.Semaphore(200)

        async def through(number: int) -> str:
            async with gate:
                return await one(address, number % 4 == 0)

        return list(await asyncio.gather(*(through(number) for number in range(requests))))

    return Counter(asyncio.run(asyncio.wait_for(all_of_them(), WAIT_S)))


def check(address: tuple[str, int], requests: int) -> None:
    storm(address, 100)  # what is loaded once
    before = psutil.Process().memory_info().rss
    told = storm(address, requests)
    assert told.total() == requests and set(told) <= {"200", "503"}
    assert told["200"] >= requests // 10 and told["503"], told
    assert psutil.Process().memory_info().rss - before < MEMORY_BYTES
    assert storm(address, 4)["200"] == 4, "afterwards everything is as before"


def test_hundreds_of_slow_clients_are_answered_or_told_to_come_again(address: tuple[str, int]) -> None:
    check(address, 250)


@pytest.mark.slow
def test_thousands_of_slow_clients_are_answered_or_told_to_come_again(address: tuple[str, int]) -> None:
    check(address, 5_000)
