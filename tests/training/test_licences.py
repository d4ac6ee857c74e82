"""Which texts training may read under a filter of licences."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from core.errors import InputError
from core.training.converters.registry import CONVERTERS, LICENCE_CLASSES
from core.training.licences import RAW_SOURCES, licence_of, parse_classes, permitted

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT.parent / "shared" / "corpus" / "README.md"
# The publisher's mark in the corpus list, and the classes it may have here. Doubts may only make a class stricter.
MARKS = {"P": "permissive", "PD": "permissive", "SA": "share-alike", "NC": "restricted", "?": "unstated"}
STRICTER = {"pd_literature": "unstated"}


def test_every_labelled_set_and_raw_source_has_a_class_and_terms() -> None:
    for name in (*CONVERTERS, *RAW_SOURCES):
        licence = licence_of(name)
        assert licence and licence.terms and licence.licence_class in LICENCE_CLASSES
    assert not CONVERTERS.keys() & RAW_SOURCES.keys()


def test_everything_the_shipped_model_was_made_from_has_a_known_licence() -> None:
    made_from = json.loads((ROOT / "data/models/rex-mini-zh/corpus.json").read_text("utf-8"))
    assert all(licence_of(name) for kind in ("raw", "labelled_texts") for name in made_from[kind])


def test_classes_agree_with_the_list_of_the_corpus() -> None:
    if not CORPUS.is_file():
        pytest.skip("the published corpus list is not beside this tree")
    marks = dict(re.findall(r"^\| (\w+) \| .*? \| \[([A-Z]+|\?|P\?)\]", CORPUS.read_text("utf-8"), re.M))
    assert marks.keys() <= RAW_SOURCES.keys() and len(marks) > 30
    for name, mark in marks.items():
        expected = STRICTER.get(name, MARKS["?" if "?" in mark else mark])
        assert RAW_SOURCES[name].licence_class == expected, name


def test_a_filter_keeps_its_classes_and_names_the_rest_in_order() -> None:
    names = ["xinwenlianbo", "laws", "cmrc2018", "msra", "oiwiki", "sanwen"]
    kept, left_out = permitted(names, {"permissive", "share-alike"})
    assert kept == ["laws", "cmrc2018", "oiwiki", "sanwen"] and left_out == ["xinwenlianbo", "msra"]


def test_a_file_name_of_one_side_means_its_set() -> None:
    assert permitted(["finre.train", "cluener.dev"], ["permissive"]) == (["finre.train"], ["cluener.dev"])


def test_without_a_filter_everything_is_kept_known_or_not() -> None:
    assert permitted(["mine", "msra"], ()) == (["mine", "msra"], [])


def test_under_a_filter_an_unknown_source_is_an_error_unless_it_is_the_user_s_own() -> None:
    with pytest.raises(InputError, match="不知道这些来源的许可：mine"):
        permitted(["laws", "mine"], ["permissive"])
    assert permitted(["laws", "mine"], ["permissive"], own=["mine"]) == (["laws", "mine"], [])


def test_calling_a_published_set_one_s_own_does_not_change_its_licence() -> None:
    assert permitted(["msra"], ["permissive"], own=["msra"]) == ([], ["msra"])


@pytest.mark.parametrize(
    "values", [["permissive", "share-alike"], ["permissive,share-alike"], ["Permissive，share-alike "]]
)
def test_classes_may_be_separate_words_or_a_list_with_commas(values: list[str]) -> None:
    assert parse_classes(values) == {"permissive", "share-alike"}


def test_no_value_is_no_filter_but_an_empty_one_is_an_error() -> None:
    assert parse_classes([]) == frozenset()
    with pytest.raises(InputError, match="没有写许可类别"):
        parse_classes([" ,"])


def test_an_unknown_class_is_named_with_those_there_are() -> None:
    for call in (lambda: parse_classes(["free"]), lambda: permitted(["laws"], ["free"])):
        with pytest.raises(InputError, match="没有许可类别“free”：可选 permissive"):
            call()
