"""Small cards for findings that belong together: an event with its roles, an aspect with its opinions, an answer.

Everything from users is escaped here, once, in `_e`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape as _e

import streamlit as st

from core.rendering import type_colour
from core.types import Annotation
from streamlit_app.components.charts import POLARITY_COLOURS
from streamlit_app.components.findings import base_name, label_name, polarity
from streamlit_app.i18n import t

CSS = """<style>
.desk-cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(235px,1fr));gap:10px;margin:2px 0 6px}
.desk-cards.wide{grid-template-columns:1fr}
.desk-card{border:1px solid color-mix(in srgb,currentColor 16%,transparent);border-left:4px solid var(--mark,#8a97a6);
border-radius:4px;padding:8px 12px;font-size:14px;line-height:1.5;overflow-wrap:anywhere}
.desk-card .head{display:flex;gap:8px;justify-content:space-between;align-items:baseline}
.desk-card .kind{font-size:12px;opacity:.72}
.desk-card .name{font-weight:650;font-size:15px}
.desk-card .score{font-size:12px;opacity:.72;font-variant-numeric:tabular-nums;white-space:nowrap}
.desk-card table{width:100%;border-collapse:collapse;margin-top:4px}
.desk-card td{border:0;border-top:1px solid color-mix(in srgb,currentColor 10%,transparent);padding:3px 6px 3px 0;
vertical-align:top}
.desk-card td:first-child{opacity:.72;width:32%}
.desk-card td:last-child{text-align:right;width:3.2em}
.desk-dot{display:inline-block;width:9px;height:9px;border-radius:50%;margin-right:6px;background:var(--mark,#8a97a6)}
.desk-quote{white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.75;font-size:15px}
.desk-path{font-size:15px}.desk-path b{font-weight:650}.desk-path i{opacity:.5;font-style:normal;padding:0 6px}
</style>"""


def event_cards(annotations: Sequence[Annotation]) -> None:
    """A card an event: what set it off, and who played which role."""
    _cards(
        _card(
            kind=base_name(event.type),
            name=event.text,
            score=event.score,
            colour=type_colour(event.type),
            rows=[(child.type, child.text, child.score, "") for child in event.children],
        )
        for event in annotations
    )


def opinion_cards(annotations: Sequence[Annotation]) -> None:
    """A card an aspect: the opinions on it, or the sentiment towards it, with a dot for good and bad."""
    _cards(
        _card(
            kind=aspect.type,
            name=aspect.text or t("card.implicit"),
            score=aspect.score,
            colour=_polarity_colour(next((child.type for child in aspect.children), "")),
            rows=[
                (base_name(child.type), child.text, child.score, _polarity_colour(child.type))
                for child in aspect.children
            ],
        )
        for aspect in annotations
    )


def answer_cards(questions: Iterable[str], annotations: Sequence[Annotation]) -> None:
    """A card a question: its answers, best first, or a word that there is none."""
    cards = []
    for question in questions:
        answers = sorted((one for one in annotations if one.type == question), key=lambda one: -one.score)
        rows = [(one.text or " / ".join(child.type for child in one.children), one.score) for one in answers]
        cards.append(
            _card(
                kind=question,
                name="" if rows else t("card.unanswered"),
                score=None,
                colour=type_colour(question),
                rows=[(t("card.answer"), text, score, "") for text, score in rows],
            )
        )
    _cards(cards, wide=True)


def class_path(path: Sequence[str], score: float) -> None:
    """One path of classes, from the widest to the narrowest."""
    steps = "<i>›</i>".join(f"<b>{_e(name)}</b>" for name in path)
    st.html(f'{CSS}<div class="desk-path">{steps}&ensp;<span style="opacity:.65">{score:.3f}</span></div>')


def verdict(annotation: Annotation | None) -> None:
    """The class that was chosen for a pair of texts."""
    if annotation is None:
        st.html(f'{CSS}<div class="desk-path">{_e(t("card.undecided"))}</div>')
    else:
        class_path([label_name(annotation.type)], annotation.score)


def quote(text: str) -> None:
    """A text as it is, in a frame."""
    with st.container(border=True):
        st.html(f'{CSS}<div class="desk-quote">{_e(text)}</div>')


def _polarity_colour(name: str) -> str:
    return POLARITY_COLOURS.get(polarity(name) or "", "#8a97a6")


def _card(
    *, kind: str, name: str, score: float | None, colour: str, rows: Sequence[tuple[str, str, float, str]]
) -> str:
    lines = "".join(
        f"<tr><td>{_dot(dot)}{_e(label)}</td><td>{_e(text)}</td><td class='score'>{value:.2f}</td></tr>"
        for label, text, value, dot in rows
    )
    shown = "" if score is None else f'<span class="score">{score:.2f}</span>'
    return (
        f'<div class="desk-card" style="--mark:{_e(colour)}"><div class="head"><span>'
        f'<span class="kind">{_e(kind)}</span><br><span class="name">{_e(name)}</span></span>{shown}</div>'
        f"<table>{lines}</table></div>"
    )


def _dot(colour: str) -> str:
    return f'<span class="desk-dot" style="--mark:{_e(colour)}"></span>' if colour else ""


def _cards(cards: Iterable[str], *, wide: bool = False) -> None:
    body = "".join(cards)
    if body:
        st.html(f'{CSS}<div class="desk-cards{" wide" if wide else ""}">{body}</div>')
