"""Users, projects and the audit log, for administrators."""

from __future__ import annotations

import streamlit as st

from core import user_services
from core.errors import AccessError
from streamlit_app.components.access_audit import audit_log
from streamlit_app.components.access_users import projects, users
from streamlit_app.components.heading import heading
from streamlit_app.components.messages import show_error
from streamlit_app.i18n import t
from streamlit_app.resources import application

heading("access")
app = application()
try:
    everybody = user_services.users(app.database)
except AccessError as error:
    show_error(error)
    st.stop()
cells = {
    "access.mode": t(f"access.mode.{app.settings.auth}"),
    "access.sharing": t(f"access.sharing.{app.settings.sharing}"),
    "access.users": str(len(everybody)),
}
for column, (label, value) in zip(st.columns(len(cells)), cells.items(), strict=True):
    column.metric(t(label), value, border=True)

first, second, third = st.tabs([t("access.users"), t("access.projects"), t("access.audit")])
with first:
    users(app, everybody)
with second:
    projects(app, everybody)
with third:
    audit_log(app, [one.name for one in everybody])
