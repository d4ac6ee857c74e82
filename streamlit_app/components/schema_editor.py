"""The schema of a task in two views that follow each other: a table of types and the JSON itself."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import streamlit as st

from core.errors import SchemaError
from core.schemas.lint import lint_schema
from core.schemas.schema import Schema, parse_schema
from streamlit_app.components.messages import plain, show_error
from streamlit_app.components.schema_rows import COLUMNS, SEPARATOR, edited_rows, rows_of, schema_of
from streamlit_app.i18n import t


def schema_editor(task: str, *, nested: bool) -> Schema | None:
    """Draw both views; the schema as edited, or None while it has faults, which are shown."""
    views = st.segmented_control(
        t("schema.view"),
        ["table", "json"],
        format_func=lambda view: t(f"schema.view.{view}"),
        default="table",
        required=True,
        key=f"{task}-schema-view",
        persist_state="session",
        label_visibility="collapsed",
    )
    if views == "json":
        st.text_area(
            t("schema.json"),
            key=f"{task}-schema-json",
            on_change=_take_json,
            args=(task,),
            height=240,
            help=t("schema.json.help"),
            persist_state="session",
        )
    else:
        _table(task, nested=nested)
    _adder(task, nested=nested)
    problems = st.session_state.get(_problems(task))
    if problems:
        show_error(SchemaError(problems))
        return None
    schema: Schema = st.session_state[f"{task}-schema"]
    for hint in lint_schema(schema, task):
        st.caption(f":material/lightbulb: {plain(hint)}")
    return schema


def put_schema(task: str, value: Any) -> None:
    """Make `value` the schema in both views; only before the editor is drawn, or in a callback."""
    schema = parse_schema(value)
    st.session_state[f"{task}-schema"] = schema
    st.session_state[f"{task}-schema-json"] = json.dumps(schema.to_dict(), ensure_ascii=False, indent=2)
    st.session_state[_problems(task)] = []
    st.session_state[_revision(task)] = st.session_state.get(_revision(task), 0) + 1


def _problems(task: str) -> str:
    return f"{task}-schema-problems"


def _revision(task: str) -> str:
    return f"{task}-schema-revision"


def _table(task: str, *, nested: bool) -> None:
    key = f"{task}-schema-table-{st.session_state[_revision(task)]}"
    rows_key = f"{task}-schema-rows"
    # The table's input stays as it was while it is edited, or the editor would forget the edits. When it is new
    # or was away (another view, another page), it starts from the schema in force.
    if key not in st.session_state:
        st.session_state[rows_key] = rows_of(st.session_state[f"{task}-schema"])
    frame = pd.DataFrame(st.session_state[rows_key], columns=list(COLUMNS), dtype="str")
    st.data_editor(
        frame,
        key=key,
        num_rows="dynamic",
        hide_index=True,
        height=min(35 * (len(frame) + 2) + 2, 320),
        column_order=COLUMNS if nested else COLUMNS[:1],
        column_config={
            COLUMNS[0]: st.column_config.TextColumn(t("schema.column.type"), required=True),
            COLUMNS[1]: st.column_config.TextColumn(t("schema.column.above"), help=t("schema.column.above.help")),
        },
        on_change=_take_table,
        args=(task, key),
    )


def _adder(task: str, *, nested: bool) -> None:
    paths = [SEPARATOR.join(path) for path in st.session_state[f"{task}-schema"].paths()] if nested else []
    fields = st.columns([3, 3, 1.3] if nested else [6, 1.3], vertical_alignment="bottom", gap="small")
    fields[0].text_input(t("schema.new"), key=f"{task}-schema-new", placeholder=t("schema.new.example"))
    if nested:
        fields[1].selectbox(
            t("schema.column.above"),
            ["", *paths],
            format_func=lambda path: path or t("schema.top"),
            key=f"{task}-schema-new-above",
        )
    fields[-1].button(
        t("schema.add"),
        key=f"{task}-schema-add",
        icon=":material/add:",
        on_click=_add,
        args=(task,),
        width="stretch",
    )


def _add(task: str) -> None:
    name = st.session_state[f"{task}-schema-new"].strip()
    if not name:
        return
    row = (name, st.session_state.get(f"{task}-schema-new-above") or "")
    if _take(task, [*rows_of(st.session_state[f"{task}-schema"]), row]):
        put_schema(task, st.session_state[f"{task}-schema"])
        st.session_state[f"{task}-schema-new"] = ""


def _take_table(task: str, key: str) -> None:
    _take(task, edited_rows(st.session_state[f"{task}-schema-rows"], st.session_state[key]))


def _take(task: str, rows: list[tuple[str, str]]) -> bool:
    try:
        schema = schema_of(rows)
    except SchemaError as error:
        st.session_state[_problems(task)] = error.problems
        return False
    st.session_state[_problems(task)] = []
    st.session_state[f"{task}-schema"] = schema
    st.session_state[f"{task}-schema-json"] = json.dumps(schema.to_dict(), ensure_ascii=False, indent=2)
    return True


def _take_json(task: str) -> None:
    text = st.session_state[f"{task}-schema-json"]
    try:
        schema = parse_schema(text)
    except SchemaError as error:
        st.session_state[_problems(task)] = error.problems
        return
    put_schema(task, schema)
    st.session_state[f"{task}-schema-json"] = text
