"""The figures of many callers come from the product's own queue."""

from __future__ import annotations

import re
import sys

import pytest

from scripts import many_callers


def test_every_load_is_told_with_its_batches_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["many_callers", "--clients", "1", "16", "--per-s", "200", "--requests", "48"]
    monkeypatch.setattr(sys, "argv", words)
    many_callers.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("：")[0] for line in lines] == ["一次 1,000 篇", "1 个客户端", "16 个客户端", "每秒 200 个"]
    assert all("失败 0 个" in line for line in lines)
    rows = [float(re.search(r"每批 ([\d.]+) 个", line).group(1)) for line in lines]  # type: ignore[union-attr]
    assert rows[1] == 1.0 and rows[2] > 1.5
