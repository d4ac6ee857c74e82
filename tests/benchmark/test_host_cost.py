"""The cost of a document on the host is told stage by stage, from a real pass of the included model."""

from __future__ import annotations

import re
import sys

import pytest

from scripts import host_cost


def test_every_stage_has_a_cost_and_the_documents_were_really_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["host_cost", "--documents", "3", "--length", "60", "--rounds", "2"])
    host_cost.main()
    *stages, summary = capsys.readouterr().out.splitlines()
    costs = [re.fullmatch(r".+ (reader|owner) +([0-9.]+)", line) for line in stages]
    assert len(costs) == 11 and all(found is not None and float(found[2]) > 0 for found in costs)
    links = re.search(r"3 documents, 3 windows, 1 batches, ([0-9.]+) links", summary)
    assert links is not None and float(links[1]) > 0
