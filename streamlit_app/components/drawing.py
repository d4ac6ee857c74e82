"""How the findings of each task in one document are drawn."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.schemas.schema import Schema
from core.types import AnnotatedDocument, Annotation, Span
from core.views.cards import answer_marks, question_names, question_order
from core.views.chains import chain_marks, chain_names, chains_of
from streamlit_app.components import cards
from streamlit_app.components.annotated_text import annotated_text
from streamlit_app.components.annotation_table import annotation_table, pronoun_table, triple_table
from streamlit_app.components.charts import schema_sunburst
from streamlit_app.components.relation_arcs import relation_arcs
from streamlit_app.components.relation_graph import event_graph, relation_graph
from streamlit_app.i18n import t

Drawer = Callable[[AnnotatedDocument, Schema | None, str], None]


def draw(result: AnnotatedDocument, *, schema: Schema | None, key: str) -> None:
    """Text, picture and table of one result, in the form that suits its task; `schema` is what was asked."""
    draw_text(result, schema=schema, key=key)
    draw_finding(result, schema=schema, key=key)
    if result.annotations and result.task not in (*_CLASSES, *_PAIRS, "re", "mrc", "coref"):
        annotation_table([result], key=f"{key}-table")


def draw_text(result: AnnotatedDocument, *, schema: Schema | None, key: str) -> None:
    """The text, or both texts, with what was found in it."""
    drawer = _TEXTS.get(result.task)
    if drawer is not None:
        drawer(result, schema, key)
    else:
        annotated_text(result.document.text, result.annotations, key=key, types=_roots(schema))


def draw_finding(result: AnnotatedDocument, *, schema: Schema | None, key: str) -> None:
    """Only the picture of what was found, as far as the task has one."""
    if drawer := _DRAWERS.get(result.task):
        drawer(result, schema, key)


def _whole(result: AnnotatedDocument, schema: Schema | None, key: str) -> None:
    cards.quote(result.document.text)


def _pair_texts(result: AnnotatedDocument, schema: Schema | None, key: str) -> None:
    first, second = st.columns(2, gap="small")
    with first:
        st.caption(t("input.first"))
        cards.quote(result.document.text)
    with second:
        st.caption(t("input.second"))
        cards.quote(result.document.text_pair or "")


def _arcs_or_text(default: str) -> Drawer:
    def drawer(result: AnnotatedDocument, schema: Schema | None, key: str) -> None:
        views = {view: t(f"view.as.{view}") for view in ("arcs", "text")}
        view = st.segmented_control(
            t("view.as"),
            list(views),
            format_func=views.__getitem__,
            default=default,
            required=True,
            key=f"{key}-as",
            label_visibility="collapsed",
        )
        if view == "arcs":
            relation_arcs(result, key=key)
        else:
            annotated_text(result.document.text, result.annotations, key=key)

    return drawer


def _chains(result: AnnotatedDocument, schema: Schema | None, key: str) -> None:
    """The words that stand for the same in one colour; before anything was found, the words that were compared."""
    document = result.document
    chains, lone = chains_of(result.annotations)
    marks = chain_marks(chains, lone, none=t("card.no_chain"))
    if not marks:

        def compared(name: str, spans: tuple[Span, ...]) -> list[Annotation]:
            return [Annotation(name, span.start, span.end, span.text, 1.0) for span in spans]

        marks = compared(t("coref.candidate"), document.candidates) + compared(t("coref.pronoun"), document.pronouns)
    names = [*chain_names(chains), t("card.no_chain")]
    annotated_text(document.text, marks, key=key, types=names, choose=False)
    cards.chain_cards(chains, lone)


def _pronouns(result: AnnotatedDocument, schema: Schema | None, key: str) -> None:
    pronoun_table(result, key=f"{key}-pairs")


def _answers(result: AnnotatedDocument, schema: Schema | None, key: str) -> None:
    questions = question_order(_roots(schema), result.annotations)
    # An option of a question of choice has no place in the text.
    marks = answer_marks(questions, result.annotations, t)
    names = question_names(len(questions), t)
    annotated_text(result.document.text, marks, key=key, types=names, choose=False)


def _relations(result: AnnotatedDocument, schema: Schema | None, key: str) -> None:
    triple_table(result, key=f"{key}-triples")
    relation_graph(result, key=f"{key}-graph")


def _events(result: AnnotatedDocument, schema: Schema | None, key: str) -> None:
    cards.event_cards(result)
    event_graph(result, key=f"{key}-graph")


def _opinions(result: AnnotatedDocument, schema: Schema | None, key: str) -> None:
    cards.opinion_cards(result.annotations)


def _classes(result: AnnotatedDocument, schema: Schema | None, key: str) -> None:
    cards.class_bars(result, asked=_roots(schema))


def _tree(result: AnnotatedDocument, schema: Schema | None, key: str) -> None:
    cards.class_tree(result, schema)
    if schema is not None and result.annotations:
        schema_sunburst(schema, result, key=f"{key}-sunburst")


def _reading(result: AnnotatedDocument, schema: Schema | None, key: str) -> None:
    cards.answer_cards(_roots(schema), result.annotations)


def _roots(schema: Schema | None) -> list[str]:
    return [one.name for one in schema.types] if schema is not None else []


_PAIRS = ("matching", "nli")
_CLASSES = ("sentiment", "classification", "multilabel", "hierarchy")
_TEXTS: dict[str, Drawer] = {
    "re": _arcs_or_text("arcs"),
    "ee": _arcs_or_text("arcs"),
    "absa": _arcs_or_text("text"),
    "coref": _chains,
    "mrc": _answers,
    **dict.fromkeys(_PAIRS, _pair_texts),
    **dict.fromkeys(_CLASSES, _whole),
}
_DRAWERS: dict[str, Drawer] = {
    "re": _relations,
    "ee": _events,
    "absa": _opinions,
    "atsc": _opinions,
    "coref": _pronouns,
    "mrc": _reading,
    **dict.fromkeys((*_PAIRS, *_CLASSES), _classes),
    "hierarchy": _tree,
}
