"""The normal form of held-out texts and the list of their hashes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from core.errors import InputError
from core.training.heldout import load_heldout, normalise, normalised_sha1


def test_normal_form_folds_width_case_and_white_space() -> None:
    assert normalise("ＡＢＣ　d\te\n １２") == "abcde12"


@pytest.mark.parametrize("marker", ["[CLASSIFY]", "[MULTICLASSIFY]", "#", " [classify]"])
def test_one_leading_marker_is_left_out(marker: str) -> None:
    assert normalise(marker + "手机很好#") == "手机很好#"


def test_marker_inside_the_text_stays() -> None:
    assert normalise("屏幕[CLASSIFY]好") == "屏幕[classify]好"


def test_hash_is_sha1_of_the_normal_form() -> None:
    assert normalised_sha1("[CLASSIFY]很 好") == hashlib.sha1("很好".encode()).hexdigest()


def test_pair_hash_is_that_of_the_joined_texts() -> None:
    assert normalised_sha1("花呗怎么还" + "怎么还花呗") == normalised_sha1("花呗怎么还 怎么还花呗")


def test_list_of_hashes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "heldout.txt"
    path.write_text(f"{normalised_sha1('甲')}\n{normalised_sha1('乙')}\n")
    assert load_heldout(path) == {normalised_sha1("甲"), normalised_sha1("乙")}


def test_missing_list_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent.txt"):
        load_heldout(tmp_path / "absent.txt")


def test_line_that_is_no_hash_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "heldout.txt"
    path.write_text("not-a-hash\n")
    with pytest.raises(InputError, match="第 1 项"):
        load_heldout(path)
