"""Writes of corrections: each step is one transaction, refused when the writer has not seen the newest version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.errors import ConflictError, InputError
from core.review.changes import Change, applied, difference, dump_change, inverse, load_change
from core.review.edits import undecided
from core.review.nodes import UNREVIEWED, Nodes, dump_node, load_nodes
from core.storage.database import storage_errors, writing
from core.storage.review_tables import ReviewRow, RevisionRow
from core.storage.tables import utc_now

UNDO, REDO = "undo", "redo"


@dataclass(frozen=True, slots=True)
class Step:
    """One step to write: on which document, what it is called ("accept", "retype" …), and by whom.

    `version` is the one that the writer has seen; 0 when nobody had touched the document. Steps of one action over
    many documents share a `batch`.
    """

    run_id: int
    document_id: int
    version: int
    action: str
    author: str
    batch: str = ""


@dataclass(frozen=True, slots=True)
class _Piles:
    """The steps to be turned round next, and those below them."""

    undo: int | None = None
    undo_below: int | None = None
    redo: int | None = None
    redo_below: int | None = None


def save_step(engine: Engine, step: Step, *, before: Nodes, after: Nodes, states: tuple[str, str]) -> int:
    """Write the step from `before` to `after`; returns the new version, the old one when nothing changes.

    `states`: of the document, before and after. Raises ConflictError, with nothing written, when the stored version
    is another than the step's.
    """
    change = difference(before, after, states=states)
    if not change.nodes and states[0] == states[1]:
        return step.version
    with _transaction(engine) as session:
        if step.version == 0:
            _begin(session, step, before)
        piles = _Piles(undo=step.version + 1, undo_below=_top(session, step).undo)
        return _write(session, step, change, after, piles)


def undo_step(engine: Engine, step: Step) -> int:
    """Turn the newest step round that is not turned round yet; returns the new version.

    The step and its undoing both stay in the history. Raises ConflictError as `save_step` does and InputError when
    there is nothing to undo.
    """
    with _transaction(engine) as session:
        top = _top(session, step)
        if top.undo is None:
            raise InputError("没有可以撤销的步骤。")
        turned = session.get_one(RevisionRow, (step.run_id, step.document_id, top.undo))
        piles = _Piles(undo=turned.undo_below, redo=step.version + 1, redo_below=top.redo)
        return _turn(session, step, turned, piles)


def redo_step(engine: Engine, step: Step) -> int:
    """Turn the newest undoing round; returns the new version. Raises as `undo_step` does."""
    with _transaction(engine) as session:
        top = _top(session, step)
        if top.redo is None:
            raise InputError("没有可以重做的步骤。")
        turned = session.get_one(RevisionRow, (step.run_id, step.document_id, top.redo))
        piles = _Piles(undo=step.version + 1, undo_below=top.undo, redo=turned.redo_below)
        return _turn(session, step, turned, piles)


@contextmanager
def _transaction(engine: Engine) -> Iterator[Session]:
    with storage_errors(engine), Session(writing(engine)) as session, session.begin():
        yield session


def _begin(session: Session, step: Step, nodes: Nodes) -> None:
    """The row of a document that nobody has touched."""
    if session.get(ReviewRow, (step.run_id, step.document_id)) is not None:
        raise _conflict(session, step)
    session.add(
        ReviewRow(
            run_id=step.run_id,
            document_id=step.document_id,
            state=UNREVIEWED,
            version=0,
            nodes=[dump_node(node) for node in nodes],
            open=undecided(nodes),
            author=step.author,
        )
    )
    try:
        session.flush()
    except IntegrityError as error:
        raise ConflictError("这篇文档刚被别人改动，或者运行已被删除；您的这一步没有保存。请刷新后重试。") from error


def _top(session: Session, step: Step) -> _Piles:
    """The piles of the version that the writer has seen."""
    top = session.get(RevisionRow, (step.run_id, step.document_id, step.version))
    return _Piles() if top is None else _Piles(top.undo, top.undo_below, top.redo, top.redo_below)


def _turn(session: Session, step: Step, turned: RevisionRow, piles: _Piles) -> int:
    stored = session.scalars(
        select(ReviewRow.nodes).where(
            ReviewRow.run_id == step.run_id,
            ReviewRow.document_id == step.document_id,
            ReviewRow.version == step.version,
        )
    ).first()
    if stored is None:
        raise _conflict(session, step)
    change = inverse(load_change(turned.change))
    return _write(session, step, change, applied(load_nodes(stored), change), piles)


def _write(session: Session, step: Step, change: Change, nodes: Nodes, piles: _Piles) -> int:
    number = step.version + 1
    now = utc_now()
    written = session.execute(
        update(ReviewRow)
        .where(
            ReviewRow.run_id == step.run_id,
            ReviewRow.document_id == step.document_id,
            ReviewRow.version == step.version,
        )
        .values(
            version=number,
            state=change.state[1],
            nodes=[dump_node(node) for node in nodes],
            open=undecided(nodes),
            author=step.author,
            updated_at=now,
        )
    )
    if written.rowcount != 1:  # type: ignore[attr-defined]
        raise _conflict(session, step)
    session.execute(
        insert(RevisionRow).values(
            run_id=step.run_id,
            document_id=step.document_id,
            number=number,
            action=step.action,
            change=dump_change(change),
            undo=piles.undo,
            undo_below=piles.undo_below,
            redo=piles.redo,
            redo_below=piles.redo_below,
            batch=step.batch,
            author=step.author,
            created_at=now,
        )
    )
    return number


def _conflict(session: Session, step: Step) -> ConflictError:
    row = session.execute(
        select(ReviewRow.author, ReviewRow.version).where(
            ReviewRow.run_id == step.run_id, ReviewRow.document_id == step.document_id
        )
    ).first()
    if row is None:
        return ConflictError("这篇文档或它的运行已被删除；您的这一步没有保存。请刷新队列。")
    return ConflictError(
        f"“{row.author}”刚刚改动了这篇文档（现为第 {row.version} 版，您看到的是第 {step.version} 版）；"
        "您的这一步没有保存。请看两个版本，再决定用哪一个。"
    )
