"""What was found together: types or words in one document, subjects with their objects, aspects with their opinions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

from sqlalchemy import Engine, case, func, or_, select
from sqlalchemy.orm import aliased

from core.storage.explore_queries import Filter, fetch, of_documents, of_scores, rows, visible
from core.storage.tables import AnnotationRow


@dataclass(frozen=True, slots=True)
class Edge:
    """How often `object` was found below `subject` as `relation`; `score` is the highest."""

    subject_type: str
    subject: str
    relation: str
    object: str
    count: int
    score: float


def together(
    engine: Engine, chosen: Filter, *, types: Sequence[str] = (), words: Sequence[str] = ()
) -> dict[tuple[str, str], int]:
    """In how many documents two of `types` (or of `words`) were both found, pairs in sorted order.

    A pair of one and the same item counts the documents that have it.
    """
    items = sorted(words or types)
    row = rows(visible(engine, chosen), "document_id", "text" if words else "type")
    item = row.text if words else row.type
    number = case({name: str(place) for place, name in enumerate(items)}, value=item)
    found = select(row.document_id, number.label("number")).where(item.in_(items)).distinct().subquery()
    # The items of each document, and then how many documents have the same ones: few sets, whatever the corpus.
    sets = select(func.aggregate_strings(found.c.number, ",").label("held")).group_by(found.c.document_id).subquery()
    counts: Counter[tuple[str, str]] = Counter()
    for numbers, documents in fetch(engine, select(sets.c.held, func.count()).group_by(sets.c.held)):
        both = [items[place] for place in sorted(map(int, numbers.split(",")))]
        for pair in combinations_with_replacement(both, 2):
            counts[pair] += documents
    return dict(counts)


def edges(engine: Engine, chosen: Filter, *, limit: int = 60) -> list[Edge]:
    """The most frequent relations: every finding with words below another one with words.

    The types and words of the filter may be those of either end, its scores are the object's.
    """
    chosen = visible(engine, chosen)
    above, below = aliased(AnnotationRow), AnnotationRow
    count, best = func.count(), func.max(below.score)
    names = (above.type, above.text, below.type, below.text)
    query = (
        select(*names, count, best)
        .join(above, below.parent_id == above.id)
        .where(below.run_id.in_(chosen.runs), below.text != "", *of_documents(chosen), *of_scores(chosen))
        .group_by(*names)
        .order_by(count.desc(), best.desc(), *names)
        .limit(limit)
    )
    if chosen.types:
        query = query.where(or_(below.type.in_(chosen.types), above.type.in_(chosen.types)))
    if chosen.contains:
        held = (one.text.contains(chosen.contains, autoescape=True) for one in (below, above))
        query = query.where(or_(*held))
    return [Edge(*row) for row in fetch(engine, query)]


def types_below(engine: Engine, chosen: Filter, *, types: Sequence[str]) -> list[tuple[str, str, int]]:
    """How often a finding of one of `types` stands below each text: (text above, type, count), frequent first.

    The words of the filter are those of the finding above, its types too.
    """
    chosen = visible(engine, chosen)
    above, below = aliased(AnnotationRow), AnnotationRow
    count = func.count()
    query = (
        select(above.text, below.type, count)
        .join(above, below.parent_id == above.id)
        .where(below.run_id.in_(chosen.runs), below.type.in_(list(types)), *of_documents(chosen), *of_scores(chosen))
        .group_by(above.text, below.type)
        .order_by(count.desc(), above.text, below.type)
    )
    if chosen.contains:
        query = query.where(above.text.contains(chosen.contains, autoescape=True))
    return [(row[0], row[1], row[2]) for row in fetch(engine, query.limit(500))]
