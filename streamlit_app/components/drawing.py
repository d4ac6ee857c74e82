"""How the findings of each task in one document are drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import streamlit as st

from core.schemas.schema import Schema
from core.types import AnnotatedDocument, Annotation, Span
from core.views.findings import polarity, walk
from streamlit_app.components import cards
from streamlit_app.components.annotated_text import annotated_text
from streamlit_app.components.annotation_table import annotation_table, pronoun_table, triple_table
from streamlit_app.components.relation_graph import relation_graph
from streamlit_app.i18n import t


def draw(result: AnnotatedDocument, *, schema: Schema | None, key: str) -> None:
    """Text, picture and table of one result, in the form that suits its task; `schema` is what was asked."""
    if result.task in _PAIRS:
        _pair_texts(result)
    elif result.task == "coref":
        _marked_words(result)
    elif result.task in _CLASSES:
        cards.quote(result.document.text)
    else:
        # An option of a question of choice has no place in the text.
        annotated_text(result.document.text, result.annotations)
    draw_finding(result, schema=schema, key=key)
    if result.task not in (*_CLASSES, *_PAIRS, "re", "mrc", "coref"):
        annotation_table([result], key=f"{key}-table")


def draw_finding(result: AnnotatedDocument, *, schema: Schema | None, key: str) -> None:
    """Only the picture of what was found, as far as the task has one."""
    if drawer := _DRAWERS.get(result.task):
        drawer(result, schema, key)


def _pair_texts(result: AnnotatedDocument) -> None:
    first, second = st.columns(2, gap="small")
    with first:
        st.caption(t("input.first"))
        cards.quote(result.document.text)
    with second:
        st.caption(t("input.second"))
        cards.quote(result.document.text_pair or "")


def _marked_words(result: AnnotatedDocument) -> None:
    def marks(name: str, spans: tuple[Span, ...]) -> list[Annotation]:
        return [Annotation(name, span.start, span.end, span.text, 1.0) for span in spans]

    document = result.document
    annotated_text(document.text, marks("候选词", document.candidates) + marks("代词", document.pronouns))


def _relations(result: AnnotatedDocument, schema: Schema | None, key: str) -> None:
    relation_graph(result, key=f"{key}-graph")
    triple_table(result, key=f"{key}-triples")


def _pronouns(result: AnnotatedDocument, schema: Schema | None, key: str) -> None:
    pronoun_table(result, key=f"{key}-pairs")


def _events(result: AnnotatedDocument, schema: Schema | None, key: str) -> None:
    cards.event_cards(result.annotations)


def _opinions(result: AnnotatedDocument, schema: Schema | None, key: str) -> None:
    found = Counter(which for node in walk(result.annotations) if (which := polarity(node.annotation.type)))
    if found:
        cards.polarity_bar(found)
    cards.opinion_cards(result.annotations)


def _classes(result: AnnotatedDocument, schema: Schema | None, key: str) -> None:
    cards.class_bars(result.annotations, asked=_roots(schema))


def _reading(result: AnnotatedDocument, schema: Schema | None, key: str) -> None:
    cards.answer_cards(_roots(schema), result.annotations)


def _roots(schema: Schema | None) -> list[str]:
    return [one.name for one in schema.types] if schema is not None else []


_PAIRS = ("matching", "nli")
_CLASSES = ("sentiment", "classification", "multilabel", "hierarchy")
_DRAWERS: dict[str, Callable[[AnnotatedDocument, Schema | None, str], None]] = {
    "re": _relations,
    "ee": _events,
    "absa": _opinions,
    "atsc": _opinions,
    "coref": _pronouns,
    "mrc": _reading,
    **dict.fromkeys((*_PAIRS, *_CLASSES), _classes),
}
