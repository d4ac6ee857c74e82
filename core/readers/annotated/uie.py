"""UIE (PaddleNLP) training lines: {"content", "prompt", "result_list"}, one line a question."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from core.errors import InputError
from core.readers.annotated.align import Claim
from core.readers.annotated.build import finish, items, make_document, place_marks, score_of, text_of, whole
from core.readers.annotated.graph import ClassPath, Edge, Mark, class_path, split_path
from core.readers.annotated.ledger import Ledger
from core.types import AnnotatedDocument

_OPTIONS = re.compile(r"(.*)\[(.+)\]", re.DOTALL)
Line = tuple[str, int, dict[str, Any]]


def group(values: Iterable[tuple[str, int, Any]], ledger: Ledger) -> Iterator[list[Line]]:
    """Lines that follow one another and ask about the same text; others are reported."""
    lines: list[Line] = []
    for place, number, value in values:
        if not isinstance(value, dict) or not isinstance(value.get("content"), str):
            ledger.problem(place, "没有 content，不是 UIE 的训练数据，已跳过。")
            continue
        if lines and lines[0][2]["content"] != value["content"]:
            yield lines
            lines = []
        lines.append((place, number, value))
    if lines:
        yield lines


def parse(lines: list[Line], *, default_id: str, ledger: Ledger) -> Iterator[AnnotatedDocument]:
    """The document that all the lines ask about. Raises InputError."""
    place = lines[0][0]
    document = make_document({"text": lines[0][2]["content"]}, {}, default_id=default_id)
    marks: dict[Hashable, Mark] = {}
    edges: list[Edge] = []
    chosen: list[tuple[str, list[ClassPath]]] = []
    later: list[tuple[str, list[Any]]] = []
    for _, _, line in lines:
        prompt = text_of(line.get("prompt"), "prompt")
        answers = items(line.get("result_list"), "result_list")
        if not all(isinstance(answer, dict) for answer in answers):
            raise InputError("result_list 的每一项应为对象")
        options = _OPTIONS.fullmatch(prompt)
        if options and (not answers or any(_negative(answer) for answer in answers)):
            paths = [class_path(split_path(_said(answer)), score_of(answer.get("probability"))) for answer in answers]
            chosen.append((options[1], paths))
        elif "的" in prompt:
            later.append((prompt, answers))
        else:
            _add(marks, prompt, answers, document.text, ledger=ledger, place=place)
    while later:
        # an answer may be what another question is about: those go first whose owner is known
        ready = [one for one in later if _owner(one[0], marks)]
        if not ready:
            break
        later = [one for one in later if one not in ready]
        for prompt, answers in ready:
            key, name = _owner(prompt, marks)  # type: ignore[misc]  # it was just found
            if sum(mark.text == marks[key].text for mark in marks.values()) > 1:
                ledger.notes["同一个词出现多次时，UIE 的关系归于第一处"] += 1
            added = _add(marks, name, answers, document.text, ledger=ledger, place=place)
            edges += [Edge(name, key, tail) for tail in added]
    for prompt, answers in later:
        # a type with 的 in its name
        _add(marks, prompt, answers, document.text, ledger=ledger, place=place)
    top = []
    for title, paths in chosen:
        owner = _owner(title, marks)
        if owner is None:
            top += paths
        else:
            marks[owner[0]].classes += paths
    yield finish(document, marks, edges, classes=top)


def _negative(answer: dict[str, Any]) -> bool:
    start = answer.get("start")
    return isinstance(start, int) and start < 0


def _said(answer: dict[str, Any]) -> str:
    return text_of(answer.get("text"), "text")


def _owner(prompt: str, marks: dict[Hashable, Mark]) -> tuple[Hashable, str] | None:
    """The first mark whose text the prompt begins with, and what is asked about it: "甲的乙" -> 甲, "乙"."""
    cut = prompt.rfind("的")
    while cut > 0:
        text = prompt[:cut]
        for key, mark in marks.items():
            if mark.text == text and prompt[cut + 1 :]:
                return key, prompt[cut + 1 :]
        cut = prompt.rfind("的", 0, cut)
    return None


def _add(
    marks: dict[Hashable, Mark], label: str, answers: list[Any], text: str, *, ledger: Ledger, place: str
) -> list[Hashable]:
    """Place the answers as marks; their keys."""
    claims: list[tuple[Hashable, str, Claim, float]] = []
    for answer in answers:
        claim = Claim(whole(answer.get("start"), "start"), whole(answer.get("end"), "end"), _said(answer))
        claims.append((len(marks) + len(claims), label, claim, score_of(answer.get("probability"))))
    placed = place_marks(text, claims, ledger=ledger, place=place)
    # keys are counted on, so a mark that was left out must not be counted twice
    fresh: dict[Hashable, Mark] = {len(marks) + number: mark for number, mark in enumerate(placed.values())}
    marks |= fresh
    return list(fresh)
