"""The licence class of every text that training may read: labelled sets and sources of raw text.

A class sums up the terms as the publisher states them; it is no legal advice. Public domain counts as permissive. Terms
that contradict each other, or that do not cover the texts themselves, count as unstated.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from core.errors import InputError
from core.training.converters.registry import (
    CONVERTERS,
    LICENCE_CLASSES,
    PERMISSIVE,
    RESTRICTED,
    SHARE_ALIKE,
    UNSTATED,
)


@dataclass(frozen=True, slots=True)
class Licence:
    """Terms as the publisher states them, and their class: permissive, share-alike, restricted or unstated."""

    terms: str
    licence_class: str


_MIT = Licence("MIT", PERMISSIVE)
_APACHE = Licence("Apache-2.0", PERMISSIVE)
_CC0 = Licence("CC0 1.0", PERMISSIVE)
_BY = Licence("CC BY 4.0", PERMISSIVE)
_BY_SA = Licence("CC BY-SA 4.0", SHARE_ALIKE)
_BY_NC_SA = Licence("CC BY-NC-SA 4.0", RESTRICTED)
_NO_FILE = Licence("no licence file", UNSTATED)

OWN_SOURCES: dict[str, Licence] = {
    "written": Licence("Apache-2.0, written for this project (data/training)", PERMISSIVE),
    "templates": Licence("Apache-2.0, patterns written for this project (data/training)", PERMISSIVE),
    "weak": Licence("texts of the raw sources, labelled by lists and patterns", RESTRICTED),
}
RAW_SOURCES: dict[str, Licence] = {
    "alpaca_open": _NO_FILE,
    "archive_tw": _CC0,
    "cosx": Licence("repository MIT; terms of the articles unchecked, often CC BY-NC-SA", UNSTATED),
    "ctf_wiki": _BY_NC_SA,
    "d2l_zh": _APACHE,
    "debian_docs": Licence("GPL, GFDL, MPL and CC BY-SA, by package", SHARE_ALIKE),
    "dotnet_docs": _BY,
    "emollm": _MIT,
    "fcc_news": _BY_SA,
    "games_debian": Licence("GPL-2+ and CC BY-SA 4.0", SHARE_ALIKE),
    "general_unlabelled": Licence("several collections, most without terms", UNSTATED),
    "goldminer": Licence("non-commercial", RESTRICTED),
    "gov_reports_2026": Licence("public domain: government works (PRC Copyright Law, article 5)", PERMISSIVE),
    "halfrost": _BY_SA,
    "hello_algo": _BY_NC_SA,
    "howtocook": Licence("Unlicense", PERMISSIVE),
    "huatuo_med": _APACHE,
    "javaguide": _APACHE,
    "k8s_handbook": _BY_NC_SA,
    "laws": Licence("public domain (PRC Copyright Law, article 5)", PERMISSIVE),
    "lawyer_llama": _APACHE,
    "lctt": Licence("repository Apache-2.0; articles CC BY-SA or CC BY-NC-SA", UNSTATED),
    "med_dialogue": _MIT,
    "oiwiki": _BY_SA,
    "pd_literature": Licence("works in the public domain, notes of editors unchecked; no licence", UNSTATED),
    "pd_xiaohong": Licence("public domain (author died in 1942)", PERMISSIVE),
    "phodal": Licence("LICENSE CC0, README CC BY-NC 4.0", RESTRICTED),
    "poetry_sample": Licence("MIT; poems in the public domain", PERMISSIVE),
    "pumpkin": _BY_NC_SA,
    "python100": _NO_FILE,
    "python_docs": _NO_FILE,
    "react_zh": _BY,
    "ruanyf_weekly": _NO_FILE,
    "rustbook": Licence("MIT or Apache-2.0", PERMISSIVE),
    "smile": _CC0,
    "tidb_docs": Licence("CC BY-SA 3.0", SHARE_ALIKE),
    "vue_zh": _BY,
    "xinwenlianbo": Licence("repository MIT; rights in the broadcast texts not addressed", UNSTATED),
    "yihui": Licence("code MIT; README names CC BY-NC for the texts", RESTRICTED),
}


def licence_of(name: str) -> Licence | None:
    """The licence of a labelled set or raw source, None for one that is not known here.

    name: as in a record's `source` or as a file without its format, `cluener` as well as `cluener.train`.
    """
    name = re.sub(r"\.(train|dev)$", "", name)
    if name in CONVERTERS:
        return Licence(CONVERTERS[name].licence, CONVERTERS[name].licence_class)
    return OWN_SOURCES.get(name) or RAW_SOURCES.get(name)


def parse_classes(values: Sequence[str]) -> frozenset[str]:
    """Classes as given on a command line: several values, or one with commas; nothing given is no filter.

    Raises InputError for a word that is no class, and for values that hold no word at all.
    """
    words = [word for value in values for word in re.split(r"[,，、\s]+", value.lower()) if word]
    if values and not words:
        raise InputError(f"--licence 没有写许可类别：可选 {'、'.join(LICENCE_CLASSES)}")
    return _known_classes(words)


def _known_classes(words: Iterable[str]) -> frozenset[str]:
    found = frozenset(words)
    unknown = sorted(found.difference(LICENCE_CLASSES))
    if unknown:
        raise InputError(f"没有许可类别“{'”“'.join(unknown)}”：可选 {'、'.join(LICENCE_CLASSES)}")
    return found


def permitted(
    names: Iterable[str], classes: Collection[str], *, own: Collection[str] = ()
) -> tuple[list[str], list[str]]:
    """The names of these licence classes and the names left out, both in the given order.

    No classes: no filter, everything is kept. own: names of the user's own files, kept as long as no published text
    has that name. Raises InputError for an unknown class and, when there is a filter, for a name whose licence is
    neither known here nor the user's own affair: what is not known to be permitted must not slip in.
    """
    names = list(names)
    wanted = _known_classes(classes)
    if not wanted:
        return names, []
    kept: list[str] = []
    left_out: list[str] = []
    unknown: list[str] = []
    for name in names:
        licence = licence_of(name)
        if licence is None:
            (kept if name in own else unknown).append(name)
        else:
            (kept if licence.licence_class in wanted else left_out).append(name)
    if unknown:
        raise InputError(
            f"不知道这些来源的许可：{'、'.join(unknown)}。请从数据目录里移走，或去掉 --licence，"
            "或先在 core/training/licences.py 里登记。"
        )
    return kept, left_out
