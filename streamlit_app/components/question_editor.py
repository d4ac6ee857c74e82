"""Questions on a text: a form with a row each, or lines; options make a question one of choice."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal

import streamlit as st

from core.errors import SchemaError
from core.schemas.schema import Schema, SchemaType, parse_schema
from streamlit_app.components.messages import show_error
from streamlit_app.i18n import t

BAR = re.compile(r"\s*[|｜]\s*")


def question_editor(task: str) -> Schema | None:
    """Draw the chosen view; the questions as a schema, or None while there is none or one has a fault, which is shown.

    The lines are the state; where the schema of the page was changed elsewhere, lines and form are made anew from it.
    """
    lines = lines_of(st.session_state[f"{task}-schema"].types)
    if st.session_state.get(f"{task}-questions-of") != lines:
        st.session_state[f"{task}-questions-of"] = st.session_state[f"{task}-questions"] = lines
        _fill(task)
    views = {view: t(f"questions.view.{view}") for view in ("form", "lines")}
    view = st.segmented_control(
        t("questions.view"),
        list(views),
        format_func=views.__getitem__,
        default="form",
        required=True,
        key=f"{task}-questions-view",
        label_visibility="collapsed",
        persist_state="session",
    )
    if view == "lines":
        st.text_area(
            t("questions.label"),
            key=f"{task}-questions",
            height=150,
            help=t("questions.help"),
            placeholder=t("questions.example"),
            on_change=_fill,
            args=(task,),
            persist_state="session",
        )
        st.caption(t("questions.form"))
    else:
        _form(task)
    try:
        schema = questions_of(st.session_state[f"{task}-questions"] or "")
    except SchemaError as error:
        show_error(error)
        return None
    st.session_state[f"{task}-schema"] = schema
    st.session_state[f"{task}-questions-of"] = lines_of(schema.types)
    return schema


def lines_of(types: Iterable[SchemaType]) -> str:
    """A schema of questions as lines: `问题？ | 选项甲 | 选项乙`."""
    return "\n".join(" | ".join([one.name, *(option.name for option in one.children)]) for one in types)


def questions_of(text: str) -> Schema:
    """The schema of the lines; raises SchemaError for an empty text, a question twice, or a single option."""
    asked: dict[str, Any] = {}
    problems: list[str] = []
    for line in filter(str.strip, text.splitlines()):
        question, *options = [part for part in BAR.split(line.strip()) if part]
        if question in asked:
            problems.append(t("questions.twice", question=question))
        if len(options) == 1:
            problems.append(t("questions.one_option", question=question))
        asked[question] = dict.fromkeys(options) or None
    if not asked:
        problems.append(t("questions.none"))
    if problems:
        raise SchemaError(problems)
    return parse_schema(asked)


def _form(task: str) -> None:
    """A row a question, with its options as tags, and buttons to remove and to add one."""
    for number, row in enumerate(st.session_state[f"{task}-question-rows"]):
        labels: Literal["visible", "collapsed"] = "collapsed" if number else "visible"
        question, options, remove = st.columns([6, 5, 1], vertical_alignment="bottom", gap="small")
        question.text_input(
            t("questions.one"),
            key=f"{task}-question-{row}",
            placeholder=t("questions.one.example"),
            label_visibility=labels,
            on_change=_keep,
            args=(task,),
            persist_state="session",
        )
        options.multiselect(
            t("questions.options"),
            st.session_state[f"{task}-options-{row}"],
            key=f"{task}-options-{row}",
            placeholder=t("questions.options.example"),
            help=t("questions.options.help"),
            accept_new_options=True,
            label_visibility=labels,
            on_change=_keep,
            args=(task,),
            persist_state="session",
        )
        remove.button(
            ":material/delete:",
            key=f"{task}-question-remove-{row}",
            type="tertiary",
            help=t("questions.remove"),
            on_click=_remove,
            args=(task, row),
        )
    st.button(t("questions.add"), key=f"{task}-question-add", icon=":material/add:", on_click=_add, args=(task,))


def _fill(task: str) -> None:
    """Make the rows of the form from the lines; every row is a new one, so that no widget keeps an old value."""
    rows = []
    for line in filter(str.strip, (st.session_state[f"{task}-questions"] or "").splitlines()):
        question, *options = [part for part in BAR.split(line.strip()) if part] or [""]
        rows.append(_row(task, question, options))
    st.session_state[f"{task}-question-rows"] = rows or [_row(task, "", [])]


def _row(task: str, question: str, options: list[str]) -> int:
    row: int = st.session_state.get(f"{task}-question-count", 0)
    st.session_state[f"{task}-question-count"] = row + 1
    st.session_state[f"{task}-question-{row}"] = question
    st.session_state[f"{task}-options-{row}"] = options
    return row


def _keep(task: str) -> None:
    """Write the form down as lines. A bar or a line feed in a question would divide it, and becomes a space."""
    lines = []
    for row in st.session_state[f"{task}-question-rows"]:
        parts = [st.session_state[f"{task}-question-{row}"], *st.session_state[f"{task}-options-{row}"]]
        clean = [re.sub(r"[|｜\n]+", " ", part).strip() for part in parts]
        if clean[0]:
            lines.append(" | ".join(clean))
    st.session_state[f"{task}-questions"] = "\n".join(lines)


def _add(task: str) -> None:
    st.session_state[f"{task}-question-rows"] = [*st.session_state[f"{task}-question-rows"], _row(task, "", [])]


def _remove(task: str, row: int) -> None:
    left = [one for one in st.session_state[f"{task}-question-rows"] if one != row]
    st.session_state[f"{task}-question-rows"] = left or [_row(task, "", [])]
    _keep(task)
