"""The versions of a schema: what each asks for, what differs between two, which runs used it, and its file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape as _e

import streamlit as st

from core import schema_library
from core.schemas.diff import ADDED, REMOVED, Line, diff, same
from core.schemas.lint import lint_schema
from core.schemas.sharing import write_shared
from core.storage.schema_store import Version
from streamlit_app.components.messages import plain, shown_errors
from streamlit_app.components.schema_save import SAVED
from streamlit_app.i18n import t
from streamlit_app.resources import application

CSS = """<style>
.desk-diff{font-size:14px;line-height:1.75;border:1px solid color-mix(in srgb,currentColor 16%,transparent);
border-radius:4px;padding:6px 0;max-height:340px;overflow:auto}
.desk-diff div{padding:0 12px;white-space:pre-wrap;overflow-wrap:anywhere}
.desk-diff .added{background:light-dark(#2d8a5f26,#2d8a5f55)}
.desk-diff .removed{background:light-dark(#c0504d26,#c0504d55);text-decoration:line-through}
.desk-diff b{display:inline-block;width:1.2em;font-weight:650}
</style>"""
SHOWN_RUNS = 12
CODE_HEIGHT, LONG = 340, 14
"""Pixels of a schema that scrolls, and the lines up to which it stands whole."""


def version_label(one: Version) -> str:
    """A version in a list of choices."""
    label = t("schemas.version.label", number=one.number, when=f"{one.created_at.astimezone():%Y-%m-%d %H:%M}")
    return f"{label} · {one.note}" if one.note else label


def versions_view(found: Sequence[Version]) -> None:
    """One version beside another; a version can be restored and passed on as a file."""
    labels = {one.number: version_label(one) for one in found}
    by_number = {one.number: one for one in found}
    name = found[0].name
    left, right = st.columns(2, gap="medium")
    number = left.selectbox(
        t("schemas.version"),
        list(labels),
        format_func=labels.__getitem__,
        key=f"schemas-version-{name}",
        persist_state="session",
    )
    chosen = by_number[number]
    older = [one for one in labels if one != number]
    default = next((place for place, one in enumerate(older) if one < number), 0)
    other = right.selectbox(
        t("schema_library.against"), older, index=default if older else None, format_func=labels.__getitem__,
        key=f"schemas-against-{name}-{number}", placeholder=t("schema_library.only"), disabled=not older,
        persist_state="session",
    )  # fmt: skip
    with left:
        text = json.dumps(chosen.schema.to_dict(), ensure_ascii=False, indent=2)
        st.code(text, language="json", height=CODE_HEIGHT if text.count("\n") > LONG else "content")
    with right:
        if other is not None:
            _difference(by_number[other], chosen)
        for hint in lint_schema(chosen.schema, chosen.task):
            st.caption(f":material/lightbulb: {plain(hint)}")
    runs = "、".join(map(str, chosen.runs[:SHOWN_RUNS]))
    more = f" … ({len(chosen.runs)})" if len(chosen.runs) > SHOWN_RUNS else ""
    st.caption(t("schema_library.runs", runs=runs + more) if runs else t("schema_library.runs.none"))
    buttons = st.container(horizontal=True)
    buttons.download_button(
        t("schemas.download"),
        write_shared(chosen.schema.to_dict(), name=name, task=chosen.task, version=number, note=chosen.note),
        f"{name}-v{number}.json",
        "application/json",
        key="schemas-download",
        icon=":material/download:",
        on_click="ignore",
        help=t("schema_library.download.help"),
    )
    if buttons.button(
        t("schema_library.restore"), key="schemas-restore", icon=":material/restore:",
        disabled=number == found[0].number or chosen.schema == found[0].schema, help=t("schema_library.restore.help"),
    ):  # fmt: skip
        with shown_errors():
            schema_library.restore(application().database, chosen, note=t("schema_library.restored", number=number))
            st.session_state[SAVED] = t("schema_library.restored", number=number)
            st.session_state.pop(f"schemas-version-{name}", None)
            st.rerun()


def _difference(old: Version, new: Version) -> None:
    if old.number > new.number:
        old, new = new, old
    st.caption(t("schema_library.difference", old=old.number, new=new.number))
    if same(old.schema, new.schema):
        st.info(t("schema_library.same"), icon=":material/check:")
        return
    st.html(f'{CSS}<div class="desk-diff">{"".join(map(_line, diff(old.schema, new.schema)))}</div>')


def _line(line: Line) -> str:
    sign = {ADDED: "+", REMOVED: "−"}.get(line.kind, "")
    indent = "　" * (len(line.path) - 1)
    return f'<div class="{line.kind}"><b>{sign}</b>{indent}{_e(line.path[-1])}</div>'
