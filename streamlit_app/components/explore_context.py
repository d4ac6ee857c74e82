"""Words in their context, one above the other, and tables whose rows lead to a document."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape as _e

import pandas as pd
import streamlit as st

from core.palette import ink_on
from core.rendering import type_colour
from core.storage.concordance import Line, Match
from streamlit_app.i18n import t

CSS = """<style>
.desk-kwic{width:100%;border-collapse:collapse;font-size:13px;table-layout:fixed}
.desk-kwic td{border:0;border-top:1px solid color-mix(in srgb,currentColor 10%,transparent);padding:4px 6px;
white-space:nowrap;overflow:hidden;text-overflow:ellipsis;vertical-align:middle}
.desk-kwic .left{text-align:right;direction:rtl}.desk-kwic .left bdi,.desk-kwic .right bdi{opacity:.78}
.desk-kwic .words{text-align:center;font-weight:650;white-space:normal;overflow-wrap:anywhere}
.desk-kwic .type{color:var(--ink);background:var(--mark);border-radius:3px;padding:1px 6px;
font-size:11px;font-weight:400;display:inline-block;overflow-wrap:anywhere;white-space:normal}
.desk-kwic .to{text-align:right;font-size:12px}.desk-kwic a{color:inherit}
.desk-kwic .score{opacity:.72;font-variant-numeric:tabular-nums;font-size:12px;text-align:right}
</style>"""


def context_lines(lines: Sequence[Line]) -> None:
    """The lines aligned at the words; each leads to its document and to its review. All texts are escaped."""
    typed = any(line.type for line in lines)
    widths = ("33%", "12%", "35%", "8%", "4%", "8%") if typed else ("37%", "15%", "38%", "0", "0", "10%")
    columns = "".join(f'<col style="width:{width}">' for width in widths)
    types = sorted({line.type for line in lines if line.type})
    body = "".join(_row(line, types) for line in lines)
    st.html(f'{CSS}<table class="desk-kwic"><colgroup>{columns}</colgroup>{body}</table>')


def _row(line: Line, types: Sequence[str]) -> str:
    kind = ""
    if line.type:
        colour = type_colour(line.type, types)
        kind = f'<span class="type" style="--mark:{colour};--ink:{ink_on(colour)}">{_e(line.type)}</span>'
    left = ("" if line.begins else "…") + _flat(line.left)
    right = _flat(line.right) + ("" if line.ends else "…")
    score = "" if line.score is None else f"{line.score:.2f}"
    more = f"<br>{_e(t('explore.more', count=line.more))}" if line.more else ""
    links = (
        f'<a href="{document_link(line.document_id)}" target="_blank">{_e(t("explore.document"))}</a> · '
        f'<a href="{review_link(line.run_id, line.document_id)}" target="_blank">{_e(t("explore.review"))}</a>'
    )
    return (
        f'<tr><td class="left"><bdi>{left}</bdi></td><td class="words">{_flat(line.words)}</td>'
        f'<td class="right"><bdi>{right}</bdi></td><td>{kind}</td><td class="score">{score}</td>'
        f'<td class="to">{links}{more}</td></tr>'
    )


def _flat(text: str) -> str:
    """A text on one line: line ends are shown as a sign."""
    return _e(text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "↵").replace("\t", " "))


def document_link(document_id: int) -> str:
    """The address of a document, relative to the desk's."""
    return f"documents?document={document_id}"


def review_link(run_id: int, document_id: int) -> str:
    """The address of the review of a document, relative to the desk's."""
    return f"review?run={run_id}&document={document_id}"


def match_table(found: Sequence[Match], *, key: str) -> None:
    """Documents with their findings; two columns lead to the document and to its review."""
    frame = pd.DataFrame(
        {
            "run_id": one.run_id,
            "document": one.external_id or str(one.document_id),
            "text": one.preview,
            "findings": one.findings,
            "score": one.score,
            "open": document_link(one.document_id),
            "review": review_link(one.run_id, one.document_id),
        }
        for one in found
    )
    st.dataframe(
        frame,
        hide_index=True,
        key=key,
        height="content",
        column_config={
            "run_id": st.column_config.NumberColumn(t("column.run_id"), width="small", format="%d"),
            "document": st.column_config.TextColumn(t("column.document"), width="small"),
            "text": st.column_config.TextColumn(t("column.text"), width="large"),
            "findings": st.column_config.NumberColumn(t("column.findings"), width="small", format="%d"),
            "score": st.column_config.ProgressColumn(
                t("explore.best"), min_value=0, max_value=1, format="%.2f", width="small"
            ),
            "open": st.column_config.LinkColumn(t("explore.open"), display_text=t("explore.document"), width="small"),
            "review": st.column_config.LinkColumn(t("page.review"), display_text=t("explore.review"), width="small"),
        },
    )
