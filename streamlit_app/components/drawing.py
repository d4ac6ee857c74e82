"""How the findings of each task in one document are drawn: `draw(result, key=…)`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import streamlit as st

from core.types import AnnotatedDocument, Annotation, Span
from streamlit_app.components import cards
from streamlit_app.components.annotated_text import annotated_text
from streamlit_app.components.annotation_table import annotation_table, triple_table
from streamlit_app.components.charts import class_bars, polarity_bar
from streamlit_app.components.findings import class_paths, label_name, polarity, walk
from streamlit_app.components.relation_graph import relation_graph
from streamlit_app.i18n import t


def draw(result: AnnotatedDocument, *, key: str) -> None:
    """Text, picture and table of one result, in the form that suits its task."""
    _DRAWERS.get(result.task, _spans)(result, key)


def draw_finding(result: AnnotatedDocument, *, key: str) -> None:
    """Only what was found, without the text again where the finding can stand alone; for a report."""
    if result.task in ("sentiment", "classification", "multilabel", "hierarchy", "matching", "nli"):
        for path, score in class_paths(result.annotations):
            cards.class_path([label_name(name) for name in path], score)
    elif result.task == "ee":
        cards.event_cards(result.annotations)
    elif result.task in ("absa", "atsc"):
        cards.opinion_cards(result.annotations)
    elif result.task == "mrc":
        cards.answer_cards(dict.fromkeys(one.type for one in result.annotations), result.annotations)
    elif result.task == "re":
        relation_graph(result, key=f"{key}-graph")
        triple_table(result, key=f"{key}-triples")
    elif result.task == "coref":
        annotation_table([result], key=f"{key}-table")
    else:
        annotated_text(result.document.text, result.annotations)


def _spans(result: AnnotatedDocument, key: str) -> None:
    annotated_text(result.document.text, result.annotations)
    annotation_table([result], key=f"{key}-table")


def _relations(result: AnnotatedDocument, key: str) -> None:
    annotated_text(result.document.text, result.annotations)
    relation_graph(result, key=f"{key}-graph")
    triple_table(result, key=f"{key}-triples")


def _events(result: AnnotatedDocument, key: str) -> None:
    annotated_text(result.document.text, result.annotations)
    cards.event_cards(result.annotations)
    annotation_table([result], key=f"{key}-table")


def _opinions(result: AnnotatedDocument, key: str) -> None:
    found = Counter(which for node in walk(result.annotations) if (which := polarity(node.annotation.type)))
    annotated_text(result.document.text, result.annotations)
    if found:
        polarity_bar(found, key=f"{key}-polarity")
    cards.opinion_cards(result.annotations)
    annotation_table([result], key=f"{key}-table")


def _classes(result: AnnotatedDocument, key: str) -> None:
    for path, score in class_paths(result.annotations):
        cards.class_path([label_name(name) for name in path], score)
    if result.annotations:
        class_bars(result.annotations, key=f"{key}-bars")
    cards.quote(result.document.text)


def _pair(result: AnnotatedDocument, key: str) -> None:
    first, second = st.columns(2, gap="small")
    with first:
        st.caption(t("input.first"))
        cards.quote(result.document.text)
    with second:
        st.caption(t("input.second"))
        cards.quote(result.document.text_pair or "")
    cards.verdict(next(iter(result.annotations), None))
    if result.annotations:
        class_bars(result.annotations, key=f"{key}-bars")


def _coreference(result: AnnotatedDocument, key: str) -> None:
    def marks(name: str, spans: tuple[Span, ...]) -> list[Annotation]:
        return [Annotation(name, span.start, span.end, span.text, 1.0) for span in spans]

    document = result.document
    annotated_text(document.text, marks("候选词", document.candidates) + marks("代词", document.pronouns))
    annotation_table([result], key=f"{key}-table")


def _reading(result: AnnotatedDocument, key: str) -> None:
    # Questions without an answer leave no annotation; the page names them from the schema.
    cards.answer_cards(dict.fromkeys(one.type for one in result.annotations), result.annotations)
    annotated_text(result.document.text, [one for one in result.annotations if one.start is not None])


_DRAWERS: dict[str, Callable[[AnnotatedDocument, str], None]] = {
    "re": _relations,
    "ee": _events,
    "absa": _opinions,
    "atsc": _opinions,
    "coref": _coreference,
    "sentiment": _classes,
    "classification": _classes,
    "multilabel": _classes,
    "hierarchy": _classes,
    "matching": _pair,
    "nli": _pair,
    "mrc": _reading,
}
