"""Relation sets: subject type → `关系(宾语类型)`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from core.training.converters.record import (
    InfoPath,
    Record,
    Schema,
    Tally,
    element,
    leaves,
    read_columns,
    read_json,
    read_json_lines,
)

_FINRE_RELATIONS = (
    ["合作", "竞争", "拥有", "被拥有", "持股", "被持股", "签约", "分析", "被分析", "纠纷", "交易", "收购", "被收购"]
    + ["重组", "减持", "被减持", "增持", "被增持", "订单", "合并", "入股", "被入股", "注资", "被注资", "合资", "帮助"]
    + ["被帮助", "成立", "被成立", "发行", "被发行", "拟收购", "被拟收购", "买资", "被买资", "商讨", "转让", "被转让"]
    + ["欠款", "被欠款", "借壳", "被借壳"]
)
FINRE = {name: name for name in _FINRE_RELATIONS} | {"自己": "同一主体"}
SANWEN = {
    "Located": "位于",
    "Part-Whole": "部分与整体",
    "Family": "亲属",
    "General-Special": "类属",
    "Social": "社会关系",
    "Ownership": "所属",
    "Use": "使用",
    "Create": "创造",
    "Near": "邻近",
}
_ENTITY = "实体"
# Files that carry offsets come first: of a text that is in several files the first is kept.
_CMEIE_FILES = (
    "CMeIE_train.json.bak",
    "hist_CMeIE_train.json",
    "CMeIE_dev_with_idx.jsonl",
    "CMeIE_dev.jsonl.bak",
)


def convert_finre(directory: Path, tally: Tally) -> Iterator[Record]:
    """FinRE: relations between companies; pairs labelled unknown leave their two entities without relation."""
    return _pairs(directory, tally, source="finre", names=FINRE)


def convert_sanwen(directory: Path, tally: Tally) -> Iterator[Record]:
    """SanWen: relations in essays; digits are masked as `<N>` by the publisher."""
    return _pairs(directory, tally, source="sanwen", names=SANWEN)


def _pairs(directory: Path, tally: Tally, *, source: str, names: Mapping[str, str]) -> Iterator[Record]:
    """Rows `head TAB tail TAB relation TAB sentence`, those of a sentence joined into one record."""
    schema: Schema = {_ENTITY: leaves(f"{name}({_ENTITY})" for name in names.values())}
    for name, split in {"train.txt": "", "valid.txt": "dev"}.items():
        sentences: dict[str, list[list[str]]] = {}
        for row in read_columns(directory, name, columns=4, tally=tally):
            sentences.setdefault(row[3], []).append(row[:3])
        for text, rows in sentences.items():
            info = _pair_paths(text, rows, names=names, tally=tally)
            yield Record(text, info, schema, "re", source, text, split=split)


def _pair_paths(text: str, rows: Iterable[list[str]], *, names: Mapping[str, str], tally: Tally) -> list[InfoPath]:
    """A path for each known relation and one for each entity that has none, at first occurrences."""
    paths: dict[tuple[str, ...], InfoPath] = {}
    subjects, entities = set(), []
    for head, tail, relation in rows:
        if head not in text or tail not in text:
            tally["entity not in the sentence"] += 1
            continue
        entities += [head, tail]
        if relation in names:
            subjects.add(head)
            subject, object_ = _at(_ENTITY, text, head), _at(f"{names[relation]}({_ENTITY})", text, tail)
            paths[head, relation, tail] = [subject, object_]
        elif relation != "unknown":
            tally[f"unknown relation: {relation}"] += 1
    for entity in dict.fromkeys(entities):
        if entity not in subjects:
            paths[entity,] = [_at(_ENTITY, text, entity)]
    return list(paths.values())


def _at(type_: str, text: str, words: str) -> Any:
    """The element at the first occurrence of `words`."""
    start = text.index(words)
    return element(type_, text, start, start + len(words))


def convert_cmeie(directory: Path, tally: Tally) -> Iterator[Record]:
    """CMeIE: medical relations; the files overlap, each text is taken once."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for name in _CMEIE_FILES:
        is_lines = "jsonl" in name
        for row in read_json_lines(directory, name) if is_lines else read_json(directory, name):
            if row["text"] in rows:
                tally["text already seen in another file"] += 1
                continue
            rows[row["text"]] = row["spo_list"]
    tree: dict[str, dict[str, None]] = {}
    for triples in rows.values():
        for triple in triples:
            tree.setdefault(triple["subject_type"], {})[_predicate(triple)] = None
    for text, triples in rows.items():
        info: list[InfoPath] = []
        for triple in triples:
            subject = _located(triple["subject_type"], text, triple["subject"], hint=triple.get("subject_start_idx"))
            words = triple["object"]["@value"]
            object_ = _located(_predicate(triple), text, words, hint=triple.get("object_start_idx"))
            if subject is None or object_ is None:
                tally["subject or object not in the text"] += 1
            elif [subject, object_] not in info:
                info.append([subject, object_])
        yield Record(text, info, tree, "re", "cmeie", text)


def _predicate(triple: Mapping[str, Any]) -> str:
    """The relation's type with the type of its object."""
    return f"{triple['predicate']}({triple['object_type']['@value']})"


def _located(type_: str, text: str, words: str, *, hint: int | None) -> Any:
    """The element at the published start, else at the first occurrence; None when the words are not there."""
    words = words.strip()
    if hint is not None and hint >= 0 and words and text.startswith(words, hint):
        return element(type_, text, hint, hint + len(words))
    return _at(type_, text, words) if words and words in text else None
