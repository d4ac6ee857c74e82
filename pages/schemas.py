"""The library of schemas: versions and their differences, changes of types, new schemas."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.errors import RexError
from core.schemas.schema import parse_schema
from core.storage import queries, schema_store
from streamlit_app.components import address
from streamlit_app.components.annotation_table import table
from streamlit_app.components.empty_state import no_schemas
from streamlit_app.components.heading import heading
from streamlit_app.components.messages import plain, show_error
from streamlit_app.components.schema_change import change_view
from streamlit_app.components.schema_save import SAVED, save_form, task_title
from streamlit_app.components.schema_versions import versions_view
from streamlit_app.i18n import t
from streamlit_app.resources import application


def open_row() -> None:
    """Open the schema of the row that was clicked."""
    rows = st.session_state["schemas-table"].selection.rows
    if rows:
        st.session_state["schemas-open"] = names[rows[0]]


heading("schemas")
app = application()
if said := st.session_state.pop(SAVED, None):
    st.success(said, icon=":material/check:")
saved = queries.latest_schemas(app.database)

with st.expander(t("schemas.new"), icon=":material/add:", expanded=not saved, key="schemas-new"):
    save_form()
if not saved:
    no_schemas("schemas.empty")
    st.stop()

frame = pd.DataFrame(
    {
        "name": one.name,
        "task": task_title(one.task),
        "version": one.version,
        "types": sum(1 for _ in parse_schema(dict(one.body)).paths()),
        "created": one.created_at.astimezone(),
    }
    for one in saved
)
names = [one.name for one in saved]
table(frame, key="schemas-table", on_select=open_row)
if (asked := address.arrived("schemas").get("schema")) is not None:
    if asked not in names:
        st.warning(t("schemas.unknown", name=plain(asked)), icon=":material/search_off:")
    st.session_state["schemas-open"] = asked
if st.session_state.get("schemas-open") not in names:
    st.session_state["schemas-open"] = names[0]
left, right = st.columns([3, 2], vertical_alignment="bottom")
chosen = left.selectbox(t("schemas.open"), names, key="schemas-open", persist_state="session")
address.keep("schemas", schema=chosen)
views = {view: t(f"schema_library.view.{view}") for view in ("versions", "change")}
view = right.segmented_control(
    t("schema_library.view"),
    list(views),
    format_func=views.__getitem__,
    default="versions",
    required=True,
    key="schemas-view",
    label_visibility="collapsed",
    persist_state="session",
)
try:
    versions = schema_store.versions(app.database, chosen)
except RexError as error:
    show_error(error)
    st.stop()
if view == "change":
    change_view(versions[0])
else:
    versions_view(versions)
