"""Classes with their scores as bars, and a tree of classes with the path found. Pure; everything is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape as _e

from core.palette import PALETTE
from core.polarity import polarity
from core.schemas.schema import Schema, SchemaType
from core.types import AnnotatedDocument, Annotation, Candidate
from core.views.cards import POLARITY_COLOURS, Words
from core.views.findings import class_paths, label_name, walk

BLUE = PALETTE[0]
STYLES = """<style>
.desk-class{display:grid;grid-template-columns:minmax(6em,max-content) 1fr 3.2em;gap:5px 12px;align-items:center;
font-size:14px;margin:2px 0 8px;overflow-wrap:anywhere}
.desk-class .name{font-weight:650;padding-left:calc(var(--level,0)*18px)}
.desk-class .name i{opacity:.7;font-style:normal;padding:0 6px}
.desk-class .bar{height:10px;border-radius:5px;background:color-mix(in srgb,currentColor 10%,transparent)}
.desk-class .bar div{height:100%;border-radius:5px;background:var(--mark);
-webkit-print-color-adjust:exact;print-color-adjust:exact}
.desk-class .value{font-variant-numeric:tabular-nums;text-align:right}
.desk-class .below{font-weight:400;opacity:.78}
.desk-class .bar.below div{background:color-mix(in srgb,var(--mark) 45%,transparent)}
.desk-rest{font-size:12px;opacity:.76;margin:2px 0 6px}
.desk-found{color:var(--mark);margin-right:4px}
</style>"""

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class by its path from the root; `score` None: the model gave none. `found`: it passed."""

    path: Path
    score: float | None
    found: bool


def class_scores(result: AnnotatedDocument, asked: Iterable[str] = ()) -> list[ClassScore]:
    """Every deepest class with its score, best first: those found, those that came near, then the rest of `asked`."""
    found = {path: score for path, score in class_paths(result.annotations)}
    near: dict[Path, float] = {}
    for one in result.candidates:
        path = _path(one)
        if path not in found:
            near[path] = max(near.get(path, 0.0), one.annotation.score)
    scores = [ClassScore(path, score, True) for path, score in sorted(found.items(), key=lambda one: -one[1])]
    scores += [ClassScore(path, score, False) for path, score in sorted(near.items(), key=lambda one: -one[1])]
    known = {one.path[0] for one in scores}
    return scores + [ClassScore((name,), None, False) for name in dict.fromkeys(asked) if name not in known]


def class_bars(result: AnnotatedDocument, word: Words, *, asked: Iterable[str] = ()) -> str:
    """The scores of all classes as bars, those below the threshold paler; classes without a score are named below."""
    scores = class_scores(result, asked)
    rows = "".join(
        _row("<i>›</i>".join(_e(label_name(part)) for part in one.path), one.path[-1], one.score, found=one.found)
        for one in scores
        if one.score is not None
    )
    rest = "、".join(label_name(one.path[-1]) for one in scores if one.score is None)
    below = f'<div class="desk-rest">{_e(word("card.below", names=rest))}</div>' if rest else ""
    return f'{STYLES}<div class="desk-class">{rows}</div>{below}' if rows or below else ""


def class_tree(result: AnnotatedDocument, schema: Schema | None, word: Words) -> str:
    """The classes asked for as a tree, the path found marked; branches without a score are only named."""
    scores: dict[Path, tuple[float, bool]] = {}
    for one in result.candidates:
        path = _path(one)
        scores[path] = max(scores.get(path, (0.0, False)), (one.annotation.score, False))
    for node in walk(result.annotations):
        scores[(*(above.type for above in node.above), node.annotation.type)] = (node.annotation.score, True)
    types = schema.types if schema is not None else tuple(_as_type(one) for one in result.annotations)
    rows: list[str] = []
    idle: list[str] = []

    def grow(kind: SchemaType, above: Path) -> None:
        path = (*above, kind.name)
        score, found = scores.get(path, (None, False))
        inside = any(other[: len(path)] == path for other in scores)
        if not inside and not above:
            idle.append(kind.name)
            return
        mark = f'<span class="desk-found" style="--mark:{BLUE}">●</span>' if found else ""
        rows.append(_row(mark + _e(label_name(kind.name)), kind.name, score, found=found, level=len(above)))
        for child in kind.children:
            grow(child, path)

    for kind in sorted(types, key=lambda one: _best(one.name, scores), reverse=True):
        grow(kind, ())
    rest = f'<div class="desk-rest">{_e(word("card.below", names="、".join(idle)))}</div>' if idle else ""
    return f'{STYLES}<div class="desk-class">{"".join(rows)}</div>{rest}'


def found_path(annotations: Sequence[Annotation]) -> str:
    """The paths found, best first, as words: `体育 › 足球`."""
    paths = sorted(class_paths(annotations), key=lambda one: -one[1])
    return "；".join(" › ".join(map(label_name, path)) for path, _ in paths)


def _best(name: str, scores: dict[Path, tuple[float, bool]]) -> tuple[bool, float]:
    its = [(found, score) for path, (score, found) in scores.items() if path[0] == name]
    return max(its, default=(False, 0.0))


def _as_type(one: Annotation) -> SchemaType:
    return SchemaType(one.type, tuple(_as_type(child) for child in one.children))


def _path(one: Candidate) -> Path:
    return (*(above.type for above in one.above), one.annotation.type)


def _row(name_html: str, kind: str, score: float | None, *, found: bool, level: int = 0) -> str:
    mark = POLARITY_COLOURS.get(polarity(label_name(kind)) or "", BLUE)
    state = "" if found else " below"
    name = f'<span class="name{state}" style="--level:{level}">{name_html}</span>'
    if score is None:
        return f"{name}<span></span><span></span>"
    return (
        f'{name}<div class="bar{state}" style="--mark:{mark}"><div style="width:{score:.1%}"></div></div>'
        f'<span class="value{state}">{score:.3f}</span>'
    )
