"""Event, opinion and coreference records from templates."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from core.training.converters.opinions import ABSA_SCHEMA
from core.training.converters.pairs import coreference_question, mark_pair
from core.training.converters.record import InfoPath, Record, class_record, element, leaves
from core.training.template_names import Names, choose_words, fill

_IMPLICIT = "#"
_POLARITIES = {"+": "正向情感", "-": "负向情感", "0": "中性情感"}


def event_record(data: Mapping[str, Any], rng: random.Random, *, source: str) -> Record:
    """One to three events in one text, some sharing a participant, with other types asked beside them."""
    names = Names(data["forms"], rng)
    events: Sequence[Mapping[str, Any]] = data["events"]
    first = rng.choice(events)
    chosen = [first]
    for _ in range(rng.choices((0, 1, 2), (45, 40, 15))[0]):
        chosen.append(first if rng.random() < 0.6 else rng.choice(events))
    text = ""
    found: list[tuple[Mapping[str, Any], list[tuple[str, int, int]]]] = []
    known: dict[str, list[str]] = {}
    if rng.random() < 0.15:
        text += _aside(data, names, rng)
    for number, event in enumerate(chosen):
        if number:
            text += rng.choice(("。", "；", "。", "，"))
        mine: set[str] = set()

        def value(slot: str, event: Mapping[str, Any] = event, mine: set[str] = mine) -> list[str]:
            kind = event["roles"][slot.rstrip("+")]
            if slot.endswith("+"):
                return [names.new(kind) for _ in range(rng.choice((2, 3)))]
            again = [name for name in known.get(kind, ()) if name not in mine]
            name = rng.choice(again) if again and rng.random() < 0.3 else names.new(kind)
            mine.add(name)
            known.setdefault(kind, []).append(name)
            return [name]

        part, slots = fill(choose_words(rng.choice(event["clauses"]), rng), value, rng, at=len(text))
        text += part
        found.append((event, [(slot.name, slot.start, slot.end) for slot in slots]))
    text += "。"
    if rng.random() < 0.2:
        text += _aside(data, names, rng)
    kinds = {event["type"]: event for event in chosen}
    taboo = {name for event in chosen for name in (event["type"], *event.get("not", ()))}
    others = [
        event
        for event in events
        if event["type"] not in taboo and not {one["type"] for one in chosen}.intersection(event.get("not", ()))
    ]
    asked = {name: event for name, event in kinds.items() if rng.random() < 0.92}
    for event in rng.sample(others, rng.choice((0, 1, 2, 3, 5)) if asked else 3):
        asked[event["type"]] = event
    title = {name: rng.choice([name, name, *event.get("names", ())]) for name, event in asked.items()}
    order = rng.sample(sorted(asked), len(asked))
    schema = {
        f"{title[name]}(事件触发词)": leaves(rng.sample(sorted(asked[name]["roles"]), len(asked[name]["roles"])))
        for name in order
    }
    info: list[InfoPath] = []
    for event, spans in found:
        if event["type"] not in asked:
            continue
        (trigger,) = (slot for slot in spans if slot[0] == "T")
        head = element(f"{title[event['type']]}(事件触发词)", text, *trigger[1:])
        arguments = [[head, element(role, text, start, end)] for role, start, end in spans if role != "T"]
        info += arguments or [[head]]
    return Record(text, info, schema, "ee", source, text)


def _aside(data: Mapping[str, Any], names: Names, rng: random.Random) -> str:
    return fill(choose_words(rng.choice(data["asides"]), rng), lambda kind: [names.new(kind)], rng)[0]


def _review(
    data: Mapping[str, Any], rng: random.Random
) -> tuple[str, list[tuple[tuple[int, int] | None, int, int, str]]]:
    """A review → (text, opinions as (span of the aspect or None, start, end, sign))."""
    domain = rng.choice(data["domains"])
    frames = data["opinion_frames"]
    text = choose_words(rng.choice(domain["openings"]), rng) if rng.random() < 0.3 else ""
    opinions: list[tuple[tuple[int, int] | None, int, int, str]] = []
    left = rng.sample(sorted(domain["aspects"]), len(domain["aspects"]))
    for number in range(rng.choices((1, 2, 3), (35, 40, 25))[0]):
        if not left:
            break
        size = rng.choices(("one", "two_opinions", "two_aspects", "contrast", "plain"), (48, 12, 12, 18, 10))[0]
        frame = choose_words(rng.choice(frames[size]), rng)
        aspects = {"a": left.pop(), "c": left.pop() if left and "{c" in frame else ""}
        if "{c" in frame and not aspects["c"]:
            break
        if number:
            text += rng.choice(("，", "，", "。", "；", "，另外"))
        sign = {"a": "0" if size == "plain" and rng.random() < 0.5 else rng.choice("+-")}
        sign["c"] = sign["a"] if size == "two_aspects" else ("-" if sign["a"] == "+" else "+")
        shared = "common" if size == "two_aspects" else ""

        used: list[str] = []

        def value(
            slot: str,
            used: list[str] = used,
            aspects: dict[str, str] = aspects,
            sign: dict[str, str] = sign,
            shared: str = shared,
        ) -> list[str]:
            if slot in aspects:
                return [aspects[slot]]
            side = slot[0]  # "a1", "a2", "c1": an opinion about that aspect
            words = data["common_opinions"] if shared else domain["aspects"][aspects[side]]
            return [_opinion(words, sign[side], data, rng, used)]

        part, slots = fill(frame, value, rng, at=len(text))
        text += part
        spans = {slot.name: (slot.start, slot.end) for slot in slots}
        for name, (start, end) in spans.items():
            if len(name) == 2:
                held = [spans[name[0]]] + ([spans["c"]] if shared and name == "a1" else [])
                opinions += [(aspect, start, end, sign[name[0]]) for aspect in held]
    if rng.random() < 0.15:
        words = rng.choice(data["implicit"])
        text += ("，" if text else "") + rng.choice(("", "总之", "整体来说", "说实话"))
        sign_now = rng.choice("+-")
        word = rng.choice(words[sign_now])
        opinions.append((None, len(text), len(text) + len(word), sign_now))
        text += word
    if rng.random() < 0.35:
        text += rng.choice(("，", "。")) + choose_words(rng.choice(domain["closings"]), rng)
    return text + rng.choice(("。", "。", "！", "")), opinions


def _opinion(
    words: Mapping[str, Sequence[str]], sign: str, data: Mapping[str, Any], rng: random.Random, used: list[str]
) -> str:
    if sign == "0":
        return str(rng.choice(data["neutral"]))
    word = rng.choice([one for one in words[sign] if one not in used] or data["common_opinions"][sign])
    used.append(word)
    if word.startswith("~"):  # takes an adverb of degree
        return str(rng.choice(data["degrees"][sign])) + word[1:]
    return word


def opinion_record(data: Mapping[str, Any], rng: random.Random, *, source: str) -> Record:
    """A review with the opinion of each aspect; opinions without one hang on a leading `#`."""
    body, opinions = _review(data, rng)
    shift = len(_IMPLICIT) if any(aspect is None for aspect, *_ in opinions) else 0
    text = _IMPLICIT * shift + body
    info: list[InfoPath] = []
    for aspect, start, end, sign in opinions:
        head = (aspect[0] + shift, aspect[1] + shift) if aspect else (0, shift)
        name = f"{_POLARITIES[sign]}(情感词)"
        info.append([element("属性词", text, *head), element(name, text, start + shift, end + shift)])
    return Record(text, info, ABSA_SCHEMA, "absa", source, body)


def aspect_record(data: Mapping[str, Any], rng: random.Random, *, source: str) -> Record:
    """A review with the polarity of one of its aspects."""
    while True:
        body, opinions = _review(data, rng)
        named = [(aspect, sign) for aspect, _, _, sign in opinions if aspect]
        if named:
            break
    aspect, sign = rng.choice(named)
    question = f"属性“{body[aspect[0] : aspect[1]]}”的情感倾向："
    schema = leaves(question + name for name in _POLARITIES.values())
    return class_record(body, [(question + _POLARITIES[sign],)], schema=schema, task="atsc", source=source)


def coreference_record(data: Mapping[str, Any], rng: random.Random, *, source: str) -> Record:
    """A sentence whose second half decides which of two names the pronoun stands for; asks about one of them."""
    scheme = rng.choice(data["coreference"])
    names = Names(data["forms"], rng)
    stem, half, answer = _scheme(scheme, rng)
    if kind := scheme.get("kind"):
        kinds = {"person": rng.choice("mf")}.get(kind, kind)
        first, second = names.new(kinds), names.new(kinds)
        if kind == "person" and rng.random() < 0.3:
            first, second = rng.sample(data["call_names"][kinds], 2)
        pronoun = {"m": "他", "f": "她"}.get(kinds) or scheme["pronoun"]
    else:
        first, second = rng.choice(scheme["pairs"])
        pronoun = scheme["pronoun"]
    held = {"p": first, "q": second, "x": pronoun}
    text, slots = fill(choose_words(stem + half, rng), lambda slot: [held.get(slot) or names.new(slot)], rng)
    asked = rng.choice("pq")
    noun = next(slot for slot in slots if slot.name == asked)
    place = next(slot for slot in slots if slot.name == "x")
    question = coreference_question(pronoun, held[asked])
    return class_record(
        mark_pair(text, noun.end, pronoun_end=place.end),
        [(question + ("是的" if asked == answer else "不是"),)],
        schema=leaves([question + "是的", question + "不是"]),
        task="coref",
        source=source,
        key=text,
    )


def _scheme(scheme: Mapping[str, Any], rng: random.Random) -> tuple[str, str, str]:
    answer = rng.choice([side for side in "pq" if scheme.get(side)])
    return rng.choice(scheme["stems"]), rng.choice(scheme[answer]), answer
