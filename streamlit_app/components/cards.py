"""Small cards for findings that belong together: an event with its roles, an aspect with its opinions, an answer.

Everything from users is escaped here, once, in `_e`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape as _e

import streamlit as st

from core.rendering import type_colour
from core.types import Annotation
from core.views.findings import (
    NEGATIVE,
    NEUTRAL,
    POSITIVE,
    base_name,
    class_paths,
    label_name,
    polarity,
)
from streamlit_app.i18n import t

# Bluish green and vermilion: told apart by colour-blind people too.
POLARITY_COLOURS = {POSITIVE: "#009e73", NEUTRAL: "#8a97a6", NEGATIVE: "#d55e00"}
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
.desk-class{display:grid;grid-template-columns:minmax(7em,max-content) 1fr 3.2em;gap:4px 12px;align-items:center;
font-size:15px;margin:2px 0 8px}
.desk-class .name{font-weight:650}.desk-class .name i{opacity:.5;font-style:normal;padding:0 6px}
.desk-class .bar{height:10px;border-radius:5px;background:color-mix(in srgb,currentColor 10%,transparent)}
.desk-class .bar div{height:100%;border-radius:5px;background:var(--mark,#1f5fae)}
.desk-class .value{font-variant-numeric:tabular-nums;text-align:right}
.desk-rest{font-size:12px;opacity:.72;margin-top:4px}
.desk-share{display:flex;height:26px;border-radius:4px;overflow:hidden;font-size:12px;color:#10141a}
.desk-share div{display:flex;align-items:center;justify-content:center;background:var(--mark);min-width:3.5em}
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
    for question in dict.fromkeys([*questions, *(one.type for one in annotations)]):
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


def class_bars(annotations: Sequence[Annotation], *, asked: Iterable[str] = ()) -> None:
    """The classes found with their scores as bars, and those of the `asked` that did not reach the threshold."""
    rows = []
    for path, score in sorted(class_paths(annotations), key=lambda one: -one[1]):
        name = "<i>›</i>".join(_e(label_name(part)) for part in path)
        mark = POLARITY_COLOURS.get(polarity(label_name(path[-1])) or "", "#1f5fae")
        rows.append(
            f'<span class="name">{name}</span><div class="bar" style="--mark:{mark}">'
            f'<div style="width:{score:.1%}"></div></div><span class="value">{score:.3f}</span>'
        )
    found = {path[0] for path, _ in class_paths(annotations)}
    rest = "、".join(label_name(name) for name in asked if name not in found)
    below = f'<div class="desk-rest">{_e(t("card.below", names=rest))}</div>' if rest else ""
    st.html(f'{CSS}<div class="desk-class">{"".join(rows)}</div>{below}')


def polarity_bar(counts: Counter[str]) -> None:
    """One bar split into positive, neutral and negative."""
    parts = "".join(
        f'<div style="--mark:{POLARITY_COLOURS[which]};flex:{counts[which]}">'
        f"{_e(t(f'polarity.{which}'))} {counts[which]}</div>"
        for which in (POSITIVE, NEUTRAL, NEGATIVE)
        if counts[which]
    )
    st.html(f'{CSS}<div class="desk-share">{parts}</div>')


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
