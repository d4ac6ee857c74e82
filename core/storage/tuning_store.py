"""Fine-tuning jobs in the database. A change of state names the states, and where it matters the owner, before it.

Lists show those that who acts may see; whether one may be changed is asked above the services.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, Engine, Row, Select, Update, func, select, update
from sqlalchemy.orm import Session

from core.errors import StorageError
from core.storage.database import one_at_a_time, storage_errors, writing
from core.storage.tables import utc_now
from core.storage.tuning_tables import TuningRow
from core.storage.visibility import mine, owner_values

COLUMNS = [one for one in TuningRow.__table__.columns if one.name not in ("user_id", "project_id")]


@dataclass(frozen=True, slots=True)
class Tuning:
    """A fine-tuning as it stands.

    options: epochs, patience, lr, tokens, device. data: runs, documents, held_back, records, trained (hashes of texts).
    progress: phase, epoch, epochs, share, steps, tokens, tokens_per_s, seconds, left_s. history: points with step,
    seconds, tokens, epoch, loss, and at the end of a pass held_back_loss and held_back_f1. scores: before, after (rows
    of task, rows, precision, recall, f1), epoch, steps, seconds.
    """

    id: int
    name: str
    source: str
    folder: str
    options: Mapping[str, Any]
    data: Mapping[str, Any]
    progress: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    scores: Mapping[str, Any]
    state: str
    error: str
    attempts: int
    owner: str
    heartbeat_at: datetime | None
    created_at: datetime
    finished_at: datetime | None


def create(
    engine: Engine, *, name: str, source: str, options: Mapping[str, Any], data: Mapping[str, Any], folder: str
) -> int | None:
    """Note a fine-tuning that is about to begin; returns its number, None while another one runs."""
    with storage_errors(engine), Session(writing(engine)) as session, session.begin():
        one_at_a_time(session, "fine-tuning")
        if session.scalar(select(func.count()).where(TuningRow.state == "running")):
            return None
        row = TuningRow(
            name=name,
            source=source,
            folder=folder,
            options=dict(options),
            data=dict(data),
            progress={},
            history=[],
            scores={},
            state="running",
            **owner_values(engine),
        )
        session.add(row)
        session.flush()
        return row.id


def get(engine: Engine, tuning_id: int) -> Tuning:
    """One of them. Raises StorageError when there is none of that number."""
    found = _read(engine, select(*COLUMNS).where(TuningRow.id == tuning_id, *mine(engine, TuningRow)))
    if not found:
        raise StorageError(f"没有编号为 {tuning_id} 的微调，它可能已被删除。请刷新列表。")
    return found[0]


def newest(engine: Engine, *, limit: int = 20) -> list[Tuning]:
    """The last ones, newest first."""
    query = select(*COLUMNS).where(*mine(engine, TuningRow))
    return _read(engine, query.order_by(TuningRow.id.desc()).limit(limit))


def running(engine: Engine) -> list[Tuning]:
    """Those that run or that a process has left, whosever they are: there is room for one on the machine."""
    return _read(engine, select(*COLUMNS).where(TuningRow.state == "running").order_by(TuningRow.id))


def take(engine: Engine, tuning_id: int, owner: str, *, before: str) -> bool:
    """Begin to work on one that `before` held, or nobody (""); False when somebody else was quicker."""
    mine = (TuningRow.id == tuning_id) & (TuningRow.state == "running") & (TuningRow.owner == before)
    return _changed(
        engine,
        update(TuningRow).where(mine).values(owner=owner, heartbeat_at=utc_now(), attempts=TuningRow.attempts + 1),
    )


def tell(engine: Engine, tuning_id: int, owner: str, **values: Any) -> bool:
    """Keep progress, history or scores and say that the owner lives; False when it was cancelled or taken away."""
    return _changed(engine, _held(tuning_id, owner).values(heartbeat_at=utc_now(), **values))


def end(engine: Engine, tuning_id: int, owner: str, state: str, **values: Any) -> bool:
    """Close a held one as done or failed."""
    return _changed(engine, _held(tuning_id, owner).values(state=state, owner="", finished_at=utc_now(), **values))


def move(engine: Engine, tuning_id: int, states: Sequence[str], state: str, **values: Any) -> bool:
    """Change the state of one that is in one of `states`, whoever works on it; False when it is in another."""
    moved = update(TuningRow).where(TuningRow.id == tuning_id, TuningRow.state.in_(states))
    return _changed(engine, moved.values(state=state, owner="", **values))


def _held(tuning_id: int, owner: str) -> Update:
    return update(TuningRow).where(TuningRow.id == tuning_id, TuningRow.owner == owner, TuningRow.state == "running")


def _read(engine: Engine, query: Select[*tuple[Any, ...]]) -> list[Tuning]:
    with storage_errors(engine), engine.connect() as connection:
        return [_tuning(row) for row in connection.execute(query)]


def _tuning(row: Row[*tuple[Any, ...]]) -> Tuning:
    return Tuning(**row._asdict())


def _changed(engine: Engine, statement: Update) -> bool:
    with storage_errors(engine), writing(engine).begin() as connection:
        result = connection.execute(statement)
        assert isinstance(result, CursorResult)
        return bool(result.rowcount)
