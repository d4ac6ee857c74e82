"""Columns of tokens and tags (BIO, IOB1, BIOES, BMES, BILOU) -> documents with entities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from core.readers.annotated.build import finish, make_document
from core.readers.annotated.graph import Mark
from core.readers.annotated.ledger import Ledger
from core.readers.encoding import find_encoding, open_text
from core.readers.source import Source
from core.types import AnnotatedDocument

DOCUMENT_START = "-DOCSTART-"
BLANK = "\u2423"
_BEGIN, _INSIDE, _LAST, _SINGLE = frozenset("B"), frozenset("IM"), frozenset("EL"), frozenset("SUW")
Token = tuple[str, str]


def read(source: Source, *, encoding: str | None, ledger: Ledger) -> Iterator[AnnotatedDocument]:
    """One document for each part between `-DOCSTART-` lines, or for each sentence where there are none.

    Text is what the tokens make: joined directly, with a blank between words of Latin letters.
    """
    found = find_encoding(source.chunks, encoding=encoding)
    ledger.account.encoding = found.encoding
    ledger.account.notes += [found.note] if found.note else []
    started = False
    waiting: list[list[Token]] = []
    number = 0
    with open_text(source, found) as lines:
        for sentence in _sentences(lines, ledger):
            if sentence is None or not started:
                if waiting:
                    number += 1
                    yield _document(waiting, f"{source.stem}-{number}", number, ledger)
                    waiting = []
                started = started or sentence is None
            if sentence is not None:
                waiting.append(sentence)
        if waiting:
            yield _document(waiting, f"{source.stem}-{number + 1}", number + 1, ledger)


def _sentences(lines: Iterable[str], ledger: Ledger) -> Iterator[list[Token] | None]:
    """The sentences, and None for the start of a document."""
    sentence: list[Token] = []
    for number, line in enumerate(lines, start=1):
        line = line.rstrip("\n")
        begins = line.startswith(DOCUMENT_START)
        if line.strip() and not begins:
            columns = line.split("\t") if "\t" in line else line.split()
            if len(columns) < 2 or not columns[0]:
                ledger.problem(f"第 {number} 行", "应为“字符<制表符>标签”，已按 O 读取。")
                columns = [columns[0] or " ", "O"]
            sentence.append((columns[0].replace(BLANK, " "), columns[-1].strip()))
            continue
        if sentence:
            yield sentence
            sentence = []
        if begins:
            yield None
    if sentence:
        yield sentence


def _document(sentences: list[list[Token]], identity: str, number: int, ledger: Ledger) -> AnnotatedDocument:
    text = ""
    marks: dict[object, Mark] = {}
    for sentence in sentences:
        by_character = all(len(token) == 1 for token, _ in sentence)
        bounds: list[tuple[int, int]] = []
        for place, (token, _) in enumerate(sentence):
            gap = _gap(text, token) if place == 0 or not by_character else ""
            start = len(text) + len(gap)
            text += gap + token
            bounds.append((start, len(text)))
        for start, end, label in entities([tag for _, tag in sentence], place=f"第 {number} 个文档", ledger=ledger):
            first, last = bounds[start][0], bounds[end - 1][1]
            marks[len(marks)] = Mark(first, last, text[first:last], label)
    return finish(make_document({"text": text}, {}, default_id=identity), dict(marks), [])


def _gap(text: str, token: str) -> str:
    """A blank between two words of Latin letters or digits, nothing beside Chinese or punctuation."""
    joined = text[-1:].isascii() and text[-1:].isalnum() and token[:1].isascii() and token[:1].isalnum()
    return " " if joined else ""


def entities(tags: list[str], *, place: str, ledger: Ledger) -> list[tuple[int, int, str]]:
    """(first token, token after the last, label) of every entity that the tags spell."""
    found: list[tuple[int, int, str]] = []
    start, label = 0, ""

    def close(end: int) -> None:
        nonlocal label
        if label:
            found.append((start, end, label))
        label = ""

    for number, tag in enumerate(tags):
        head, dash, name = tag.partition("-")
        if tag in ("O", "o", ""):
            close(number)
            continue
        if not dash or not name or len(head) != 1 or head not in _BEGIN | _INSIDE | _LAST | _SINGLE:
            ledger.problem(place, f"不认识标签“{tag[:40]}”，已按 O 读取。")
            close(number)
            continue
        if head in _BEGIN | _SINGLE or name != label:
            close(number)
            start, label = number, name
        if head in _LAST | _SINGLE:
            close(number + 1)
    close(len(tags))
    return found
