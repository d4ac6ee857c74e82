"""Which stored documents a search means: pieces of text of any length, and values of metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, Engine, and_, func, literal_column, or_, select, text

from core.storage.database import storage_errors
from core.storage.search_index import INDEX, indexed_to
from core.storage.tables import DocumentMetadataRow, DocumentRow

GRAM = 3
# Trigrams asked of the index for one word: more would hardly leave fewer documents to look at.
_MOST_GRAMS = 16
KEYS = 200
VALUES = 500


@dataclass(frozen=True, slots=True)
class Search:
    """Documents whose text, name or id holds every word of `words` (parted by blanks), with these values of metadata.

    Latin letters match in both cases; every other character, "%" and quotes included, means itself.
    """

    words: str = ""
    metadata: Mapping[str, Sequence[str]] = field(default_factory=dict)


def conditions(connection: Connection, search: Search) -> list[ColumnElement[bool]]:
    """What a query over documents must ask for."""
    words = search.words.split()
    to = indexed_to(connection) if any(len(word) >= GRAM for word in words) else None
    found = [_word(connection, word, to) for word in words]
    for key, values in search.metadata.items():
        if values:
            row = DocumentMetadataRow
            chosen = and_(row.key == key, row.value.in_(list(values)))
            found.append(DocumentRow.id.in_(select(row.document_id).where(chosen)))
    return found


def _word(connection: Connection, word: str, indexed: int | None) -> ColumnElement[bool]:
    held = _held(connection, word)
    if indexed is None or len(word) < GRAM:
        return held
    grams = [word[start : start + GRAM] for start in range(len(word) - GRAM + 1)]
    step = -(-len(grams) // _MOST_GRAMS)
    asked = " AND ".join('"' + gram.replace('"', '""') + '"' for gram in dict.fromkeys((*grams[::step], grams[-1])))
    match = text(f"SELECT rowid FROM {INDEX} WHERE {INDEX} MATCH :asked").bindparams(asked=asked)
    candidates = literal_column("documents.id").in_(match.columns(literal_column("rowid")).scalar_subquery())
    return and_(or_(candidates, DocumentRow.id > indexed), held)


def _held(connection: Connection, word: str) -> ColumnElement[bool]:
    """Whether one of the columns holds the word; autoescape: "%" and "_" in it mean themselves."""
    columns = (DocumentRow.text, DocumentRow.name, DocumentRow.external_id)
    if connection.dialect.name == "sqlite":
        # its LIKE ignores the case of Latin letters
        return or_(*(column.contains(word, autoescape=True) for column in columns))
    return or_(*(column.icontains(word, autoescape=True) for column in columns))


def metadata_keys(engine: Engine) -> dict[str, int]:
    """The keys of metadata that documents have, the most frequent first, with the number of documents; at most 200."""
    count = func.count()
    row = DocumentMetadataRow
    query = select(row.key, count).group_by(row.key).order_by(count.desc(), row.key).limit(KEYS)
    with storage_errors(engine), engine.connect() as connection:
        return {key: number for key, number in connection.execute(query)}


def metadata_values(engine: Engine, key: str) -> dict[str, int]:
    """The values of one key, the most frequent first, with the number of documents; at most 500."""
    count = func.count()
    row = DocumentMetadataRow
    query = select(row.value, count).where(row.key == key).group_by(row.value).order_by(count.desc(), row.value)
    with storage_errors(engine), engine.connect() as connection:
        return {value: number for value, number in connection.execute(query.limit(VALUES))}
