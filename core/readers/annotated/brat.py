"""brat standoff: pairs of `.txt` and `.ann` in a zip, a folder or side by side -> documents with annotations."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from core.errors import FormatError, InputError
from core.readers.annotated.align import Claim
from core.readers.annotated.build import finish, known_edges, make_document, place_marks, score_of
from core.readers.annotated.graph import ClassPath, Edge, Mark, class_path, split_path
from core.readers.annotated.ledger import Ledger
from core.readers.encoding import find_encoding
from core.types import AnnotatedDocument

_TEXT_BOUND = re.compile(r"(T\S+)\t(\S+) (\d+ \d+(?:;\d+ \d+)*)(?:\t(.*))?")
_RELATION = re.compile(r"(R\S+)\t(\S+)\s+\S+?:(\S+)\s+\S+?:(\S+)\s*")
_EVENT = re.compile(r"(E\S+)\t(\S+?):(\S+)((?:\s+\S+?:\S+)*)\s*")
_ATTRIBUTE = re.compile(r"([AM]\S+)\t(\S+)\s+(\S+)(?:\s+(.*?))?\s*")
_SCORE = re.compile(r"#\S*\tAnnotatorNotes (\S+)\t.*?(?:above=([0-9.eE+/-]+) )?score=([0-9.eE+-]+)\s*")
_VISUAL = re.compile(r"(?m)^([\w-]+)\s*\|\s*([^|\n]+)")

Names = Mapping[str, str]


@dataclass(slots=True)
class _Lines:
    """The lines of one .ann file by kind."""

    spans: list[tuple[Hashable, str, Claim, float]] = field(default_factory=list)
    joined: set[Hashable] = field(default_factory=set)
    events: list[tuple[str, str, list[tuple[str, str]]]] = field(default_factory=list)
    relations: list[tuple[str, str, str]] = field(default_factory=list)
    attributes: list[tuple[str, str, str, str]] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    above: dict[str, list[float]] = field(default_factory=dict)


def read(files: Mapping[str, bytes], *, encoding: str | None, ledger: Ledger) -> Iterator[AnnotatedDocument]:
    """Every pair among the files (by name); a half without the other is reported. Text is taken as it is.

    `labels.json` or the `[labels]` of a `visual.conf` give the names behind the ids.
    """
    names = _names(files, ledger)
    for name in sorted(files):
        stem, suffix = _parts(name)
        if suffix == ".txt" and stem + ".ann" not in files:
            ledger.problem(name, "没有同名的 .ann，已跳过。")
        if suffix != ".ann":
            continue
        if stem + ".txt" not in files:
            ledger.problem(name, "没有同名的 .txt，已跳过。")
            continue
        try:
            text = _text(files[stem + ".txt"], encoding)
            meta = _meta(files.get(stem + ".meta.json"))
            yield _document(text, _text(files[name], None), meta, names=names, place=name, ledger=ledger)
        except (InputError, FormatError) as error:
            ledger.problem(name, f"{error}，已跳过。")


def _parts(name: str) -> tuple[str, str]:
    suffix = PurePosixPath(name).suffix
    return name[: len(name) - len(suffix)], suffix.lower()


def _text(data: bytes, encoding: str | None) -> str:
    """The text with its line ends untouched, for offsets count them."""
    if not data:
        return ""
    found = find_encoding(lambda: [data], encoding=encoding)
    return data.decode(found.encoding, found.errors)


def _names(files: Mapping[str, bytes], ledger: Ledger) -> dict[str, str]:
    names: dict[str, str] = {}
    for name, data in files.items():
        last = PurePosixPath(name).name
        if last == "visual.conf":
            section = re.search(r"(?ms)^\[labels\]\s*$(.*?)(?=^\[|\Z)", _text(data, None))
            for identity, label in _VISUAL.findall(section[1] if section else ""):
                names.setdefault(identity, label.strip())
    for name, data in files.items():
        if PurePosixPath(name).name == "labels.json":
            try:
                exact = json.loads(data)
                names |= {str(key): str(value) for key, value in exact.items()}
            except (ValueError, AttributeError, RecursionError):
                ledger.problem(name, "不是对象形式的 JSON，标签保持原样。")
    return names


def _meta(data: bytes | None) -> dict[str, Any]:
    if data is None:
        return {}
    try:
        meta = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f".meta.json 不是有效的 JSON（{error}）") from error
    if not isinstance(meta, dict):
        raise InputError(".meta.json 应为对象")
    return meta


def _document(
    text: str, annotations: str, meta: dict[str, Any], *, names: Names, place: str, ledger: Ledger
) -> AnnotatedDocument:
    stem = _parts(place)[0]
    metadata = meta.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise InputError(".meta.json 的 metadata 应为对象")
    default_id = "" if meta else PurePosixPath(stem).name
    document = make_document({**meta, "text": text}, metadata, default_id=default_id)
    lines = _parse(annotations, names, place=place, ledger=ledger)
    spans = [(key, label, claim, lines.scores.get(str(key), 1.0)) for key, label, claim, _ in lines.spans]
    marks = place_marks(text, spans, ledger=ledger, place=place)
    joined = len(lines.joined & marks.keys())
    if joined:
        ledger.notes["不连续的片段合并为从头到尾的一段"] += joined
    triggers = _triggers(lines, marks)
    edges = [
        Edge(role, triggers[event], triggers.get(tail, tail), role=True)
        for event, _, arguments in lines.events
        if event in triggers
        for role, tail in arguments
    ]
    edges += [Edge(name, triggers.get(head, head), triggers.get(tail, tail)) for name, head, tail in lines.relations]
    for identity, name, target, value in lines.attributes:
        owner = triggers.get(target, target)
        if owner not in marks:
            ledger.problem(place, f"属性 {identity} 所属的 {target} 不存在，已丢弃。")
            continue
        path = (*split_path(name), *((names.get(value, value),) if value else ()))
        score = lines.scores.get(identity, 1.0)
        scores = [*lines.above.get(identity, ()), score]
        marks[owner].classes.append(class_path(path, scores if len(scores) == len(path) else score))
    kept = known_edges(edges, marks, ledger=ledger, place=place)
    classes = [_class(one) for one in meta.get("classes") or ()]
    return finish(
        document,
        marks,
        kept,
        classes=classes,
        task=meta.get("task"),
        windows=meta.get("windows"),
        events=bool(lines.events),
    )


def _class(one: Any) -> ClassPath:
    try:
        return class_path([str(name) for name in one["path"]], [score_of(score) for score in one["scores"]])
    except (KeyError, TypeError) as error:
        raise InputError(".meta.json 的 classes 应为 {path, scores}") from error


def _triggers(lines: _Lines, marks: dict[Hashable, Mark]) -> dict[Hashable, Hashable]:
    """The mark of each event: its trigger's, or a copy where the trigger has an event already."""
    found: dict[Hashable, Hashable] = {}
    used: set[Hashable] = set()
    for event, trigger, _ in lines.events:
        if trigger not in marks:
            continue
        key: Hashable = trigger
        if trigger in used:
            mark = marks[trigger]
            key = (trigger, event)
            marks[key] = Mark(mark.start, mark.end, mark.text, mark.label, mark.score)
        used.add(trigger)
        found[event] = key
    return found


def _parse(annotations: str, names: Names, *, place: str, ledger: Ledger) -> _Lines:
    lines = _Lines()
    for number, line in enumerate(annotations.replace("\r\n", "\n").split("\n"), start=1):
        if not line.strip():
            continue
        kind = line[0]
        if kind == "T" and (match := _TEXT_BOUND.fullmatch(line)):
            _span(lines, match, names)
        elif kind == "R" and (match := _RELATION.fullmatch(line)):
            lines.relations.append((names.get(match[2], match[2]), match[3], match[4]))
        elif kind == "E" and (match := _EVENT.fullmatch(line)):
            arguments = [argument.partition(":") for argument in match[4].split()]
            lines.events.append((match[1], match[3], [(_role(role, names), tail) for role, _, tail in arguments]))
        elif kind in "AM" and (match := _ATTRIBUTE.fullmatch(line)):
            lines.attributes.append((match[1], names.get(match[2], match[2]), match[3], match[4] or ""))
        elif kind == "#":
            if match := _SCORE.fullmatch(line):
                lines.scores[match[1]] = _number(match[3])
                if match[2]:
                    lines.above[match[1]] = [_number(score) for score in match[2].split("/")]
            else:
                ledger.notes["批注没有读取"] += 1
        elif kind in "*N":
            ledger.notes["等价（*）和外部引用（N）没有读取"] += 1
        else:
            ledger.problem(f"{place} 第 {number} 行", f"无法读取“{line[:40]}”，已跳过。")
    return lines


def _number(text: str) -> float:
    try:
        return score_of(float(text))
    except ValueError:
        return 1.0


def _span(lines: _Lines, match: re.Match[str], names: Names) -> None:
    parts = [tuple(map(int, part.split())) for part in match[3].split(";")]
    start, end = min(part[0] for part in parts), max(part[-1] for part in parts)
    said = match[4] if len(parts) == 1 else None
    if len(parts) > 1:
        lines.joined.add(match[1])
    lines.spans.append((match[1], names.get(match[2], match[2]), Claim(start, end, said or None), 1.0))


def _role(role: str, names: Names) -> str:
    """The role's name; brat numbers a role that stands again: Role, Role2."""
    if role in names:
        return names[role]
    bare = role.rstrip("0123456789")
    return names.get(bare, bare or role)
