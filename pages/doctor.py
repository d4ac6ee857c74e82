"""Whether machine, card, database, model and ports are ready, and what to do where they are not."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from core.doctor import judge
from core.doctor.machine import gather
from core.doctor.records import FACTS, Facts
from streamlit_app.components.doctor_report import doctor_report
from streamlit_app.components.heading import heading
from streamlit_app.i18n import t
from streamlit_app.resources import application

KEY = "doctor-facts"
STEPS = ("machine", "card", "database", "model", "ports")


def keep(facts: Facts, kind: str) -> None:
    """Remember what was found, with the time, for this session."""
    st.session_state[KEY] = (facts, kind)


def full_check() -> None:
    """Everything, step by step; pressing Stop runs the page anew, which ends this."""
    with st.container(horizontal=True, vertical_alignment="center"):
        bar = st.progress(0.0, text=t("doctor.step.machine"))
        st.button(t("doctor.stop"), icon=":material/stop:", key="doctor-stop")

    def told(step: str) -> None:
        bar.progress(STEPS.index(step) / len(STEPS), text=t(f"doctor.step.{step}"))

    keep(gather(app.settings, port=port, told=told), "whole")
    bar.empty()


heading("doctor")
app = application()
port = int(st.get_option("server.port"))
with st.container(horizontal=True, vertical_alignment="center"):
    asked = st.button(
        t("doctor.whole"),
        help=t("doctor.whole.help"),
        icon=":material/troubleshoot:",
        key="doctor-whole",
        type="primary",
    )
    again = st.button(t("doctor.quick"), icon=":material/refresh:", key="doctor-quick")
    download = st.empty()
if asked:
    keep(gather(app.settings, port=port, whole=False), "stopped")  # what remains when it is stopped
    full_check()
    st.rerun()
if again or KEY not in st.session_state:
    keep(gather(app.settings, port=port, whole=False), "quick")
facts, kind = st.session_state[KEY]
download.download_button(
    t("doctor.facts"),
    data=FACTS.dump_json(facts, indent=1),
    file_name="facts.json",
    mime="application/json",
    help=t("doctor.facts.help"),
    icon=":material/download:",
    key="doctor-facts-download",
    on_click="ignore",
)
time = datetime.fromtimestamp(facts.now_s).strftime("%Y-%m-%d %H:%M:%S")
st.caption(t("doctor.when", time=time, kind=t(f"doctor.kind.{kind}")))
doctor_report(judge(facts))
