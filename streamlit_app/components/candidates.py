"""What came near: candidates in their context, dashed, and the panel that says why a type was not found."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from core.explanations import Explanation, Missing, below, explain
from core.rendering import type_colour
from core.schemas.schema import Schema
from core.thresholds import revealed
from core.types import AnnotatedDocument, Candidate
from streamlit_app.components.messages import plain
from streamlit_app.components.schema_editor import rename_type
from streamlit_app.i18n import t

CONTEXT = 9
MOST_REVEALED = 60
MOST_TYPES = 12
SEPARATOR = " → "
CSS = """<style>
.desk-near{display:grid;grid-template-columns:max-content 3.2em 1fr;gap:3px 12px;align-items:baseline;font-size:14px;
line-height:1.7}
.desk-near.bare{grid-template-columns:3.2em 1fr}
.desk-near .kind{border:1px dashed var(--mark);border-radius:3px;padding:0 6px;font-size:12px;white-space:nowrap;
max-width:16em;overflow:hidden;text-overflow:ellipsis}
.desk-near .score{font-variant-numeric:tabular-nums;opacity:.8;text-align:right}
.desk-near .line{overflow-wrap:anywhere}
.desk-near .line i{font-style:normal;opacity:.7}
.desk-near mark{background:none;color:inherit;font-weight:650;border-bottom:2px dashed var(--mark);padding-bottom:1px}
</style>"""


def candidate_lines(text: str, candidates: Sequence[Candidate], *, kinds: bool = True) -> None:
    """Draw candidates, a line each: type (with those above it), score, and the words in their context."""
    lines = []
    for one in candidates:
        mark = f"--mark:{type_colour(one.annotation.type)}"
        if kinds:
            name = escape(one.annotation.type)
            lines.append(f'<span class="kind" style="{mark}" title="{escape(_types(one))}">{name}</span>')
        lines.append(
            f'<span class="score">{one.annotation.score:.2f}</span>'
            f'<span class="line" style="{mark}">{_context(text, one)}</span>'
        )
    st.html(f'{CSS}<div class="desk-near{" bare" if not kinds else ""}">{"".join(lines)}</div>')


def revealed_candidates(result: AnnotatedDocument, *, threshold: float, asked: float) -> None:
    """Draw what a lower threshold than that of the run would let through, as far as it is known."""
    some = revealed(result, threshold, asked=asked)
    if not some:
        return
    with st.container(border=True):
        st.caption(t("near.revealed", count=len(some), low=f"{threshold:.2f}", high=f"{asked:.2f}"))
        candidate_lines(result.document.text, some[:MOST_REVEALED])
        if len(some) > MOST_REVEALED:
            st.caption(t("near.more", shown=MOST_REVEALED, count=len(some)))


def why_empty(
    result: AnnotatedDocument, *, schema: Schema | None, threshold: float, asked: float, task: str | None, key: str
) -> bool:
    """Draw which types have no findings at `threshold`, and why; False when there is nothing to say.

    With a `task`, buttons change the fields of its page.
    """
    why = explain(result, schema, threshold=max(threshold, asked))
    # Of several labels most never hold: their scores stand beside those that do.
    if why is None or (result.task == "multilabel" and result.annotations):
        return False
    nothing = not result.annotations
    label = t("why.nothing") if nothing else t("why.some", count=len(why.missing))
    with st.expander(label, icon=":material/search_off:", expanded=nothing, key=f"{key}-why"):
        for remark in why.remarks:
            st.caption(f":material/lightbulb: {plain(remark)}")
        for number, one in enumerate(why.missing[:MOST_TYPES]):
            _missing(result, one, threshold=threshold, task=task, key=f"{key}-why-{number}")
        if len(why.missing) > MOST_TYPES:
            st.caption(t("why.more", count=len(why.missing) - MOST_TYPES))
        if not any(one.best for one in why.missing):
            st.caption(t("why.none"))
        elif task is not None and nothing:
            _lower_all(why, threshold, task=task, key=key)
    return True


def _missing(result: AnnotatedDocument, one: Missing, *, threshold: float, task: str | None, key: str) -> None:
    words, buttons = st.columns([5, 2], vertical_alignment="center", gap="small")
    with words:
        name = plain(SEPARATOR.join(one.path))
        what = "alone" if one.alone else ("near" if one.best else "far")
        st.markdown(f"**{name}** · {t(f'why.{what}')}")
        if one.best:
            candidate_lines(result.document.text, one.best, kinds=False)
        for hint in one.hints:
            st.caption(f":material/lightbulb: {plain(hint.text)}")
    if task is None:
        return
    with buttons:
        if one.best and not one.alone and below(one.best[0].annotation.score) < threshold:
            lower = below(one.best[0].annotation.score)
            st.button(
                t("why.lower", threshold=f"{lower:.2f}"),
                key=f"{key}-lower",
                icon=":material/arrow_downward:",
                width="stretch",
                on_click=_set_threshold,
                args=(task, lower),
            )
        better = next((hint.better for hint in one.hints if hint.better), "")
        if better:
            st.button(
                t("why.rename", name=plain(better)),
                key=f"{key}-rename",
                icon=":material/edit:",
                width="stretch",
                help=t("why.rename.help"),
                on_click=rename_type,
                args=(task, one.path, better),
            )


def _lower_all(why: Explanation, threshold: float, *, task: str, key: str) -> None:
    scores = [one.best[0].annotation.score for one in why.missing if one.best and not one.alone]
    lowest = below(min(scores)) if scores else threshold
    if len(scores) > 1 and lowest < threshold:
        st.button(
            t("why.lower_all", threshold=f"{lowest:.2f}", count=len(scores)),
            key=f"{key}-why-all",
            icon=":material/arrow_downward:",
            on_click=_set_threshold,
            args=(task, lowest),
        )


def _set_threshold(task: str, threshold: float) -> None:
    st.session_state[f"{task}-threshold"] = max(threshold, LOWEST)


LOWEST, HIGHEST = 0.05, 0.99
"""Ends of the slider: below there are no candidates."""


def _types(one: Candidate) -> str:
    return SEPARATOR.join(node.type for node in (*one.above, one.annotation))


def _context(text: str, one: Candidate) -> str:
    """The words of a candidate with some text on both sides, escaped; the chain above it in front."""
    above = "".join(f"<i>{escape(node.type)}：{escape(node.text)} → </i>" for node in one.above if node.text)
    start, end = one.annotation.start, one.annotation.end
    if start is None or end is None:
        return f"{above}<mark>{escape(one.annotation.text or one.annotation.type)}</mark>"
    before, after = text[max(0, start - CONTEXT) : start], text[end : end + CONTEXT]
    head = "…" if start > CONTEXT else ""
    tail = "…" if end + CONTEXT < len(text) else ""
    return f"{above}<i>{head}{escape(before)}</i><mark>{escape(text[start:end])}</mark><i>{escape(after)}{tail}</i>"
