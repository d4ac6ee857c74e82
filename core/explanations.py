"""Why a type, or everything, was not found: what came nearest, and what may be wrong with schema or text. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.schemas.lint import Hint, schema_hints
from core.schemas.schema import Schema
from core.thresholds import chains
from core.types import AnnotatedDocument, Candidate

BEST = 3
"""Candidates told of each type."""

SHORT, MANY_WINDOWS = 6, 4
"""Characters below which a text says too little, and windows from which it is long."""

EXPLAINED = ("ner", "re", "ee", "absa", "atsc", "multilabel", "mrc")
"""Tasks that may find nothing; all others always give an answer."""

HANZI = re.compile(r"[\u4e00-\u9fff\u3400-\u4dbf]")


@dataclass(frozen=True, slots=True)
class Missing:
    """A type without findings: its path, the best candidates, the hints on it.

    alone: the best one was found all right, but nothing below it, without which it does not count.
    """

    path: tuple[str, ...]
    best: tuple[Candidate, ...] = ()
    hints: tuple[Hint, ...] = ()
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Explanation:
    """Types without findings, most promising first, and plain sentences on schema and text."""

    missing: tuple[Missing, ...]
    remarks: tuple[str, ...]


def explain(result: AnnotatedDocument, schema: Schema | None, *, threshold: float) -> Explanation | None:
    """What there is to say of types that have no findings in `result` at `threshold`; None when there is none.

    A type below one that was not found is not told: it was never asked for.
    """
    if result.task not in EXPLAINED or result.error:
        return None
    near: dict[tuple[str, ...], list[Candidate]] = {}
    for one in sorted(result.candidates, key=lambda one: -one.annotation.score):
        near.setdefault(_types(one), []).append(one)
    found = {tuple(node.type for node in chain) for chain in chains(result.annotations)}
    hints: dict[tuple[str, ...], list[Hint]] = {}
    for hint in () if schema is None else schema_hints(schema, result.task):
        hints.setdefault(hint.path, []).append(hint)
    missing = []
    for path in _asked(result.task, schema):
        best = near.get(path, [])[:BEST]
        alone = bool(best) and best[0].annotation.score > threshold
        asked = (
            not path[:-1]
            or path[:-1] in found
            or any(one.annotation.score > threshold for one in near.get(path[:-1], []))
        )
        if path not in found and asked:
            missing.append(Missing(path, tuple(best), tuple(hints.get(path, ())), alone))
    if not missing:
        return None
    missing.sort(key=lambda one: -one.best[0].annotation.score if one.best else 0.0)
    general = [hint.text for hint in hints.get((), ())]
    return Explanation(tuple(missing), (*general, *_remarks(result)))


def below(score: float) -> float:
    """The highest threshold in whole hundredths that a score exceeds."""
    hundredths = int(score * 100 + 1e-9)
    return max(hundredths if score * 100 - hundredths > 1e-6 else hundredths - 1, 0) / 100


def _types(one: Candidate) -> tuple[str, ...]:
    return tuple(node.type for node in (*one.above, one.annotation))


def _asked(task: str, schema: Schema | None) -> list[tuple[str, ...]]:
    if task == "atsc":
        return [("属性词",)]
    if schema is None:
        return []
    paths = list(schema.paths())
    if task == "mrc":  # a question with options is always answered
        return [path for path in paths if len(path) == 1 and not any(other[:-1] == path for other in paths)]
    return paths if task not in ("ner", "multilabel") else [path for path in paths if len(path) == 1 or task == "ner"]


def _remarks(result: AnnotatedDocument) -> list[str]:
    text = result.document.text.strip()
    said = []
    if len(text) < SHORT:
        said.append(f"正文只有 {len(text)} 个字：模型靠上下文判断，请给出完整的句子。")
    if text and len(HANZI.findall(text)) * 5 < len(text):
        said.append("正文里汉字很少：模型只学过中文。")
    if result.windows >= MANY_WINDOWS:
        said.append(
            f"正文分 {result.windows} 个窗口阅读：相隔很远的两处（例如主体和它的关系）不会同时看到，可按段落拆开再试。"
        )
    return said
