"""Utterances of task dialogues and questions: slots as entities, intents and domains as classes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.training.converters.record import (
    MULTICLASSIFY,
    Element,
    InfoPath,
    Record,
    Schema,
    Tally,
    class_record,
    clean,
    element,
    find_all,
    leaves,
    read_json,
    read_json_lines,
)
from core.training.converters.slots import DOMAINS, INTENTS, SLOTS

CROSSWOZ_INTENTS = {
    "Inform": "提供信息",
    "Request": "询问信息",
    "Recommend": "推荐",
    "Select": "选择",
    "NoOffer": "没有符合要求的结果",
    "greet": "问候",
    "thank": "感谢",
    "welcome": "回应感谢",
    "bye": "告别",
    "reqmore": "询问其他需要",
}
_GENERAL = "通用"


def _crosswoz_slot(domain: str, slot: str) -> str:
    """The entity type of a slot; empty for slots whose value is not a piece of text."""
    if slot == "源领域" or slot.startswith("酒店设施"):
        return ""
    return f"{domain}名称" if slot == "名称" else slot


def convert_crosswoz(directory: Path, tally: Tally) -> Iterator[Record]:
    """CrossWOZ: per utterance slot values (ner), intents (multilabel) and domain → intent (hierarchy)."""
    turns = [
        (message["content"].strip(), message["dialog_act"])
        for dialogue in read_json(directory, "val.json").values()
        for message in dialogue["messages"]
        if message["dialog_act"]
    ]
    acts = [tuple(act) for _, turn_acts in turns for act in turn_acts]
    slots = sorted({name for _, domain, slot, value in acts if value and (name := _crosswoz_slot(domain, slot))})
    slot_schema = leaves(name for name in slots if name != "none")
    intent_schema = leaves(CROSSWOZ_INTENTS.values())
    pairs = sorted({_crosswoz_pair(intent, domain) for intent, domain, _, _ in acts})
    tree: Schema = {domain: leaves(intent for first, intent in pairs if first == domain) for domain, _ in pairs}
    for text, turn_acts in turns:
        if slot_schema:
            found = _crosswoz_entities(text, turn_acts, tally)
            yield Record(text, [[item] for item in found], slot_schema, "ner", "crosswoz", text)
        turn_pairs = sorted({_crosswoz_pair(intent, domain) for intent, domain, _, _ in turn_acts})
        intents = sorted({(intent,) for _, intent in turn_pairs})
        yield class_record(
            text, intents, schema=intent_schema, task="multilabel", source="crosswoz", marker=MULTICLASSIFY
        )
        yield class_record(text, turn_pairs, schema=tree, task="hierarchy", source="crosswoz", marker=MULTICLASSIFY)


def _crosswoz_pair(intent: str, domain: str) -> tuple[str, str]:
    """Domain and intent in Chinese; the general acts carry their name where others carry the domain."""
    if intent == "General":
        return _GENERAL, CROSSWOZ_INTENTS[domain]
    return domain, CROSSWOZ_INTENTS[intent]


def _crosswoz_entities(text: str, acts: list[list[str]], tally: Tally) -> list[Element]:
    """The slot values that stand in the utterance, each place once."""
    found: dict[tuple[str, int, int], Element] = {}
    for _, domain, slot, value in acts:
        type_ = _crosswoz_slot(domain, slot)
        if not type_ or not value or value == "none":
            continue
        places = find_all(text, value) if len(value) > 1 else []
        if not places:
            tally["slot value not in the utterance"] += 1
        for start, end in places:
            found[type_, start, end] = element(type_, text, start, end)
    return sorted(found.values(), key=lambda item: item["offset"])


def convert_smp2019(directory: Path, tally: Tally) -> Iterator[Record]:
    """SMP 2019 commands: slots (ner), domain (classification) and domain → intent (hierarchy)."""
    rows = read_json(directory, "train.json")
    named = [(row, DOMAINS[row["domain"]], INTENTS.get(str(row["intent"]), "")) for row in rows]
    slots = {_smp_slot(domain, slot, tally) for row, domain, _ in named for slot in (row["slots"] or {})} - {""}
    pairs = sorted({(domain, intent) for _, domain, intent in named if intent})
    tree: Schema = {domain: leaves(intent for first, intent in pairs if first == domain) for domain, _ in pairs}
    domain_schema = leaves(DOMAINS.values())
    for row, domain, intent in named:
        text = row["text"].strip()
        if slots:
            info = _smp_entities(text, row["slots"] or {}, domain=domain, tally=tally)
            yield Record(text, info, leaves(sorted(slots)), "ner", "smp2019", text)
        yield class_record(text, [(domain,)], schema=domain_schema, task="classification", source="smp2019")
        if intent:
            yield class_record(text, [(domain, intent)], schema=tree, task="hierarchy", source="smp2019")
        else:
            tally["row without an intent"] += 1


def _smp_slot(domain: str, slot: str, tally: Tally) -> str:
    """The entity type of a slot; a bare `name` is the name of what the domain is about."""
    if slot == "name":
        return f"{domain}名称"
    if slot not in SLOTS:
        tally[f"slot of an unknown name: {slot}"] += 1
    return SLOTS.get(slot, "")


def _smp_entities(text: str, slots: dict[str, Any], *, domain: str, tally: Tally) -> list[InfoPath]:
    """A path for each place of each slot value."""
    info: list[InfoPath] = []
    for slot, value in slots.items():
        type_ = _smp_slot(domain, slot, Tally())
        places = find_all(text, str(value))
        if type_ and not places:
            tally["slot value not in the text"] += 1
        info += [[element(type_, text, start, end)] for start, end in places if type_]
    return info


def convert_kgclue(directory: Path, tally: Tally) -> Iterator[Record]:
    """KgCLUE questions: the entity asked about, found by its name without the bracketed explanation."""
    for name, split in {"train.json": "", "dev.json": "dev"}.items():
        for row in read_json_lines(directory, name):
            text = clean(row["question"])
            subject = row["answer"].split("|||")[0].strip()
            short = subject.split("（")[0].strip() or subject
            places = find_all(text, subject) or find_all(text, short)
            if not places:
                tally["entity not in the question"] += 1
                continue
            info: list[InfoPath] = [[element("实体", text, start, end)] for start, end in places]
            yield Record(text, info, {"实体": None}, "ner", "kgclue", text, split=split)
