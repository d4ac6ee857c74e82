"""What a document came to in a few figures, one for each task. Pure; everything is escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape as _e

from core.polarity import NEGATIVE, NEUTRAL, POSITIVE, polarity
from core.types import AnnotatedDocument
from core.views.cards import Words
from core.views.chains import chains_of
from core.views.classes import found_path
from core.views.findings import class_paths, triples, walk

STYLES = """<style>
.desk-figures{display:grid;grid-template-columns:repeat(5,1fr);gap:8px;margin:2px 0 8px}
.desk-figure{border:1px solid color-mix(in srgb,currentColor 16%,transparent);border-radius:4px;padding:6px 10px;
overflow-wrap:anywhere;break-inside:avoid}
@media (max-width:900px){.desk-figures{grid-template-columns:repeat(2,1fr)}}
.desk-figure .what{font-size:12px;opacity:.76}
.desk-figure .value{font-size:19px;font-weight:650;line-height:1.35}
.desk-figure .note{font-size:12px;opacity:.76}
</style>"""
MOST = 3
"""Kinds named below a count."""


def figure_tiles(results: Sequence[AnnotatedDocument], word: Words, *, titles: Mapping[str, str]) -> str:
    """A tile a task: how much was found, or what the text is; `titles` are the names of the tasks."""
    tiles = "".join(
        f'<div class="desk-figure"><div class="what">{_e(titles.get(one.task, one.task))}</div>'
        f'<div class="value">{_e(value)}</div><div class="note">{_e(note)}</div></div>'
        for one in results
        for value, note in [figure_of(one, word)]
    )
    return f'{STYLES}<div class="desk-figures">{tiles}</div>'


def figure_of(result: AnnotatedDocument, word: Words) -> tuple[str, str]:
    """The figure of one result and what is said below it."""
    if result.error:
        return "—", result.error
    found = result.annotations
    if result.task in ("sentiment", "classification", "multilabel", "hierarchy", "matching", "nli"):
        score = max((score for _, score in class_paths(found)), default=None)
        return (found_path(found) or "—", "" if score is None else f"{score:.3f}")
    if result.task in ("absa", "atsc"):
        counts = Counter(which for node in walk(found) if (which := polarity(node.annotation.type)))
        which_way = [which for which in (POSITIVE, NEUTRAL, NEGATIVE) if counts[which]]
        said = (f"{word(f'polarity.{which}')} {counts[which]}" for which in which_way)
        return str(len(found)), " · ".join(said)
    if result.task == "re":
        return str(len(triples(result))), _most(Counter(one.relation for one in triples(result)))
    if result.task == "coref":
        chains, _ = chains_of(found)
        return str(len(chains)), "、".join(chain.name for chain in chains[:MOST])
    if result.task == "mrc":
        return str(len({one.type for one in found})), word("view.answered")
    return str(len(found)), _most(Counter(one.type.partition("(")[0] for one in found))


def _most(counts: Counter[str]) -> str:
    """The most frequent kinds, and that there are more."""
    said = " · ".join(f"{name} {count}" for name, count in counts.most_common(MOST))
    return said + (" …" if len(counts) > MOST else "")
