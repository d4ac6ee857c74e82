"""The audit log: what was done, written and read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, Select, delete, func, insert, select

from core.access.principal import LOCAL, Principal, bound
from core.storage.access_tables import AuditRow
from core.storage.database import storage_errors, writing
from core.storage.tables import utc_now

DONE, DENIED, FAILED = "done", "denied", "failed"
OUTCOMES = (DONE, DENIED, FAILED)
BATCH = 1_000
_OBJECT = 255


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who (`user_name`, from `address`) did what (`action`) to which `object`, and whether it was let through."""

    id: int
    at: datetime
    user_id: int
    user_name: str
    address: str
    action: str
    object: str
    outcome: str


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are meant; empty values mean all. `action`: this one, or all that begin with it and a dot."""

    user_name: str = ""
    action: str = ""
    outcome: str = ""
    since: datetime | None = None


def record(engine: Engine, who: Principal, action: str, about: str, outcome: str = DONE) -> None:
    """Add an entry. Also what a viewer tried is written, so the machine's own user writes."""
    values = {
        "at": utc_now(),
        "user_id": who.user_id,
        "user_name": who.name[:64],
        "address": who.address[:64],
        "action": action,
        "object": about[:_OBJECT],
        "outcome": outcome,
    }
    with storage_errors(engine), writing(bound(engine, LOCAL)).begin() as connection:
        connection.execute(insert(AuditRow).values(**values))


def entries(engine: Engine, chosen: AuditFilter | None = None, *, limit: int = 50, offset: int = 0) -> list[AuditEntry]:
    """Entries, newest first."""
    query = _chosen(select(AuditRow.__table__), chosen or AuditFilter()).order_by(AuditRow.id.desc())
    with storage_errors(engine), engine.connect() as connection:
        return [AuditEntry(**row._mapping) for row in connection.execute(query.limit(limit).offset(offset))]


def count_entries(engine: Engine, chosen: AuditFilter | None = None) -> int:
    """How many entries there are."""
    query = _chosen(select(func.count()).select_from(AuditRow), chosen or AuditFilter())
    with storage_errors(engine), engine.connect() as connection:
        return int(connection.scalar(query) or 0)


def iter_entries(engine: Engine, chosen: AuditFilter) -> Iterator[AuditEntry]:
    """Every entry, oldest first, some in memory at a time."""
    query = _chosen(select(AuditRow.__table__), chosen).order_by(AuditRow.id).limit(BATCH)
    last = 0
    while True:
        with storage_errors(engine), engine.connect() as connection:
            found = [AuditEntry(**row._mapping) for row in connection.execute(query.where(AuditRow.id > last))]
        if not found:
            return
        yield from found
        last = found[-1].id


def prune(engine: Engine, before: datetime) -> int:
    """Remove the entries before a moment; returns their number."""
    with storage_errors(engine), writing(engine).begin() as connection:
        return connection.execute(delete(AuditRow).where(AuditRow.at < before)).rowcount


def _chosen(query: Select, chosen: AuditFilter) -> Select:
    if chosen.user_name:
        query = query.where(AuditRow.user_name == chosen.user_name)
    if chosen.action:
        begins = AuditRow.action.startswith(f"{chosen.action}.", autoescape=True)
        query = query.where((AuditRow.action == chosen.action) | begins)
    if chosen.outcome:
        query = query.where(AuditRow.outcome == chosen.outcome)
    if chosen.since is not None:
        query = query.where(AuditRow.at >= chosen.since)
    return query
