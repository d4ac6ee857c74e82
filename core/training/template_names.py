"""Names and phrases made from parts, and sentence patterns with slots for them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

_PART = re.compile(r"<([^<>]+)>")
_RANGE = re.compile(r"(\d+)-(\d+)")
_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")
_CHOICE = re.compile(r"\(([^()]*)\)")
_SLOT = re.compile(r"\{([^{}:]+)(?::([^{}]*))?\}")
_TRIES = 200


class Slot(NamedTuple):
    """A filled slot of a pattern: its name and its code-point span."""

    name: str
    start: int
    end: int


class Names:
    """Draws names of a kind; within one text no name is drawn twice or lies inside another."""

    def __init__(self, forms: Mapping[str, Sequence[str]], rng: random.Random) -> None:
        self._forms = forms
        self._rng = rng
        self._used: list[str] = []

    def new(self, kind: str) -> str:
        """A name that this text does not hold yet; raises ValueError when the kind has no further one."""
        for _ in range(_TRIES):
            name = self._expand(f"<{kind}>")
            if not any(name in other or other in name for other in self._used):
                self._used.append(name)
                return name
        raise ValueError(f"“{kind}”没有更多不同的名称：请在模板文件里补充")

    def _expand(self, form: str) -> str:
        while found := _PART.search(form):
            span = _RANGE.fullmatch(found[1])
            part = (
                str(self._rng.randint(int(span[1]), int(span[2]))) if span else self._rng.choice(self._forms[found[1]])
            )
            form = form[: found.start()] + part + form[found.end() :]
        return form


def choose_words(pattern: str, rng: random.Random) -> str:
    """The pattern with `[…]` kept or left out and one of `(…|…)` chosen."""
    pattern = _OPTIONAL.sub(lambda found: found[1] if rng.random() < 0.5 else "", pattern)
    return _CHOICE.sub(lambda found: rng.choice(found[1].split("|")), pattern)


def slots_of(pattern: str) -> list[str]:
    """The names of the slots of a pattern, in order; a list slot `{a+}` counts as `a`."""
    return [found[1].rstrip("+") for found in _SLOT.finditer(pattern)]


def fill(
    pattern: str, value: Callable[[str], Sequence[str]], rng: random.Random, *, at: int = 0
) -> tuple[str, list[Slot]]:
    """A pattern without choices → its text and where the slots are, counted from `at`.

    value: slot name → the names for it; several are joined as a list. `{T:甲|乙}` holds its own words.
    """
    text, end = "", 0
    slots: list[Slot] = []
    for found in _SLOT.finditer(pattern):
        text += pattern[end : found.start()]
        end = found.end()
        names = [rng.choice(found[2].split("|"))] if found[2] else list(value(found[1]))
        # A list of works has title marks around each: 《甲》和《乙》.
        closed, opened = ("》", "《") if text.endswith("《") else ("", "")
        last = rng.choice(("和", "、", "以及", "与")) if len(names) > 1 else ""
        for number, name in enumerate(names):
            if number:
                text += closed + (last if number == len(names) - 1 else "、") + opened
            slots.append(Slot(found[1].rstrip("+"), at + len(text), at + len(text) + len(name)))
            text += name
    return text + pattern[end:], slots
