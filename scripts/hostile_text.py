"""A database in which every text of a user is hostile: documents, names, metadata, types, schema names, errors.

For tests that look whether any of it is obeyed: `HOSTILE` runs a script, loads a picture, links to a script, is a
formula of TeX and of a spreadsheet, and a coloured text of Streamlit's.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from core import reviews
from core.review.actions import Action
from core.storage.review_queries import get_review
from core.storage.store import Store
from core.types import AnnotatedDocument, Annotation, Document

ADDRESS = "evil.invalid"
HOSTILE = (
    f'=1+1<img src="http://{ADDRESS}/a.png" onerror="window.hit=1"><script>window.hit=1</script>'
    f"![图](http://{ADDRESS}/b.png) [链接](javascript:window.hit=1) $x^2$ :red[红] | **粗** `码`"
)


@dataclass(frozen=True, slots=True)
class Hostile:
    """Numbers of what was stored; `runs` by task."""

    document: int
    runs: dict[str, int]


def store_hostile(database: Engine, tasks: dict[str, tuple[str, ...]]) -> Hostile:
    """Store a document and a run of each task over it and a failed one; `tasks`: task → the types of one finding."""
    store = Store(database)
    document = Document(HOSTILE, id=HOSTILE, name=f"{HOSTILE}.txt", metadata={HOSTILE: HOSTILE}, text_pair=HOSTILE)
    first, second = store.add_documents([document, Document(HOSTILE * 2, id="2", name=HOSTILE)])
    runs = {}
    for task, path in tasks.items():
        names = [f"{HOSTILE}{kind}" for kind in path]
        placed = task not in ("sentiment", "classification", "multilabel", "hierarchy", "matching", "nli")
        schema: dict[str, object] = {}
        found: tuple[Annotation, ...] = ()
        for name in reversed(names):
            schema = {name: schema or None}
            if placed:
                found = (Annotation(name, 0, len(HOSTILE), HOSTILE, 0.9, found),)
            else:
                found = (Annotation(name, None, None, "", 0.9, found),)
        saved = store.save_schema(f"{HOSTILE}{task}"[:200], task, body=schema, note=HOSTILE)
        run = store.start_run(
            schema=schema, task=task, schema_id=saved, model=HOSTILE[:100], revision=HOSTILE[:100], dtype="float32",
            device="cpu", threshold=0.5, total=2,
        )  # fmt: skip
        result = AnnotatedDocument(document, task, found, notes=(HOSTILE,))
        store.save_result(run, first, result=result, duration_s=0.1, position=0)
        failed = AnnotatedDocument(Document(HOSTILE * 2), task, (), error=HOSTILE)
        store.save_result(run, second, result=failed, duration_s=0.1, position=1)
        store.finish_run(run, "failed", error=HOSTILE)
        runs[task] = run
    review = get_review(database, next(iter(runs.values())), first)
    reviews.perform(database, review, Action("accept", id=review.nodes[0].id), author=HOSTILE[:200])
    return Hostile(first, runs)
