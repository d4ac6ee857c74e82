"""The audit log: who did what to what, and when."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core import user_services
from core.bootstrap import Application
from core.storage.audit_store import OUTCOMES, AuditFilter
from streamlit_app.i18n import t

PAGE = 50
KINDS = (
    "session", "user", "project", "job", "document", "review", "schema", "run", "model", "tuning", "batch", "audit",
)  # fmt: skip


def audit_log(app: Application, names: Sequence[str]) -> None:
    """The entries that a filter means, a page at a time."""
    every = {"": t("access.audit.all")}
    users = every | {one: one for one in ("local", *names)}
    kinds = every | {one: t(f"access.kind.{one}") for one in KINDS}
    outcomes = every | {one: t(f"access.outcome.{one}") for one in OUTCOMES}
    row = st.container(horizontal=True, vertical_alignment="bottom")
    user = row.selectbox(
        t("access.audit.user"), list(users), format_func=users.__getitem__,
        key="access-audit-user", width=200,
    )  # fmt: skip
    kind = row.selectbox(
        t("access.audit.action"), list(kinds), key="access-audit-kind", width=200, format_func=kinds.__getitem__,
    )  # fmt: skip
    outcome = row.selectbox(
        t("access.audit.outcome"), list(outcomes), key="access-audit-outcome", width=160,
        format_func=outcomes.__getitem__,
    )  # fmt: skip
    chosen = AuditFilter(user_name=user, action=kind, outcome=outcome)
    count = user_services.count_audit(app.database, chosen)
    if not count:
        st.info(t("access.audit.empty"), icon=":material/info:")
        return
    pages = -(-count // PAGE)
    number = st.pagination(pages, key="access-audit-page") if pages > 1 else 1
    found = user_services.audit_entries(app.database, chosen, limit=PAGE, offset=(number - 1) * PAGE)
    st.dataframe(
        pd.DataFrame(
            {
                t("access.audit.at"): one.at.astimezone(),
                t("access.audit.user"): one.user_name,
                t("access.audit.action"): one.action,
                t("access.audit.object"): one.object,
                t("access.audit.outcome"): t(f"access.outcome.{one.outcome}"),
                t("access.audit.address"): one.address or t("access.local.place"),
            }
            for one in found
        ),
        hide_index=True,
        height="content" if len(found) < 15 else 560,
        column_config={t("access.audit.at"): st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm:ss")},
        key="access-audit",
    )
    row = st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute")
    row.caption(t("access.audit.count", count=f"{count:,}"))
    database = app.database  # of whoever asks: the bytes are made later, outside the session's script
    row.download_button(
        t("access.audit.download"),
        data=lambda: user_services.audit_csv(database, chosen),
        file_name="audit.csv",
        mime="text/csv",
        icon=":material/download:",
        key="access-audit-download",
        on_click="ignore",
    )
