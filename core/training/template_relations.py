"""Relation records from templates: several facts in one text, so that only the sentence tells who belongs to whom."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.training.converters.record import InfoPath, Record, element
from core.training.template_names import Names, choose_words, fill, slots_of

_PERSONS = {"m": "他", "f": "她", "p": "他"}
_TITLED = {"book", "film", "song", "law"}
_GENERAL = {"org": {"company", "school", "court", "hospital", "team", "press"}}
"""Families whose type name would also cover others: not asked where those are in the text."""
_PRONOUNS = {"company": "该公司", "school": "该校", "team": "该队", "hospital": "该院", "film": "该片", "book": "该书"}


@dataclass(slots=True)
class _Text:
    """A text in the making: entities by family, mentions by name, and facts as (kind of fact, spans of a, of b)."""

    text: str = ""
    entities: list[tuple[str, int, int]] = field(default_factory=list)
    mentions: dict[str, tuple[int, int]] = field(default_factory=dict)
    facts: list[tuple[Mapping[str, Any], list[tuple[int, int]], list[tuple[int, int]]]] = field(default_factory=list)


def relation_record(data: Mapping[str, Any], rng: random.Random, *, source: str) -> Record:
    """A text of one to four facts with the relations asked of it, some of them without an answer."""
    names = Names(data["forms"], rng)
    made = _Text()
    facts: Sequence[Mapping[str, Any]] = data["relations"]
    compose = rng.choices(
        (_single, _side_by_side, _around_one, _chain, _mixed, _respectively), (15, 25, 25, 13, 14, 8)
    )[0]
    before = rng.random() < 0.12
    if before:
        _add(made, None, rng.choice(data["asides"]), {}, names, rng, data)
    compose(made, facts, names, rng, data)
    if not before and rng.random() < 0.2:
        _add(made, None, rng.choice(data["asides"]), {}, names, rng, data)
    schema, info = _ask(made, data, rng)
    return Record(made.text, info, schema, "re", source, made.text)


def _family(data: Mapping[str, Any], kind: str) -> str:
    return str(data["kinds"].get(kind, kind))


def _add(
    made: _Text,
    fact: Mapping[str, Any] | None,
    pattern: str,
    given: dict[str, str],
    names: Names,
    rng: random.Random,
    data: Mapping[str, Any],
    *,
    before: str = "",
) -> dict[str, str]:
    """Append a clause; a side of the fact that the pattern leaves out must be in `given` and already in the text."""
    kinds = {"a": fact["a"], "b": fact["b"]} if fact else {}
    drawn: list[tuple[str, str]] = []

    def value(slot: str) -> list[str]:
        side = slot.rstrip("+")
        kind = kinds.get(side, side)
        count = rng.choice((2, 2, 3, 4)) if slot.endswith("+") else 1
        found = [given[side]] if side in given and count == 1 else [names.new(kind) for _ in range(count)]
        if count == 1:
            given.setdefault(side, found[0])
        drawn.extend((kind, name) for name in found)
        return found

    made.text += before
    text, slots = fill(pattern, value, rng, at=len(made.text))
    made.text += text
    spans: dict[str, list[tuple[int, int]]] = {"a": [], "b": []}
    for (kind, name), slot in zip(drawn, slots, strict=True):
        place = (slot.start, slot.end)
        made.entities.append((_family(data, kind), *place))
        made.mentions[name] = place
        spans.setdefault(slot.name, []).append(place)
    if fact:
        for side in "ab":
            spans[side] = spans[side] or [made.mentions[given[side]]]
        made.facts.append((fact, spans["a"], spans["b"]))
    return given


def _clause(fact: Mapping[str, Any], rng: random.Random) -> str:
    return choose_words(rng.choice(fact["clauses"]), rng)


def _single(made: _Text, facts: Sequence[Mapping[str, Any]], names: Names, rng: random.Random, data: Any) -> None:
    fact = rng.choice(facts)
    _add(made, fact, _clause(fact, rng), {}, names, rng, data)
    made.text += "。"


def _side_by_side(made: _Text, facts: Sequence[Mapping[str, Any]], names: Names, rng: random.Random, data: Any) -> None:
    """Two or three pairs of one relation, in the same or in different words."""
    fact = rng.choice(facts)
    pattern = rng.choice(fact["clauses"]) if rng.random() < 0.4 else ""
    between = rng.choice(("，", "，", "；", "。", "，而", "；而"))
    for number in range(rng.choice((2, 2, 2, 3))):
        clause = choose_words(pattern, rng) if pattern else _clause(fact, rng)
        _add(made, fact, clause, {}, names, rng, data, before=between if number else "")
    made.text += "。"


def _around_one(made: _Text, facts: Sequence[Mapping[str, Any]], names: Names, rng: random.Random, data: Any) -> None:
    """Several facts of one subject, named once: later clauses leave it out or use a pronoun."""
    first, side = rng.choice([(f, s) for f in facts for s in "ab" if f.get(f"after_{s}")])
    kind = rng.choice("mf") if first[side] == "p" else first[side]
    hub = names.new(kind)
    # The first clause must end with the subject still in mind: “甲的律师乙到庭，毕业于……” would speak of 乙.
    safe = [p for p in first["clauses"] if p.startswith(f"{{{side}}}") and p[3] != "的" and p[-1] in "}》"]
    opening = rng.choice([*safe, *(_topic(first[side], side, tail) for tail in first[f"after_{side}"])])
    _add(made, first, choose_words(opening, rng), {side: hub}, names, rng, data)
    tails = [
        (fact, end, tail)
        for fact in facts
        for end in "ab"
        if fact is not first and fact[end] in (kind, "p" if kind in _PERSONS else kind)
        for tail in fact.get(f"after_{end}", ())
    ]
    for _ in range(rng.choice((1, 1, 2, 3))):
        if not tails:
            break
        fact, omitted, tail = rng.choice(tails)
        tails = [entry for entry in tails if entry[0] is not fact]
        pronoun = _PERSONS.get(kind) or _PRONOUNS.get(kind, "")
        joint = rng.choice(("，", "，", "，", "。" + pronoun)) if pronoun else "，"
        _add(made, fact, choose_words(tail, rng), {omitted: hub}, names, rng, data, before=joint)
    made.text += "。"


def _topic(kind: str, side: str, tail: str) -> str:
    """A predicate with its subject before it, a work in its title marks."""
    return f"《{{{side}}}》{tail}" if kind in _TITLED else f"{{{side}}}{tail}"


def _chain(made: _Text, facts: Sequence[Mapping[str, Any]], names: Names, rng: random.Random, data: Any) -> None:
    """A → B → C: what the first fact says about, the second says more of."""
    for _ in range(50):
        first = rng.choice(facts)
        shared, side = rng.choice("ab"), rng.choice("ab")
        nexts = [f for f in facts if f[side] == first[shared] and f[side] in {*_PERSONS, *_PRONOUNS, "city"}]
        if nexts:
            break
    else:
        return _single(made, facts, names, rng, data)
    second = rng.choice(nexts)
    given = _add(made, first, _single_clause(first, rng), {}, names, rng, data)
    before = rng.choice(("，", "；", "。"))
    _add(made, second, _single_clause(second, rng), {side: given[shared]}, names, rng, data, before=before)
    made.text += "。"


def _single_clause(fact: Mapping[str, Any], rng: random.Random) -> str:
    """A clause without a list slot."""
    return choose_words(rng.choice([p for p in fact["clauses"] if "+}" not in p]), rng)


def _mixed(made: _Text, facts: Sequence[Mapping[str, Any]], names: Names, rng: random.Random, data: Any) -> None:
    """Facts that share nothing but, often, the kinds of their names."""
    first = rng.choice(facts)
    alike = [f for f in facts if {f["a"], f["b"]} & {first["a"], first["b"]}]
    chosen = [first, *rng.sample(alike, min(len(alike), rng.choice((1, 1, 2, 3))))]
    for number, fact in enumerate(chosen):
        _add(made, fact, _clause(fact, rng), {}, names, rng, data, before=rng.choice(("。", "；")) if number else "")
    made.text += "。"


def _respectively(made: _Text, facts: Sequence[Mapping[str, Any]], names: Names, rng: random.Random, data: Any) -> None:
    """甲、乙分别毕业于丙和丁。"""
    fact, frame = rng.choice([(f, frame) for f in facts for frame in f.get("each", ())])
    count = rng.choice((2, 2, 3))
    pairs = [{side: names.new(fact[side]) for side in "ab"} for _ in range(count)]
    pattern = choose_words(frame, rng)
    queues = {side: [pair[side] for pair in pairs] for side in "ab"}
    start = len(made.text)
    text, slots = fill(pattern, lambda slot: queues[slot], rng, at=start)
    made.text += text + "。"
    spans = {side: [(slot.start, slot.end) for slot in slots if slot.name == side] for side in "ab"}
    for side in "ab":
        made.entities += [(_family(data, fact[side]), *place) for place in spans[side]]
    made.facts += [(fact, [one], [two]) for one, two in zip(spans["a"], spans["b"], strict=True)]


def _ask(made: _Text, data: Mapping[str, Any], rng: random.Random) -> tuple[dict[str, Any], list[InfoPath]]:
    """The schema (asked relations by subject type) and all its answers; every entity of a subject type is a path."""
    said: list[tuple[str, str, list[str]]] = []  # subject family, object family, names of the relation
    links: list[tuple[str, str, list[str], tuple[int, int], tuple[int, int]]] = []
    taboo: set[str] = set()
    for fact, first, second in made.facts:
        family = {side: _family(data, fact[side]) for side in "ab"}
        taboo.update(fact.get("not", ()), fact.get("ab", ()), fact.get("ba", ()))
        for names, one, two, heads, tails in (
            (fact.get("ab", ()), "a", "b", first, second),
            (fact.get("ba", ()), "b", "a", second, first),
        ):
            if names:
                said.append((family[one], family[two], list(names)))
                links += [(family[one], family[two], list(names), h, t) for h in heads for t in tails if h != t]
    asked: list[tuple[str, str, str]] = []
    for head, tail, options in said:
        if rng.random() < 0.85 and not any((h, t) == (head, tail) and n in options for h, n, t in asked):
            asked.append((head, rng.choice(options), tail))
    if not asked:
        head, tail, options = rng.choice(said)
        asked.append((head, rng.choice(options), tail))
    inside = {family for family, _, _ in made.entities}
    others = [
        (head, name, tail)
        for head, name, tail in data["all_relations"]
        if name not in taboo and head in inside and head in data["subjects"]
    ]
    near = [entry for entry in others if entry[2] in inside]
    for pool, count in ((near, rng.choice((0, 1, 2, 3))), (others, rng.choice((0, 0, 1, 2)))):
        for entry in rng.sample(pool, min(len(pool), count)):
            if not any(entry[:2] == known[:2] for known in asked):
                asked.append(entry)
    asked = [entry for entry in asked if not _GENERAL.get(entry[0], set()) & inside] or asked
    rng.shuffle(asked)
    subject = {head: rng.choice(data["subjects"][head]) for head in sorted({head for head, _, _ in asked})}
    objects = {
        tail: subject.get(tail) or rng.choice(data["types"][tail]) for tail in sorted({tail for _, _, tail in asked})
    }
    schema: dict[str, Any] = {}
    for head, name, tail in asked:
        schema.setdefault(subject[head], {})[f"{name}({objects[tail]})"] = None
    info: list[InfoPath] = []
    linked: set[tuple[int, int]] = set()
    for head, tail, options, place, target in links:
        for asked_head, name, asked_tail in asked:
            if (asked_head, asked_tail) == (head, tail) and name in options:
                path = [
                    element(subject[head], made.text, *place),
                    element(f"{name}({objects[tail]})", made.text, *target),
                ]
                if path not in info:
                    info.append(path)
                linked.add(place)
    info += [
        [element(subject[family], made.text, start, end)]
        for family, start, end in made.entities
        if family in subject and (start, end) not in linked
    ]
    return schema, sorted(info, key=lambda path: [item["offset"] for item in path])


def prepare_relations(data: dict[str, Any]) -> None:
    """Add `all_relations`: every (subject family, relation, object family) of the templates."""
    found: set[tuple[str, str, str]] = set()
    for fact in data["relations"]:
        a, b = _family(data, fact["a"]), _family(data, fact["b"])
        found.update((a, name, b) for name in fact.get("ab", ()))
        found.update((b, name, a) for name in fact.get("ba", ()))
        for pattern in fact["clauses"]:
            if not {"a", "b"} <= set(slots_of(pattern)):
                raise ValueError(f"“{pattern}”里应有 {{a}} 和 {{b}}")
    data["all_relations"] = sorted(found)
