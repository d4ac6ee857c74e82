"""Review as the product does it: one action on one document, the same over a run, and two people at once."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Engine

from core.access.principal import ANALYST, principal_of
from core.errors import ConflictError, InputError
from core.guard import guarded
from core.review import edits
from core.review.actions import Action, outcome
from core.review.changes import applied, inverse
from core.review.nodes import DISMISSED, OPEN, REVIEWED, SKIPPED, Node, Nodes
from core.storage.review_queries import (
    QueueFilter,
    Review,
    batch_documents,
    documents_with,
    get_review,
    history,
    iter_reviews,
    queue_ids,
)
from core.storage.review_store import Step, redo_step, save_step, undo_step

CONTEXT = 16
SHOWN = 200


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A place where words would be labelled, with up to 16 characters on either side."""

    document_id: int
    external_id: str
    start: int
    end: int
    before: str
    text: str
    after: str


@dataclass(frozen=True, slots=True)
class Everywhere:
    """What an action over a run would do: `documents` that it changes, `places` in all, some of them as `examples`.

    `left_out` documents are finished, rejected or skipped and stay as they are.
    """

    documents: tuple[int, ...]
    places: int
    left_out: int
    examples: tuple[Occurrence, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an action over many documents is; `conflicts` were changed by somebody else at the same moment."""

    done: int
    total: int
    changed: int
    conflicts: int
    batch: str


@guarded(
    ANALYST, "review.step", about="run {review.run_id} document {review.document_id} {action.kind}", run="review.run_id"
)
def perform(database: Engine, review: Review, action: Action, *, author: str) -> Review:
    """Do `action` to the document as the caller has seen it, and give the document as it stands then.

    Raises ConflictError, with nothing written, when somebody has changed it since, and InputError when the action
    cannot be done.
    """
    return _perform(database, review, action, author=author)


def _perform(database: Engine, review: Review, action: Action, *, author: str, batch: str = "") -> Review:
    """One step; many of them are one entry of the audit log."""
    step = Step(review.run_id, review.document_id, review.version, action.kind, signed(database, author), batch)
    if action.kind == "undo":
        undo_step(database, step)
    elif action.kind == "redo":
        redo_step(database, step)
    else:
        nodes, state = outcome(action, review.nodes, review.state, text=review.document.text, task=review.task)
        save_step(database, step, before=review.nodes, after=nodes, states=(review.state, state))
    return get_review(database, review.run_id, review.document_id)


def signed(database: Engine, author: str) -> str:
    """Under whose name something is kept: whoever is signed in cannot write under another one."""
    who = principal_of(database)
    return author if who.local else who.name


def seen(database: Engine, run_id: int, document_id: int, *, version: int) -> Review:
    """A document as it stood at an earlier version. Raises StorageError when it is gone."""
    review = get_review(database, run_id, document_id)
    nodes, state = review.nodes, review.state
    for revision in history(database, run_id, document_id):  # newest first
        if revision.number > version:
            nodes, state = applied(nodes, inverse(revision.change)), revision.change.state[0]
    return replace(review, nodes=nodes, state=state, version=version)


def occurrences(review: Review, words: str, type: str) -> list[Occurrence]:
    """Where `words` stand in a document without being a top annotation of `type`."""
    text = review.document.text
    return [
        Occurrence(
            review.document_id,
            review.document.id,
            start,
            end,
            text[max(start - CONTEXT, 0) : start],
            text[start:end],
            text[end : end + CONTEXT],
        )
        for start, end in edits.occurrences(review.nodes, words, type, text=text)
    ]


def preview_labels(database: Engine, run_id: int, words: str, type: str, *, finished: bool = False) -> Everywhere:
    """What labelling every occurrence of `words` in a run would do; `finished`: in finished documents as well."""
    documents, examples, places, left_out = [], list[Occurrence](), 0, 0
    for review in iter_reviews(database, run_id, documents_with(database, run_id, words)):
        found = occurrences(review, words, type)
        if not found:
            continue
        if not _open_to_all(review, finished):
            left_out += 1
            continue
        documents.append(review.document_id)
        places += len(found)
        examples += found[: SHOWN - len(examples)]
    return Everywhere(tuple(documents), places, left_out, tuple(examples))


def preview_scores(database: Engine, run_id: int, score: float) -> Everywhere:
    """What accepting every open annotation of a run with `score` or more would do."""
    documents, places, left_out = [], 0, 0
    for review in iter_reviews(database, run_id, queue_ids(database, run_id, QueueFilter(at_least=score))):
        count = sum(node.decision == OPEN and node.score >= score for node in review.nodes)
        if count and _open_to_all(review, False):
            documents.append(review.document_id)
            places += count
        elif count:
            left_out += 1
    return Everywhere(tuple(documents), places, left_out)


@guarded(ANALYST, "review.label_everywhere", run="run_id")
def label_everywhere(
    database: Engine, run_id: int, found: Everywhere, *, words: str, type: str, author: str
) -> Iterator[Progress]:
    """Label what `preview_labels` found, one step a document; stop whenever you like, what is done stays done."""
    return _everywhere(database, run_id, found.documents, Action("add_all", type=type), words=words, author=author)


@guarded(ANALYST, "review.accept_everywhere", run="run_id")
def accept_everywhere(
    database: Engine, run_id: int, found: Everywhere, *, score: float, author: str
) -> Iterator[Progress]:
    """Accept what `preview_scores` found, one step a document; stop whenever you like."""
    return _everywhere(database, run_id, found.documents, Action("accept_above", score=score), words="", author=author)


@guarded(ANALYST, "review.undo_everywhere", run="run_id")
def undo_everywhere(database: Engine, run_id: int, batch: str, *, author: str) -> Iterator[Progress]:
    """Undo an action over many documents wherever it was the last thing done; elsewhere it counts as a conflict."""
    documents = batch_documents(database, run_id, batch)
    changed = conflicts = 0
    for done, document_id in enumerate(documents, 1):
        try:
            review = get_review(database, run_id, document_id)
            if history(database, run_id, document_id)[0].batch == batch:
                _perform(database, review, Action("undo"), author=author)
                changed += 1
            else:
                conflicts += 1
        except (ConflictError, InputError):
            conflicts += 1
        yield Progress(done, len(documents), changed, conflicts, batch)


def _everywhere(
    database: Engine, run_id: int, documents: Sequence[int], action: Action, *, words: str, author: str
) -> Iterator[Progress]:
    batch = uuid.uuid4().hex
    changed = conflicts = 0
    for done, document_id in enumerate(documents, 1):
        review = get_review(database, run_id, document_id)
        if action.kind == "add_all":
            places = edits.occurrences(review.nodes, words, action.type, text=review.document.text)
            action = replace(action, places=tuple(places))
        try:
            after = _perform(database, review, action, author=author, batch=batch)
            changed += after.version > review.version
        except ConflictError:
            conflicts += 1
        yield Progress(done, len(documents), changed, conflicts, batch)


def _open_to_all(review: Review, finished: bool) -> bool:
    return review.state not in (DISMISSED, SKIPPED) and (finished or review.state not in REVIEWED)


def differences(mine: Nodes, theirs: Nodes) -> list[tuple[Node | None, Node | None]]:
    """Where two forms of a document differ: each annotation in mine and in theirs, None where it is not there."""
    one, other = ({node.id: node for node in nodes} for nodes in (mine, theirs))
    numbers = sorted(one.keys() | other.keys())
    return [(one.get(n), other.get(n)) for n in numbers if one.get(n) != other.get(n)]
