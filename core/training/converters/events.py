"""Event sets: `类型(事件触发词)` → roles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from core.training.converters.record import (
    MULTICLASSIFY,
    Element,
    InfoPath,
    Record,
    Schema,
    Tally,
    class_record,
    element,
    leaves,
    read_json_lines,
)

_TRIGGER = "(事件触发词)"
FEWFC = {
    "中标": {"sub": "中标方", "obj": "招标方", "amount": "中标金额", "date": "时间"},
    "减持": {
        "sub": "减持方",
        "obj": "被减持公司",
        "title": "减持方身份",
        "share-org": "占公司股份比例",
        "share-per": "占个人持股比例",
        "date": "时间",
    },
    "判决": {
        "institution": "判决机构",
        "money": "判决金额",
        "sub-org": "原告公司",
        "sub-per": "原告个人",
        "obj-org": "被告公司",
        "obj-per": "被告个人",
        "date": "时间",
    },
    "投资": {"sub": "投资方", "obj": "被投资方", "money": "投资金额", "date": "时间"},
    "担保": {
        "sub-org": "担保公司",
        "sub-per": "担保个人",
        "obj-org": "被担保公司",
        "amount": "担保金额",
        "way": "担保方式",
        "date": "时间",
    },
    "收购": {
        "sub-org": "收购公司",
        "sub-per": "收购个人",
        "obj-org": "被收购公司",
        "money": "收购金额",
        "number": "收购股数",
        "proportion": "收购比例",
        "way": "收购方式",
        "date": "时间",
    },
    "签署合同": {
        "sub-org": "签约机构",
        "sub-per": "签约个人",
        "obj-org": "签约对象机构",
        "obj-per": "签约对象个人",
        "amount": "合同金额",
        "date": "时间",
    },
    "股份股权转让": {
        "sub-org": "转让公司",
        "sub-per": "转让个人",
        "obj-org": "受让公司",
        "obj-per": "受让个人",
        "target-company": "标的公司",
        "collateral": "转让标的",
        "money": "转让金额",
        "number": "转让股数",
        "proportion": "转让比例",
        "date": "时间",
    },
    "质押": {
        "sub-org": "质押公司",
        "sub-per": "质押个人",
        "obj-org": "质权公司",
        "obj-per": "质权个人",
        "collateral": "质押物",
        "money": "质押金额",
        "number": "质押股数",
        "proportion": "质押比例",
        "date": "时间",
    },
    "起诉": {
        "sub-org": "原告公司",
        "sub-per": "原告个人",
        "obj-org": "被告公司",
        "obj-per": "被告个人",
        "date": "时间",
    },
}


def _event_paths(trigger: Element, arguments: list[Element]) -> list[InfoPath]:
    """A path for each argument, or the trigger alone."""
    return [[trigger, argument] for argument in arguments] or [[trigger]]


def convert_fewfc(directory: Path, tally: Tally) -> Iterator[Record]:
    """FewFC: ten kinds of finance events; the files overlap, each text is taken once."""
    schema: Schema = {type_ + _TRIGGER: leaves(roles.values()) for type_, roles in FEWFC.items()}
    seen = set()
    for name in ("train_base.json", "test_base.json", "train_trans.json"):
        for row in read_json_lines(directory, name):
            text = row["content"]
            if text in seen:
                tally["text already seen in another file"] += 1
                continue
            seen.add(text)
            info: list[InfoPath] = []
            for event in row["events"]:
                roles = FEWFC[event["type"]]
                triggers = [mention for mention in event["mentions"] if mention["role"] == "trigger"]
                if len(triggers) != 1:
                    tally["event without exactly one trigger"] += 1
                    continue
                trigger = element(event["type"] + _TRIGGER, text, *triggers[0]["span"])
                arguments = [
                    element(roles[mention["role"]], text, *mention["span"])
                    for mention in event["mentions"]
                    if mention["role"] != "trigger"
                ]
                info += [path for path in _event_paths(trigger, arguments) if path not in info]
            yield Record(text, info, schema, "ee", "fewfc", text)


def convert_duee(directory: Path, tally: Tally) -> Iterator[Record]:
    """DuEE 1.0: 65 event types in nine classes; events, event types and class → type.

    A published type `竞赛行为-胜负` is asked as `胜负`, its class as `竞赛行为`.
    """
    kinds = [
        (row["event_type"].partition("-")[2], row["class"], [role["role"] for role in row["role_list"]])
        for row in read_json_lines(directory, "event_schema.json")
    ]
    schema: Schema = {type_ + _TRIGGER: leaves(roles) for type_, _, roles in kinds}
    flat = leaves(type_ for type_, _, _ in kinds)
    tree: dict[str, dict[str, None]] = {}
    for type_, class_, _ in kinds:
        tree.setdefault(class_, {})[type_] = None
    for row in read_json_lines(directory, "dev.json"):
        text = row["text"]
        info: list[InfoPath] = []
        pairs = set()
        for event in row["event_list"]:
            type_ = event["event_type"].partition("-")[2]
            pairs.add((event["class"], type_))
            trigger = _at(type_ + _TRIGGER, text, event["trigger"], start=event["trigger_start_index"])
            arguments = [
                _at(item["role"], text, item["argument"], start=item["argument_start_index"])
                for item in event["arguments"]
            ]
            info += [path for path in _event_paths(trigger, arguments) if path not in info]
        yield Record(text, info, schema, "ee", "duee", text)
        types = sorted((type_,) for _, type_ in pairs)
        yield class_record(text, types, schema=flat, task="multilabel", source="duee", marker=MULTICLASSIFY)
        yield class_record(text, sorted(pairs), schema=tree, task="hierarchy", source="duee", marker=MULTICLASSIFY)


def _at(type_: str, text: str, words: str, *, start: int) -> Element:
    """The element as published: the check of the record compares its words with the text."""
    return {**element(type_, text, start, start + len(words)), "span": words}
