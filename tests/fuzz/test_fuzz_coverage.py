"""The targets of coverage-guided fuzzing take what they start from; a wrong answer is not swallowed on the way."""

from __future__ import annotations

import json

import pytest

from core.config import ROOT
from scripts import fuzz_coverage


@pytest.mark.parametrize("name", fuzz_coverage.TARGETS)
def test_every_target_holds_for_what_it_starts_from(name: str) -> None:
    target, seeds = fuzz_coverage.TARGETS[name]()
    assert seeds
    for seed in seeds[:6]:
        target(seed)
    target(b"")


def test_a_target_that_does_not_hold_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.errors.FormatError", KeyError)  # what the target expects, and not what is raised
    target, _ = fuzz_coverage.docx()
    with pytest.raises(Exception, match="XML 已损坏"):
        target(b"<?xml version='1.0' encoding='UTFz8'?><a/>")


def test_the_counts_in_the_docs_are_those_that_were_kept() -> None:
    kept = json.loads((ROOT / "data" / "benchmarks" / "desk" / "fuzz_coverage.json").read_text("utf-8"))
    page = (ROOT / "docs" / "faults.md").read_text("utf-8")
    assert f"{kept['inputs']:,} inputs" in page and not any(one["failed"] for one in kept["targets"].values())
    for name, one in kept["targets"].items():
        assert f"| {name} | {one['inputs']:,} | {one['branches_at_first']} → {one['branches']} |" in page, name
    storm = json.loads((ROOT / "data" / "benchmarks" / "desk" / "slow_clients.json").read_text("utf-8"))
    assert not storm["problem"]
    assert f"{storm['answered']:,} were answered and {storm['told_to_come_again']:,} told to come again" in page
