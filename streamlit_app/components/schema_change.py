"""Changing the types of a schema: what it would touch, a new version, and corrections that follow or are taken back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
import streamlit as st

from core import schema_library
from core.errors import RexError
from core.reviews import Progress
from core.schemas.changes import DELETE, KINDS, MERGE, RENAME, SPLIT, Change, Path
from core.storage import schema_store
from core.storage.schema_store import Recorded, Touched, Version
from streamlit_app.components.messages import plain, show_error
from streamlit_app.components.review_session import author
from streamlit_app.components.schema_save import SAVED
from streamlit_app.i18n import t
from streamlit_app.resources import application

ARROW = " → "
STEP = 25
"""Documents between two drawings of the progress."""


def change_view(newest: Version) -> None:
    """Draw the choice of a change to the newest version, its preview, and the changes made so far."""
    kinds = {kind: t(f"schema_library.{kind}") for kind in KINDS}
    kind = st.segmented_control(
        t("schema_library.change"), list(kinds), format_func=kinds.__getitem__, default=RENAME, required=True,
        key="schemas-kind", label_visibility="collapsed",
        persist_state="session",
    ) or RENAME  # fmt: skip
    change = _change(newest, kind)
    if change is not None:
        _preview(newest, change)
    _recorded(newest)


def _change(newest: Version, kind: str) -> Change | None:
    """The change as chosen; None until everything is chosen."""
    names: dict[Path, str] = {path: ARROW.join(path) for path in newest.schema.paths()}
    key = f"{newest.name}-{newest.number}-{kind}"
    left, right = st.columns(2, gap="medium")
    if kind == MERGE:
        paths = left.multiselect(
            t("schema_library.types"),
            list(names),
            format_func=names.__getitem__,
            key=f"schemas-paths-{key}",
            persist_state="session",
        )
    else:
        path = left.selectbox(
            t("schema_library.type"), list(names), index=None, format_func=names.__getitem__,
            placeholder=t("choose"), key=f"schemas-path-{key}",
            persist_state="session",
        )  # fmt: skip
        paths = [] if path is None else [path]
    if kind == DELETE:
        return Change(DELETE, tuple(paths)) if paths else None
    given = right.text_input(
        t("schema_library.names" if kind == SPLIT else "schema_library.name"), key=f"schemas-names-{key}",
        help=t("schema_library.names.help") if kind == SPLIT else None,
        persist_state="session",
    )  # fmt: skip
    new = tuple(name.strip() for name in given.replace("，", ",").replace("、", ",").split(",") if name.strip())
    if kind != SPLIT:
        new = (given.strip(),) if given.strip() else ()
    if not paths or not new:
        return None
    if kind != SPLIT or len(new) < 2:
        return Change(kind, tuple(paths), new)
    return Change(SPLIT, tuple(paths), new, _words(newest, paths[0], new, key=key))


def _words(newest: Version, path: Path, names: Sequence[str], *, key: str) -> Mapping[str, str]:
    """Which of the frequent words go to which new type, chosen in a table; the rest goes to the first."""
    database = application().database
    found = schema_library.words_of(database, newest, path)
    if not found:
        return {}
    st.caption(t("schema_library.words", name=plain(names[0])))
    frame = pd.DataFrame({"words": [text for text, _ in found], "count": [n for _, n in found], "to": names[0]})
    edited = st.data_editor(
        frame, hide_index=True, key=f"schemas-words-{key}-{'-'.join(names)}", disabled=["words", "count"], height=260,
        column_config={
            "words": t("column.text"),
            "count": st.column_config.NumberColumn(t("column.count"), format="%d", width="small"),
            "to": st.column_config.SelectboxColumn(t("schema_library.to"), options=list(names), required=True),
        },
    )  # fmt: skip
    return {str(row.words): str(row.to) for row in edited.itertuples(index=False) if row.to != names[0]}


def _preview(newest: Version, change: Change) -> None:
    """What the change touches, and the buttons that make it."""
    database = application().database
    try:
        touched = schema_library.preview(database, newest, change)
    except RexError as error:
        show_error(error)
        return
    st.markdown(f"**{plain(str(change))}**")
    for one in touched:
        _touched(one)
    st.caption(t("schema_library.apply.note"))
    if st.button(
        t("schema_library.apply"), key="schemas-apply", type="primary", icon=":material/published_with_changes:"
    ):
        try:
            schema_library.apply(database, newest, change, author=author())
        except RexError as error:
            show_error(error)
            return
        st.session_state[SAVED] = t("schema_library.applied", number=newest.number + 1)
        st.session_state.pop(f"schemas-version-{newest.name}", None)
        st.rerun()


def _touched(one: Touched) -> None:
    if not one.findings:
        st.caption(t("schema_library.untouched", type=plain(ARROW.join(one.path))))
        return
    words = "、".join(f"{text or '—'} ×{count}" for text, count in one.examples)
    facts = t(
        "schema_library.touched",
        type=plain(ARROW.join(one.path)),
        findings=one.findings,
        documents=one.documents,
        runs="、".join(map(str, one.runs)),
    )
    st.caption(f"{facts}  \n{plain(words)}")


def _recorded(newest: Version) -> None:
    """The changes made so far, newest first, each with its way into the corrections and back."""
    changes = schema_store.changes(application().database, newest.name)
    if not changes:
        return
    st.subheader(t("schema_library.changes"), anchor=False)
    for one in changes:
        with st.container(border=True):
            _record(newest, one)


def _record(newest: Version, one: Recorded) -> None:
    when = f"{one.created_at.astimezone():%Y-%m-%d %H:%M}"
    st.markdown(f"**{plain(str(one.change))}**")
    st.caption(t("schema_library.record", number=one.number, author=plain(one.author), when=when))
    follows = bool(one.documents) and one.undone_at is None
    if follows:
        st.caption(t("schema_library.follows", documents=one.documents))
    elif one.undone_at is not None:
        st.caption(t("schema_library.undone", when=f"{one.undone_at.astimezone():%Y-%m-%d %H:%M}"))
    row = st.container(horizontal=True, vertical_alignment="center")
    only = row.checkbox(
        t("schema_library.corrected_only"),
        key=f"schemas-only-{one.id}",
        help=t("schema_library.corrected_only.help"),
        persist_state="session",
    )
    database = application().database
    if row.button(
        t("schema_library.rewrite"), key=f"schemas-rewrite-{one.id}", icon=":material/edit_note:",
        help=t("schema_library.rewrite.help"),
    ):  # fmt: skip
        work = schema_library.rewrite(
            database, newest.name, one, task=newest.task, author=author(), corrected_only=only
        )
        _watch(work, "schema_library.rewritten")
    if follows and row.button(t("schema_library.undo"), key=f"schemas-undo-{one.id}", icon=":material/undo:"):
        _watch(schema_library.undo(database, one, author=author()), "schema_library.taken_back")


def _watch(work: Iterator[Progress], words: str) -> None:
    """Do the work and show how far it is; leaving the page or pressing Stop ends it, what is done stays done."""
    place = st.empty()
    stop = st.empty()
    stop.button(t("job.cancel"), key=f"{words}-stop", icon=":material/stop:")
    last = None
    try:
        for last in work:
            if last.done % STEP == 0 or last.done == last.total:
                place.progress(last.done / last.total, t("schema_library.progress", done=last.done, total=last.total))
    except RexError as error:
        show_error(error)
        return
    stop.empty()
    changed, conflicts = (0, 0) if last is None else (last.changed, last.conflicts)
    st.session_state[SAVED] = t(words, changed=changed, conflicts=conflicts)
    st.rerun()
