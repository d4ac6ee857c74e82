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
from streamlit_app.components.schema_rows import COLUMNS, SEPARATOR, rows_of, schema_of
from streamlit_app.i18n import t

TABLE_HEIGHT = 225


def schema_editor(task: str, *, nested: bool) -> Schema | None:
    """Draw the chosen view; the schema as edited, or None while it has faults, which are shown."""
    views = {view: t(f"schema.view.{view}") for view in ("table", "json")}
    view = st.segmented_control(
        t("schema.view"),
        list(views),
        format_func=views.__getitem__,
        default="table",
        required=True,
        key=f"{task}-schema-view",
        persist_state="session",
        label_visibility="collapsed",
    )
    schema: Schema | None
    try:
        schema = _json(task) if view == "json" else _table(task, nested=nested)
    except SchemaError as error:
        schema = None
        show_error(error)
    _adder(task, nested=nested, closed=schema is None)
    for hint in lint_schema(schema, task) if schema is not None else ():
        st.caption(f":material/lightbulb: {plain(hint)}")
    return schema


def put_schema(task: str, value: Any) -> None:
    """Make `value` the schema in both views; only before the editor is drawn, or in a callback."""
    schema = parse_schema(value)
    st.session_state[f"{task}-schema"] = schema
    st.session_state[f"{task}-schema-json"] = _dumps(schema)
    st.session_state[_revision(task)] = st.session_state.get(_revision(task), 0) + 1


def _revision(task: str) -> str:
    return f"{task}-schema-revision"


def _dumps(schema: Schema) -> str:
    return json.dumps(schema.to_dict(), ensure_ascii=False, indent=2)


def _json(task: str) -> Schema:
    text = st.text_area(
        t("schema.json"),
        key=f"{task}-schema-json",
        height=TABLE_HEIGHT,
        help=t("schema.json.help"),
        persist_state="session",
    )
    schema = parse_schema(text or "")
    if schema != st.session_state[f"{task}-schema"]:
        st.session_state[f"{task}-schema"] = schema
        st.session_state[_revision(task)] += 1
    return schema


def _table(task: str, *, nested: bool) -> Schema:
    key = f"{task}-schema-table-{st.session_state[_revision(task)]}"
    rows_key = f"{task}-schema-rows"
    # The table's input stays as it was while it is edited, or the editor would forget the edits. When it is new
    # or was away (another view, another page), it starts from the schema in force.
    if key not in st.session_state:
        st.session_state[rows_key] = rows_of(st.session_state[f"{task}-schema"])
    frame = pd.DataFrame(st.session_state[rows_key], columns=list(COLUMNS), dtype="str")
    edited = st.data_editor(
        frame,
        key=key,
        num_rows="dynamic",
        hide_index=True,
        height=TABLE_HEIGHT,
        column_order=COLUMNS if nested else COLUMNS[:1],
        column_config={
            COLUMNS[0]: st.column_config.TextColumn(t("schema.column.type"), required=True),
            COLUMNS[1]: st.column_config.TextColumn(t("schema.column.above"), help=t("schema.column.above.help")),
        },
    )
    schema = schema_of([(str(name), str(above)) for name, above in edited.fillna("").itertuples(index=False)])
    if schema != st.session_state[f"{task}-schema"]:
        st.session_state[f"{task}-schema"] = schema
        st.session_state[f"{task}-schema-json"] = _dumps(schema)
    return schema


def _adder(task: str, *, nested: bool, closed: bool) -> None:
    fields = st.columns([3, 3, 1.6] if nested else [6, 1.6], vertical_alignment="bottom", gap="small")
    fields[0].text_input(
        t("schema.new"),
        key=f"{task}-schema-new",
        placeholder=t("schema.new.example"),
        label_visibility="collapsed",
    )
    if nested:
        paths = [SEPARATOR.join(path) for path in st.session_state[f"{task}-schema"].paths()]
        labels = {"": t("schema.top")} | {path: path for path in paths}
        fields[1].selectbox(
            t("schema.column.above"),
            list(labels),
            format_func=labels.__getitem__,
            key=f"{task}-schema-new-above",
            label_visibility="collapsed",
        )
    fields[-1].button(
        t("schema.add"),
        key=f"{task}-schema-add",
        icon=":material/add:",
        on_click=_add,
        args=(task,),
        width="stretch",
        disabled=closed,
    )


def _add(task: str) -> None:
    name = st.session_state[f"{task}-schema-new"].strip()
    above = st.session_state.get(f"{task}-schema-new-above") or ""
    rows = rows_of(st.session_state[f"{task}-schema"])
    # A type that is there already is not a fault: nothing is left to add.
    if not name or (name, above) in rows:
        return
    put_schema(task, schema_of([*rows, (name, above)]))
    st.session_state[f"{task}-schema-new"] = ""
