"""The first documents of a file as an import would make them, without reading all of a large one."""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import islice

from core.errors import FormatError
from core.readers.files import read_documents
from core.readers.options import ReadOptions
from core.readers.report import Account
from core.readers.source import Source
from core.types import Document

# Of a larger text only the beginning is read.
HEAD_BYTES = 256 * 2**10
# Files that must be read whole are shown only up to this size.
WHOLE_BYTES = 8 * 2**20
TEXTUAL = ("txt", "md", "csv", "tsv", "jsonl")
_TRIES = 200


@dataclass(frozen=True, slots=True)
class Sample:
    """The first documents of a file, its encoding and columns, and what there is to say; `error` why there are none."""

    encoding: str = ""
    columns: tuple[str, ...] = ()
    documents: tuple[Document, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""


def sample(source: Source, options: ReadOptions, *, documents: int = 5) -> Sample:
    """What an import with these options would make of the beginning of a file; never raises for a bad file."""
    if source.extension in TEXTUAL:
        source = _beginning(source)
    elif source.size_bytes > WHOLE_BYTES:
        return Sample()
    account = Account()
    try:
        found = tuple(one for one, _ in islice(read_documents(source, options, account=account), documents))
    except FormatError as error:
        return Sample(account.encoding, account.columns, error=str(error))
    return Sample(account.encoding, account.columns, found, tuple(account.notes))


def _beginning(source: Source) -> Source:
    """The first lines, cut where no quoted cell is open."""
    if source.size_bytes <= HEAD_BYTES:
        return source
    head = source.head(HEAD_BYTES)
    cut = len(head)
    # UTF-16 has a zero byte in its line feed: it is cut at a whole character and no more is known
    if b"\x00" in head[:1000]:
        head = head[: cut - cut % 4]
    else:
        for _ in range(_TRIES):
            cut = head.rfind(b"\n", 0, cut)
            if cut < 0 or head.count(b'"', 0, cut) % 2 == 0:
                break
        head = head[: cut + 1] if cut > 0 else head
    return Source(source.name, len(head), lambda: io.BytesIO(head))
