"""Coreference without marks: the pronouns of a text, and the names that each may stand for. Pure.

Pronouns are those of a closed list. Names are what the model finds for `THINGS`; which of them a pronoun is compared
with is decided here by rules that a person can follow: of a fitting type, near enough, the nearest first. What a limit
leaves out is said. Offsets are code points of the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.types import Annotation, Span

THINGS = ("人物", "组织机构", "地理位置", "产品", "物品", "作品")
"""The types of names that the model is asked for."""

MOST_NAMES = 6
"""Different names that one pronoun is compared with, the nearest first."""

MOST_PRONOUNS = 500
"""Pronouns of one document that are asked for, the first of the text."""

REACH = 300
"""Characters before a pronoun in which its names are sought."""

PASSAGE = 400
"""A text of no more characters is read whole; of a longer one the sentences from the name to the pronoun."""

MARGIN = 40
"""Characters of those sentences kept before the first and behind the last of both words."""

TOLD = 8
"""Pronouns that a note names."""

PRONOUNS = (
    "他们", "她们", "它们", "他", "她", "它", "其", "自己", "前者", "后者", "对方", "双方", "两人", "二人", "本人",
    "此人", "该公司", "该企业", "该机构", "该集团", "该银行", "该产品", "该项目", "该系统", "该地", "该市", "该省",
    "该国", "该县", "该校", "该院", "该片", "该书", "该剧",
)  # fmt: skip
# Words in which one of them is no pronoun.
_OTHER = (
    "其他", "其它", "其中", "其实", "其余", "其次", "其间", "其一", "其二", "尤其", "极其", "何其", "与其", "土耳其",
    "吉他", "他人", "他国", "他乡",
)  # fmt: skip
_FIND = re.compile("|".join(map(re.escape, (*sorted(_OTHER, key=len, reverse=True), *PRONOUNS))))
_PERSONS, _BODIES, _PLACES, _WORKS = ("人物",), ("组织机构",), ("地理位置",), ("作品",)
_GOODS = ("产品", "物品", "作品")
_FITTING = {
    **dict.fromkeys(("他", "她", "他们", "她们", "两人", "二人", "本人", "此人"), _PERSONS),
    **dict.fromkeys(("它", "它们"), THINGS[1:]),
    **dict.fromkeys(("该公司", "该企业", "该机构", "该集团", "该银行", "该校", "该院"), _BODIES),
    **dict.fromkeys(("该地", "该市", "该省", "该国", "该县"), _PLACES),
    **dict.fromkeys(("该产品", "该项目", "该系统"), _GOODS),
    **dict.fromkeys(("该片", "该书", "该剧"), _WORKS),
}
_SENTENCE_END = "。！？!?\n"


@dataclass(frozen=True, slots=True)
class Question:
    """Does `pronoun` stand for `name`, judged by what is read: `text[passage.start:passage.end]`."""

    pronoun: Span
    name: Span
    passage: Span


def pronouns_in(text: str) -> list[Span]:
    """Every pronoun of the list that stands in `text`, in text order, none within another."""
    found = _FIND.finditer(text)
    return [Span(one.start(), one.end(), one[0]) for one in found if one[0] not in _OTHER]


def fitting(pronoun: str) -> tuple[str, ...]:
    """The types of names that a pronoun may stand for; all of them where it does not say."""
    return _FITTING.get(pronoun, THINGS)


def questions(
    text: str, pronouns: Sequence[Span], names: Iterable[Annotation]
) -> tuple[list[Question], tuple[str, ...]]:
    """What to ask, pronoun by pronoun, and what the limits left out, in plain words.

    A name is compared with a pronoun when its type fits, it lies on none of the pronouns, and it begins no more than
    `REACH` characters before the pronoun, or behind it in the same sentence; of a name that occurs often the nearest
    place; the `MOST_NAMES` nearest, those before the pronoun first.
    """
    taken = {place for one in pronouns for place in range(one.start, one.end)}
    known = [
        (Span(one.start, one.end, one.text), one.type)
        for one in names
        if one.start is not None and one.end is not None and taken.isdisjoint(range(one.start, one.end))
    ]
    asked: list[Question] = []
    alone, crowded = [], []
    for pronoun in pronouns[:MOST_PRONOUNS]:
        near = _near(text, pronoun, [span for span, kind in known if kind in fitting(pronoun.text)])
        if not near:
            alone.append(pronoun)
        elif len(near) > MOST_NAMES:
            crowded.append(pronoun)
        asked += [Question(pronoun, name, _passage(text, name, pronoun)) for name in near[:MOST_NAMES]]
    notes = []
    if len(pronouns) > MOST_PRONOUNS:
        left = len(pronouns) - MOST_PRONOUNS
        notes.append(f"代词共 {len(pronouns)} 处，只判断了前 {MOST_PRONOUNS} 处，后面 {left} 处没有问：请拆分正文")
    if alone:
        notes.append(f"{len(alone)} 处代词在前 {REACH} 字和本句里没有类型相符的名称，没有问：{_told(alone)}")
    if crowded:
        notes.append(f"{len(crowded)} 处代词附近的名称多于 {MOST_NAMES} 个，只比较了最近的：{_told(crowded)}")
    return asked, tuple(notes)


def _near(text: str, pronoun: Span, names: Iterable[Span]) -> list[Span]:
    """Names that the pronoun may stand for, each once, the nearest before it first, then those behind it."""
    end = _sentence_end(text, pronoun.end)
    before = [one for one in names if pronoun.start - REACH <= one.start < pronoun.start]
    behind = [one for one in names if pronoun.end <= one.start < end]
    order = sorted(before, key=lambda one: -one.end) + sorted(behind, key=lambda one: one.start)
    nearest: dict[str, Span] = {}
    for one in order:
        nearest.setdefault(one.text, one)
    return list(nearest.values())


def _passage(text: str, name: Span, pronoun: Span) -> Span:
    """The whole of a short text, else the sentences that both words stand in and those between them."""
    start, end = 0, len(text)
    if len(text) > PASSAGE:
        first, last = min(name.start, pronoun.start), max(name.end, pronoun.end)
        start = max(_sentence_start(text, first), first - MARGIN)
        end = min(_sentence_end(text, last), last + MARGIN)
    return Span(start, end, text[start:end])


def _sentence_start(text: str, place: int) -> int:
    return max(text.rfind(mark, 0, place) for mark in _SENTENCE_END) + 1


def _sentence_end(text: str, place: int) -> int:
    found = [end for mark in _SENTENCE_END if (end := text.find(mark, place)) >= 0]
    return min(found) + 1 if found else len(text)


def _told(spans: Sequence[Span]) -> str:
    """The first of the words, with their places."""
    said = "、".join(f"{one.text}（{one.start}）" for one in spans[:TOLD])
    return said + (" …" if len(spans) > TOLD else "")
