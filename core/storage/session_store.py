"""Signed-in browsers, and failed sign-ins with the locks that follow them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from core.storage.access_tables import FailureRow, SessionRow
from core.storage.database import one_at_a_time, storage_errors, writing
from core.storage.tables import utc_now

# Sign-ins are counted one after the other.
ATTEMPTS = "sign-in attempts"


@dataclass(frozen=True, slots=True)
class Lock:
    """From how many failures on sign-ins are locked: for `first_s`, doubled by each further one, `longest_s` at most.

    Failures are forgotten `forgotten_s` after the last one.
    """

    failures: int
    first_s: int
    longest_s: int
    forgotten_s: int


def open_session(engine: Engine, user_id: int, token: str, *, address: str, expires_at: datetime) -> int:
    """Keep a session by the hash of its token, and drop those that have expired; returns its number."""
    with storage_errors(engine), Session(writing(engine)) as session, session.begin():
        session.execute(delete(SessionRow).where(SessionRow.expires_at <= utc_now()))
        row = SessionRow(user_id=user_id, token=token, address=address[:64], expires_at=expires_at)
        session.add(row)
        session.flush()
        return row.id


def find_session(engine: Engine, token: str) -> tuple[int, int] | None:
    """The number and the user of the session with the hash of a token; None when it is over."""
    query = select(SessionRow.id, SessionRow.user_id).where(
        SessionRow.token == token, SessionRow.expires_at > utc_now()
    )
    with storage_errors(engine), engine.connect() as connection:
        row = connection.execute(query).first()
    return None if row is None else (row.id, row.user_id)


def close_session(engine: Engine, session_id: int) -> None:
    """End one session."""
    with storage_errors(engine), writing(engine).begin() as connection:
        connection.execute(delete(SessionRow).where(SessionRow.id == session_id))


def close_sessions(engine: Engine, user_id: int, *, but: int | None = None) -> int:
    """End every session of a user, or all but one; returns their number."""
    ended = delete(SessionRow).where(SessionRow.user_id == user_id)
    if but is not None:
        ended = ended.where(SessionRow.id != but)
    with storage_errors(engine), writing(engine).begin() as connection:
        return connection.execute(ended).rowcount


def begin_attempt(engine: Engine, locks: Mapping[str, Lock]) -> datetime | None:
    """Count a sign-in as failed under every key, before the password is looked at; None when it may be looked at.

    Counted first, so that many attempts at once get no further than one after the other. When a key is locked nothing
    is counted, and the moment is returned until which it is.
    """
    now = utc_now()
    with storage_errors(engine), Session(writing(engine)) as session, session.begin():
        one_at_a_time(session, ATTEMPTS)
        rows = {key: session.get(FailureRow, key) for key in locks}
        locked = [row.locked_until for row in rows.values() if row and row.locked_until and row.locked_until > now]
        if locked:
            return max(locked)
        for key, lock in locks.items():
            row = rows[key]
            if row is None:
                session.add(row := FailureRow(key=key, failures=0, last_at=now))
            if row.last_at < now - timedelta(seconds=lock.forgotten_s):
                row.failures = 0
            row.failures, row.last_at = row.failures + 1, now
            over = row.failures - lock.failures
            wait_s = min(lock.first_s * 2 ** min(over, 20), lock.longest_s) if over >= 0 else 0
            row.locked_until = now + timedelta(seconds=wait_s) if wait_s else None
        session.execute(delete(FailureRow).where(FailureRow.last_at < now - timedelta(days=7)))
    return None


def end_attempt(engine: Engine, *, forget: Sequence[str], give_back: Sequence[str] = ()) -> None:
    """The attempt was right: forget the failures of some keys, and of others only this one."""
    with storage_errors(engine), Session(writing(engine)) as session, session.begin():
        one_at_a_time(session, ATTEMPTS)
        session.execute(delete(FailureRow).where(FailureRow.key.in_(forget)))
        for key in give_back:
            row = session.get(FailureRow, key)
            if row is not None:
                row.failures, row.locked_until = max(row.failures - 1, 0), None
