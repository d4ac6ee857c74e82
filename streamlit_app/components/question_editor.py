"""Questions on a text, one a line; options behind bars make it a question of choice."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import streamlit as st

from core.errors import SchemaError
from core.schemas.schema import Schema, SchemaType, parse_schema
from streamlit_app.components.messages import show_error
from streamlit_app.i18n import t

BAR = re.compile(r"\s*[|｜]\s*")


def question_editor(task: str) -> Schema | None:
    """Draw the field; the questions as a schema, or None while there is none or one has a fault, which is shown."""
    revision = st.session_state[f"{task}-schema-revision"]
    if st.session_state.get(f"{task}-questions-revision") != revision:
        st.session_state[f"{task}-questions-revision"] = revision
        st.session_state[f"{task}-questions"] = lines_of(st.session_state[f"{task}-schema"].types)
    written = st.text_area(
        t("questions.label"),
        key=f"{task}-questions",
        height=150,
        help=t("questions.help"),
        placeholder=t("questions.example"),
        persist_state="session",
    )
    st.caption(t("questions.form"))
    try:
        return questions_of(written or "")
    except SchemaError as error:
        show_error(error)
        return None


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
