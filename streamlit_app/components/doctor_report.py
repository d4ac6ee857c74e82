"""The checks of the doctor, those that need attention first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from core.doctor.checks_card import CARD_CHECKS
from core.doctor.records import ERROR, OK, WARNING, Check
from streamlit_app.components.messages import plain
from streamlit_app.i18n import t

ICONS = {OK: ":green[:material/check_circle:]", WARNING: ":orange[:material/warning:]", ERROR: ":red[:material/error:]"}


def doctor_report(checks: Sequence[Check]) -> None:
    """How many are well; then those with something to do; then all, desk and card side by side."""
    counts = Counter(one.level for one in checks)
    for column, level in zip(st.columns(3), (OK, WARNING, ERROR), strict=True):
        column.metric(f"{ICONS[level]} {t(f'doctor.{level}')}", counts[level], border=True)
    troubles = sorted((one for one in checks if one.advice), key=lambda one: one.level != ERROR)
    for one in troubles:
        show = st.error if one.level == ERROR else st.warning if one.level == WARNING else st.info
        show(f"**{_title(one)}**　{plain(one.detail)}  \n→ {plain(one.advice)}")
    if not troubles:
        st.success(t("doctor.all_well"), icon=":material/check_circle:")
    desk = len(checks) - len(CARD_CHECKS)
    for column, title, some in zip(
        st.columns(2), ("doctor.desk", "doctor.graphics"), (checks[:desk], checks[desk:]), strict=True
    ):
        with column.container(border=True):
            st.subheader(t(title), anchor=False)
            for one in some:
                st.markdown(f"{ICONS[one.level]} **{_title(one)}**  \n{plain(one.detail)}")


def _title(check: Check) -> str:
    return t(f"doctor.check.{check.name}")
