"""No screen waits for its query, however much is stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.benchmark.bench import Bench
from core.benchmark.storing import measure_queries
from core.benchmark.texts import SAMPLES, read_texts


@pytest.mark.slow
def test_every_query_of_a_screen_takes_at_most_a_fifth_of_a_second(tmp_path: Path) -> None:
    bench = Bench(
        device_name="cpu",
        dtype="auto",
        texts=read_texts(),
        records=SAMPLES / "finetune_check.jsonl",
        quick=False,
        scratch=tmp_path,
        progress=lambda line: None,
    )
    (measured,) = measure_queries(bench)
    assert measured.detail["documents"] == 100_000 and measured.detail["annotations"] == 2_000_000
    assert measured.value is not None and measured.value <= 200, measured.detail["best_milliseconds"]
