"""Texts for measuring are real ones, cut and joined."""

from __future__ import annotations

import json

import pytest

from core.benchmark.texts import cutter, of_length, of_mixed_lengths, read_texts
from core.errors import FormatError, InputError


def test_the_samples_are_read_without_headers_and_markers():
    texts = read_texts()
    assert len(texts) > 100
    assert len(set(texts)) == len(texts)
    assert not any("内容,渠道" in text or "[CLASSIFY]" in text for text in texts)


def test_lines_and_json_lines_are_read(tmp_path):
    plain, rows = tmp_path / "a.txt", tmp_path / "a.jsonl"
    plain.write_text("甲乙\n\n丙丁\n甲乙\n", "utf-8")
    rows.write_text("\n".join(json.dumps({"text": text}) for text in ("甲乙", "[CLASSIFY]丙丁")), "utf-8")
    assert read_texts(plain) == read_texts(rows) == ["甲乙", "丙丁"]


def test_what_cannot_be_read_is_said(tmp_path):
    empty, broken = tmp_path / "a.txt", tmp_path / "a.jsonl"
    empty.write_text("\n", "utf-8")
    broken.write_text("{", "utf-8")
    with pytest.raises(InputError, match="没有文字"):
        read_texts(empty)
    for path in (broken, tmp_path / "none.txt"):
        with pytest.raises(FormatError, match="无法读取文本"):
            read_texts(path)


def test_texts_have_the_asked_length_and_are_parts_of_the_source():
    texts = ["一二三四五", "六七八", "九十"]
    whole = "".join(texts) * 20
    for length in (1, 4, 23, 90):
        cut = of_length(texts, 7, length=length)
        assert [len(one) for one in cut] == [length] * 7
        assert all(one in whole for one in cut)
    assert cutter(texts)(1, 3) == "六七八"


def test_neighbouring_texts_differ():
    texts = read_texts()
    cut = of_length(texts, 5 * len(texts), length=128)
    assert len(set(cut)) > 0.9 * len(cut)


def test_mixed_lengths_reach_from_the_shortest_to_the_longest():
    lengths = [len(one) for one in of_mixed_lengths(read_texts(), 400, shortest=10, longest=5_000)]
    assert min(lengths) >= 10 and max(lengths) <= 5_000
    assert sum(length < 100 for length in lengths) > 80
    assert sum(length > 1_000 for length in lengths) > 50
