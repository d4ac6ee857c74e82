"""Which stored documents a search means: pieces of text of any length, and values of metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    and_,
    column,
    func,
    literal_column,
    or_,
    select,
    table,
    union_all,
)
from sqlalchemy.orm import aliased

from core.storage.database import storage_errors
from core.storage.search_index import GRAMS, INDEX, indexed_to
from core.storage.tables import DocumentMetadataRow, DocumentRow
from core.storage.visibility import mine

GRAM = 3
# One character stands in most texts: reading them is as quick as the index.
SHORTEST = 2
LAST_CHARACTER = "\U0010ffff"
# Trigrams asked of the index for one word: more would hardly leave fewer documents to look at.
_MOST_GRAMS = 16
KEYS = 200
VALUES = 500


@dataclass(frozen=True, slots=True)
class Search:
    """Documents whose text, name or id holds every word of `words` (parted by blanks), with these values of metadata.

    Latin letters match in both cases; every other character, "%" and quotes included, means itself. With `pairs` only
    those that have a second text.
    """

    words: str = ""
    metadata: Mapping[str, Sequence[str]] = field(default_factory=dict)
    pairs: bool = False


def conditions(connection: Connection, search: Search) -> list[ColumnElement[bool]]:
    """What a query over documents must ask for; those that may not be seen are never found."""
    words = search.words.split()
    to = indexed_to(connection) if any(len(word) >= SHORTEST for word in words) else None
    found = [*mine(connection, DocumentRow), *(_word(connection, word, to) for word in words)]
    if search.pairs:
        found += [DocumentRow.text_pair.is_not(None), DocumentRow.text_pair != ""]
    for key, values in search.metadata.items():
        if values:
            found.append(DocumentRow.id.in_(select(DocumentMetadataRow.document_id).where(_has(key, values))))
    return found


def count_by_metadata(connection: Connection, search: Search) -> Select[int]:
    """The number of documents for a search with one key and no words: the index of metadata answers alone."""
    ((key, values),) = search.metadata.items()
    if not values:
        return select(func.count()).select_from(DocumentRow).where(*mine(connection, DocumentRow))
    return select(func.count()).select_from(DocumentMetadataRow).where(_has(key, values), *_of_mine(connection))


def _of_mine(bind: Engine | Connection) -> list[ColumnElement[bool]]:
    """What a query over metadata must ask for, to be of documents that may be seen."""
    asked = mine(bind, DocumentRow)
    return [DocumentMetadataRow.document_id.in_(select(DocumentRow.id).where(*asked))] if asked else []


def _has(key: str, values: Sequence[str]) -> ColumnElement[bool]:
    return and_(DocumentMetadataRow.key == key, DocumentMetadataRow.value.in_(list(values)))


def _word(connection: Connection, word: str, indexed: int | None) -> ColumnElement[bool]:
    """One word: by the index where there is one, and by reading the texts that it has not reached."""
    if indexed is None or len(word) < SHORTEST:
        return _held(connection, DocumentRow, word)
    if len(word) < GRAM:
        # every trigram that begins with it
        grams = table(GRAMS, column("term"), column("doc"))
        known = select(grams.c.doc).where(grams.c.term >= word.lower(), grams.c.term <= word.lower() + LAST_CHARACTER)
    else:
        index = table(INDEX, column("rowid"))
        known = select(index.c.rowid).where(literal_column(INDEX).op("MATCH")(_asked(word)))
    late = aliased(DocumentRow)
    waiting = select(late.id).where(late.id > indexed, _held(connection, late, word))
    found = DocumentRow.id.in_(union_all(known, waiting))
    # the index says which trigrams a text holds, not that they stand in a row
    return found if len(word) <= GRAM else and_(found, _held(connection, DocumentRow, word))


def _asked(word: str) -> str:
    """All of some of its trigrams, as FTS5 wants to be asked."""
    grams = [word[start : start + GRAM] for start in range(len(word) - GRAM + 1)]
    step = -(-len(grams) // _MOST_GRAMS)
    return " AND ".join('"' + gram.replace('"', '""') + '"' for gram in dict.fromkeys((*grams[::step], grams[-1])))


def _held(connection: Connection, row: type[DocumentRow], word: str) -> ColumnElement[bool]:
    """Whether one of the columns holds the word; autoescape: "%" and "_" in it mean themselves."""
    columns = (row.text, row.name, row.external_id)
    if connection.dialect.name == "sqlite":
        # its LIKE ignores the case of Latin letters
        return or_(*(one.contains(word, autoescape=True) for one in columns))
    return or_(*(one.icontains(word, autoescape=True) for one in columns))


def metadata_keys(engine: Engine) -> dict[str, int]:
    """The keys of metadata that documents have, the most frequent first, with the number of documents; at most 200."""
    count = func.count()
    row = DocumentMetadataRow
    query = (
        select(row.key, count).where(*_of_mine(engine)).group_by(row.key).order_by(count.desc(), row.key).limit(KEYS)
    )
    with storage_errors(engine), engine.connect() as connection:
        return {key: number for key, number in connection.execute(query)}


def metadata_values(engine: Engine, key: str) -> dict[str, int]:
    """The values of one key, the most frequent first, with the number of documents; at most 500."""
    count = func.count()
    row = DocumentMetadataRow
    asked = (row.key == key, *_of_mine(engine))
    query = select(row.value, count).where(*asked).group_by(row.value).order_by(count.desc(), row.value)
    with storage_errors(engine), engine.connect() as connection:
        return {value: number for value, number in connection.execute(query.limit(VALUES))}
