"""The full-text index of SQLite over documents: made by a migration, filled behind the imports, kept by triggers.

A trigram index finds any piece of three or more characters, which is what Chinese needs: it has no spaces to cut at.
Filling it takes longer than storing the texts, so it follows later (`catch_up`); a document is indexed when its id is
not above the highest one in the index. Elsewhere (PostgreSQL, an SQLite without FTS5) there is no such index.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from core.storage.database import storage_errors, writing

INDEX = "documents_fts"
# Kept by FTS5 itself: one row for each indexed document.
INDEXED = f"{INDEX}_docsize"
# Every trigram with the documents that hold it.
GRAMS = f"{INDEX}_grams"
# Documents indexed in one transaction: other writers wait no longer than for this.
BATCH = 1000
# Characters indexed in one transaction, about a second's work.
BATCH_CHARACTERS = 2_000_000
# Bytes of new entries that are sorted in memory before they go to the disk; a larger heap halves the time.
_HEAP_BYTES = 64 * 2**20

# Two characters behind every text, so that each of its characters begins a trigram.
_PAD = "char(1, 1)"
_COLUMNS = ("text", "name", "external_id")
_NAMES = ", ".join(_COLUMNS)


def _padded(row: str) -> str:
    return ", ".join(f"{row}.{name} || {_PAD}" for name in _COLUMNS)


_DELETE = f"INSERT INTO {INDEX} ({INDEX}, rowid, {_NAMES}) VALUES ('delete', old.id, {_padded('old')});"
_IS_INDEXED = f"EXISTS (SELECT 1 FROM {INDEXED} WHERE id = old.id)"
# detail=none: which document holds a trigram, not where; a search checks longer words in the text itself.
_CREATE = (
    f"CREATE VIRTUAL TABLE {INDEX} USING fts5({_NAMES}, content='documents', content_rowid='id', "
    "tokenize='trigram', detail=none)",
    f"INSERT INTO {INDEX} ({INDEX}, rank) VALUES ('hashsize', {_HEAP_BYTES})",
    f"CREATE VIRTUAL TABLE {GRAMS} USING fts5vocab({INDEX}, instance)",
    f"CREATE TRIGGER {INDEX}_delete AFTER DELETE ON documents WHEN {_IS_INDEXED} BEGIN {_DELETE} END",
    f"CREATE TRIGGER {INDEX}_update AFTER UPDATE OF {_NAMES} ON documents WHEN {_IS_INDEXED} BEGIN {_DELETE} "
    f"INSERT INTO {INDEX} (rowid, {_NAMES}) VALUES (new.id, {_padded('new')}); END",
)


def create_index(connection: Connection) -> None:
    """Make the empty index with its triggers; nothing on a database that has no such thing."""
    if connection.dialect.name != "sqlite":
        return
    for statement in _CREATE:
        try:
            with connection.begin_nested():
                connection.execute(text(statement))
        except OperationalError:
            if statement is not _CREATE[0]:
                raise
            return  # this SQLite was built without FTS5 or is older than its trigrams: searches read the texts


def drop_index(connection: Connection) -> None:
    """Remove the index and its triggers where they are."""
    if connection.dialect.name == "sqlite":
        for statement in (f"TRIGGER IF EXISTS {INDEX}_update", f"TRIGGER IF EXISTS {INDEX}_delete"):
            connection.execute(text(f"DROP {statement}"))
        for table in (GRAMS, INDEX):
            connection.execute(text(f"DROP TABLE IF EXISTS {table}"))


def indexed_to(connection: Connection) -> int | None:
    """The highest document id in the index, 0 when it is empty; None when there is no index."""
    if connection.dialect.name != "sqlite":
        return None
    if connection.scalar(text("SELECT 1 FROM sqlite_master WHERE name = :name"), {"name": INDEX}) is None:
        return None
    return connection.scalar(text(f"SELECT max(id) FROM {INDEXED}")) or 0


def pending(engine: Engine) -> int:
    """How many documents wait to be indexed; 0 where there is no index."""
    with storage_errors(engine), engine.connect() as connection:
        last = indexed_to(connection)
        if last is None:
            return 0
        return int(connection.scalar(text("SELECT count(*) FROM documents WHERE id > :last"), {"last": last}) or 0)


def catch_up(engine: Engine, *, cancelled: Callable[[], bool] = lambda: False) -> int:
    """Index what is not indexed yet, batch by batch, each in a transaction of its own; returns the number."""
    done = 0
    while not cancelled():
        with storage_errors(engine), writing(engine).begin() as connection:
            last = indexed_to(connection)
            if last is None:
                return done
            sizes = connection.execute(
                text("SELECT id, length(text) FROM documents WHERE id > :last ORDER BY id LIMIT :batch"),
                {"last": last, "batch": BATCH},
            ).all()
            if not sizes:
                return done
            to, count, characters = last, 0, 0
            for row_id, size in sizes:
                to, count, characters = row_id, count + 1, characters + size
                if characters >= BATCH_CHARACTERS:
                    break
            connection.execute(
                text(
                    f"INSERT INTO {INDEX} (rowid, {_NAMES}) SELECT id, {_padded('documents')} FROM documents "
                    "WHERE id > :last AND id <= :to ORDER BY id"
                ),
                {"last": last, "to": to},
            )
            done += count
    return done
