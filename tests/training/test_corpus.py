"""Corpus files become token streams: what is read, dropped, counted and written."""

from __future__ import annotations

import gzip
import json
import lzma
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from core.errors import InputError
from core.training.corpus import SEP, prepare_corpus, read_paragraphs, source_name
from core.training.heldout import normalised_sha1
from core.training.vocabulary import build_vocabulary, write_tokenizer


@pytest.fixture(scope="module")
def tokenizer_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(build_vocabulary(["深度学习 model"]), directory)
    return directory


def heldout(directory: Path, *texts: str) -> Path:
    path = directory / "heldout.txt"
    path.write_text("\n".join(normalised_sha1(text) for text in texts) + "\n", "utf-8")
    return path


def test_packed_and_plain_files_give_the_same_paragraphs(tmp_path: Path) -> None:
    text = "第一段\n  第二段 \n\n第三段\n"
    plain, xz, gz = tmp_path / "a.txt", tmp_path / "b.txt.xz", tmp_path / "c.txt.gz"
    plain.write_text(text, "utf-8")
    xz.write_bytes(lzma.compress(text.encode()))
    gz.write_bytes(gzip.compress(text.encode()))
    expected = ["第一段", "第二段", "", "第三段"]
    assert [list(read_paragraphs(path)) for path in (plain, xz, gz)] == [expected] * 3
    assert [source_name(path) for path in (plain, xz, gz)] == ["a", "b", "c"]


def test_json_lines_are_documents_without_their_class_marker(tmp_path: Path) -> None:
    path = tmp_path / "set.train.jsonl"
    rows = [{"text": "[CLASSIFY]很好"}, {"text": "一\n二"}]
    path.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    assert list(read_paragraphs(path)) == ["很好", "", "一", "二", ""]
    assert source_name(path) == "set.train"


@pytest.mark.parametrize("line", ["{", '{"body": "x"}', '{"text": 3}', "[1]"])
def test_a_broken_json_line_is_named_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"text": "好"}\n' + line, "utf-8")
    with pytest.raises(InputError, match=r"bad\.jsonl 第 2 行"):
        list(read_paragraphs(path))


def test_a_cut_off_archive_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "cut.txt.xz"
    path.write_bytes(lzma.compress(("很长的段落" * 1000).encode())[:-20])
    with pytest.raises(InputError, match=r"cut\.txt\.xz"):
        list(read_paragraphs(path))


def test_held_out_and_repeated_paragraphs_are_dropped_and_counted(tmp_path: Path, tokenizer_directory: Path) -> None:
    (tmp_path / "one.txt").write_text("甲乙丙。\n留出的 句子Ａ\n\n\n甲乙丙。\n丁 [SEP]\n", "utf-8")
    (tmp_path / "two.txt").write_text("丁 [SEP]\n戊己\n", "utf-8")
    out = tmp_path / "out"
    counts = prepare_corpus(
        [tmp_path / "one.txt", tmp_path / "two.txt"],
        out,
        tokenizer=tokenizer_directory,
        heldout=heldout(tmp_path, "留出的句子a"),
        processes=1,
    )
    tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
    one, two = np.load(out / "one.npy"), np.load(out / "two.npy")
    assert one.dtype == two.dtype == np.uint16
    words = [tokenizer.id_to_token(i) for i in one]
    assert words == [*"甲乙丙。", "[SEP]", "[SEP]", "丁", "[", *_pieces(tokenizer, "sep"), "]", "[SEP]"]
    assert [tokenizer.id_to_token(i) for i in two] == ["戊", "己", "[SEP]"]
    assert (one == SEP).sum() == 3
    written = json.loads((out / "counts.json").read_text("utf-8"))
    assert written["one"] == {"paragraphs": 4, "held_out": 1, "duplicates": 1, "tokens": len(one)}
    assert (counts["two"].paragraphs, counts["two"].duplicates, counts["two"].tokens) == (2, 1, 3)


def test_several_processes_write_what_one_writes(tmp_path: Path, tokenizer_directory: Path) -> None:
    (tmp_path / "one.txt").write_text("甲乙丙。\n丁\n\n甲乙丙。\n", "utf-8")
    hashes = heldout(tmp_path, "丁")
    prepare_corpus(
        [tmp_path / "one.txt"], tmp_path / "alone", tokenizer=tokenizer_directory, heldout=hashes, processes=1
    )
    # As the command is run: a pool's children start from the main module, which here is the test runner's.
    command = [sys.executable, "-m", "core.training.corpus", tmp_path / "one.txt", "--tokenizer", tokenizer_directory]
    command += ["--heldout", hashes, "--out", tmp_path / "pool", "--processes", "2"]
    subprocess.run(command, cwd=Path(__file__).parents[2], check=True, timeout=120)
    assert (np.load(tmp_path / "pool" / "one.npy") == np.load(tmp_path / "alone" / "one.npy")).all()


def _pieces(tokenizer: Tokenizer, word: str) -> list[str]:
    return tokenizer.encode(word, add_special_tokens=False).tokens


def test_two_files_of_one_source_name_are_refused(tmp_path: Path, tokenizer_directory: Path) -> None:
    files = [tmp_path / "same.txt", tmp_path / "same.jsonl"]
    with pytest.raises(InputError, match="same"):
        prepare_corpus(files, tmp_path / "out", tokenizer=tokenizer_directory, heldout=heldout(tmp_path))
