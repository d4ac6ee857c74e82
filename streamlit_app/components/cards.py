"""Cards, bars and trees of findings on the screen; what they look like is in core.views."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import streamlit as st

from core.polarity import polarity
from core.schemas.schema import Schema
from core.types import AnnotatedDocument, Annotation
from core.views import cards, classes
from core.views.chains import Chain, Member
from core.views.findings import walk
from streamlit_app.i18n import t


def event_cards(result: AnnotatedDocument) -> None:
    """A frame an event: what set it off, and who played which role."""
    _html(cards.event_cards(result.document.text, result.annotations, t))


def opinion_cards(annotations: Sequence[Annotation]) -> None:
    """How much is good and bad, overall and by aspect, then a card an aspect."""
    found = Counter(which for node in walk(annotations) if (which := polarity(node.annotation.type)))
    _html(cards.polarity_bar(found, t))
    _html(cards.aspect_bars(annotations, t))
    _html(cards.opinion_cards(annotations, t))


def answer_cards(questions: Iterable[str], annotations: Sequence[Annotation]) -> None:
    """A card a question: its answers, best first, or a word that there is none."""
    _html(cards.answer_cards(questions, annotations, t))


def chain_cards(chains: Sequence[Chain], lone: Sequence[Member]) -> None:
    """A card a chain of words that stand for the same."""
    _html(cards.chain_cards(chains, lone, t))


def class_bars(result: AnnotatedDocument, *, asked: Iterable[str] = ()) -> None:
    """The scores of all classes as bars, and the names of those of the `asked` that the model gave none."""
    _html(classes.class_bars(result, t, asked=asked))


def class_tree(result: AnnotatedDocument, schema: Schema | None) -> None:
    """The classes asked for as a tree, the path found marked."""
    _html(classes.class_tree(result, schema, t))


def quote(text: str) -> None:
    """A text as it is, in a frame."""
    with st.container(border=True):
        st.html(cards.quote(text))


def _html(markup: str) -> None:
    if markup:
        st.html(markup)
