"""What people wait for at the database: a large import, and the queries of every screen over a large corpus."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from sqlalchemy import Engine

from core.benchmark.bench import Bench
from core.benchmark.figures import Measured
from core.benchmark.texts import ROOT
from core.errors import RexError
from core.storage import concordance, explore_queries, queries, review_queries, search, search_index
from core.storage.database import migrate, open_database, writing
from core.storage.store import Store
from core.types import Document

MIB = 2**20
CHANNELS = ("电话", "网页", "微信", "门店")
TYPES = ("人物", "组织机构", "地理位置", "时间", "产品", "问题")
BATCH = 2_000
# Documents that the page of exploration counts of a larger corpus unless told otherwise.
SAMPLE = 2_000


def measure_import(bench: Bench) -> list[Measured]:
    """A CSV of 100 MiB in GB 18030 through `python -m core import`, in a process of its own, into a new database."""
    data = bench.scratch / "import"
    data.mkdir(exist_ok=True)
    path = data / "records.csv"
    rows = _write_table(path, bench.texts, size=bench.count(100 * MIB, MIB // 4))
    # the settings are read from the environment; `env` sets one variable more for this process alone
    command = ["env", f"REX_DATA_DIR={data}", sys.executable, "-m", "core", "import", str(path)]
    begun = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        taken = time.perf_counter() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode or f"{rows} 个文档" not in said:
        raise RexError(f"导入没有完成（状态 {child.returncode}）：{said[-300:]}")
    detail = {"bytes": path.stat().st_size, "documents": rows, "cpu_s": usage.ru_utime + usage.ru_stime}
    return [
        Measured("import_s", taken, "", detail),
        Measured("import_peak_mib", usage.ru_maxrss / 1024, "", detail),
    ]


def _write_table(path: Path, texts: list[str], *, size: int) -> int:
    """A table as Chinese Excel saves it, with as many rows as fit; returns their number."""
    chance = random.Random(7)
    written = 0
    with path.open("w", encoding="gb18030", errors="replace", newline="") as file:
        file.write("编号,内容,渠道\r\n")
        for number in count(1):
            body = _text(texts, chance).replace('"', '""')
            file.write(f'{number},"{body}",{chance.choice(CHANNELS)}\r\n')
            if number % 100 == 0 and file.tell() >= size:
                written = number
                break
    return written


def _text(texts: list[str], chance: random.Random) -> str:
    """About 250 characters of real text."""
    parts: list[str] = []
    while sum(map(len, parts)) < 250:
        one = chance.choice(texts)
        start = chance.randrange(max(1, len(one) - 80))
        parts.append(one[start : start + 80])
    return "".join(parts)


def measure_queries(bench: Bench) -> list[Measured]:
    """Each query of the screens over 100,000 documents and 2 million annotations, the best of five; the slowest."""
    engine = open_database(f"sqlite:///{bench.scratch / 'queries.db'}")
    migrate(engine)
    documents = bench.count(100_000, 300)
    bench.progress(f"生成 {documents} 篇文档")
    run, annotations = fill(engine, bench.texts, documents=documents)
    asked = screen_queries(engine, run, document=documents // 2)
    times = {name: _times(ask) for name, ask in asked.items()}
    everything = {name: min(_times(ask)) for name, ask in queries_of_everything(engine, run).items()}
    engine.dispose()
    # other programs on the machine only add; the medians show how much
    best = {name: min(some) for name, some in times.items()}
    slowest = max(best, key=lambda name: best[name])
    detail = {
        "slowest": slowest,
        "documents": documents,
        "annotations": annotations,
        "best_milliseconds": best,
        "median_milliseconds": {name: sorted(some)[2] for name, some in times.items()},
        "every_document_counted_milliseconds": everything,
    }
    return [Measured("slowest_query_ms", best[slowest], "", detail)]


def _times(ask: Callable[[], object]) -> list[float]:
    """Milliseconds of five calls."""
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        ask()
        times.append((time.perf_counter() - begun) * 1000)
    return times


def fill(engine: Engine, texts: list[str], *, documents: int) -> tuple[int, int]:
    """Documents with metadata; a run over all with 12 findings each, eight over a tenth with 10 each.

    Returns the number of the run over all and how many annotations there are.
    """
    chance = random.Random(11)
    store = Store(engine)
    ids: list[int] = []
    for start in range(0, documents, BATCH):
        ids += store.add_documents(
            [
                Document(
                    _text(texts, chance),
                    id=f"D{number}",
                    name="记录.csv",
                    metadata={
                        "渠道": chance.choice(CHANNELS),
                        "日期": f"2026-{number % 12 + 1:02d}-{number % 28 + 1:02d}",
                    },
                )
                for number in range(start, min(start + BATCH, documents))
            ]
        )
    search_index.catch_up(engine)
    whole = _fill_run(engine, store, ids, findings=12, chance=chance)
    tenth = len(ids) // 10
    for part in range(8):
        _fill_run(engine, store, ids[part * tenth : (part + 1) * tenth], findings=10, chance=chance)
    return whole, 12 * len(ids) + 80 * tenth


def _fill_run(engine: Engine, store: Store, ids: list[int], *, findings: int, chance: random.Random) -> int:
    run = store.start_run(
        task="re", schema_id=None, schema=dict.fromkeys(TYPES), model="m", revision="", dtype="", device="",
        threshold=0.5, total=len(ids),
    )  # fmt: skip
    now = datetime.now(UTC).replace(tzinfo=None).isoformat(" ")
    with writing(engine).begin() as connection:
        for start in range(0, len(ids), BATCH):
            some = ids[start : start + BATCH]
            read = [(run, one, start + place, 1, "[]", "[]", "", 0.1) for place, one in enumerate(some)]
            connection.exec_driver_sql(
                "INSERT INTO run_documents (run_id, document_id, position, windows, paths, notes, error, duration_s) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                read,
            )
            bounds = (some[0], some[-1])
            read_texts = connection.exec_driver_sql("SELECT id, text FROM documents WHERE id BETWEEN ? AND ?", bounds)
            texts: dict[int, str] = {row[0]: row[1] for row in read_texts}
            connection.exec_driver_sql(
                'INSERT INTO annotations (run_id, document_id, type, start, "end", text, score, position) '
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [row for one in some for row in _findings(run, one, texts[one], findings, chance)],
            )
        connection.exec_driver_sql(
            "UPDATE runs SET done = ?, windows = ?, annotations = ?, state = 'done', finished_at = ? WHERE id = ?",
            (len(ids), len(ids), len(ids) * findings, now, run),
        )
    return run


def _findings(run: int, document: int, text: str, findings: int, chance: random.Random) -> Iterator[tuple[object, ...]]:
    for position in range(findings):
        start = chance.randrange(len(text) - 5)
        end = start + chance.randrange(2, 5)
        score = round(0.5 + chance.random() / 2, 4)
        yield run, document, chance.choice(TYPES), start, end, text[start:end], score, position


def screen_queries(engine: Engine, run: int, *, document: int) -> dict[str, Callable[[], object]]:
    """What the screens ask of the database, by name; `run` and `document` are what a person has opened."""
    voices = search.Search(metadata={"渠道": ["电话", "微信"]})
    shown = explore_queries.Filter((run,), every=max(1, 2 * document // SAMPLE))
    queue = review_queries.QueueFilter()
    return {
        "documents: first page": lambda: queries.list_documents(engine, limit=25),
        "documents: last page": lambda: queries.list_documents(engine, limit=25, offset=2 * document - 25),
        "documents: count": lambda: queries.count_documents(engine),
        "documents: keys": lambda: search.metadata_keys(engine),
        "documents: values": lambda: search.metadata_values(engine, "渠道"),
        "documents: by metadata": lambda: queries.list_documents(engine, voices, limit=25),
        "documents: count by metadata": lambda: queries.count_documents(engine, voices),
        "documents: three characters": lambda: queries.list_documents(engine, "有限公司", limit=25),
        "documents: count of three characters": lambda: queries.count_documents(engine, "有限公司"),
        "documents: two characters": lambda: queries.list_documents(engine, "宽带", limit=25),
        "documents: count of two characters": lambda: queries.count_documents(engine, "宽带"),
        "documents: waiting for the index": lambda: search_index.pending(engine),
        "document: text": lambda: queries.get_document(engine, document),
        "document: runs": lambda: queries.runs_of_document(engine, document),
        "document: findings": lambda: queries.load_result(engine, run, document),
        "jobs: list": lambda: queries.list_runs(engine, limit=25),
        "jobs: count": lambda: queries.count_runs(engine),
        "schemas: list": lambda: queries.latest_schemas(engine),
        "review: states": lambda: review_queries.count_states(engine, run),
        "review: queue": lambda: review_queries.queue_ids(engine, run, queue),
        "review: page of the queue": lambda: review_queries.queue_items(engine, run, list(range(1, 26))),
        "review: document": lambda: review_queries.get_review(engine, run, document),
        "review: history": lambda: review_queries.history(engine, run, document),
        "explore: documents": lambda: explore_queries.document_count(engine, [run]),
        "explore: types": lambda: explore_queries.type_counts(engine, shown),
        "explore: words": lambda: explore_queries.text_counts(engine, shown),
        "explore: scores": lambda: explore_queries.score_bins(engine, shown),
        "explore: by metadata": lambda: explore_queries.value_counts(engine, shown, key="渠道"),
        "explore: count of lines": lambda: concordance.count_findings(engine, shown),
        "explore: lines": lambda: concordance.find_lines(engine, shown),
    }


def queries_of_everything(engine: Engine, run: int) -> dict[str, Callable[[], object]]:
    """What the page of exploration asks when a person wants every document counted: no part of the figure."""
    whole = explore_queries.Filter((run,))
    return {
        "explore: types": lambda: explore_queries.type_counts(engine, whole),
        "explore: words": lambda: explore_queries.text_counts(engine, whole),
        "explore: scores": lambda: explore_queries.score_bins(engine, whole),
        "explore: by metadata": lambda: explore_queries.value_counts(engine, whole, key="渠道"),
    }
