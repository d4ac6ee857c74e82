"""What the cards and the host hold right now, half an hour of history, the model, and ways to give memory back."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core import memory_services, services
from core.gpu.records import GpuSnapshot
from core.services import Application
from streamlit_app.components.gpu_card import card_panel
from streamlit_app.components.gpu_charts import card_history, host_history
from streamlit_app.components.gpu_engine import event_table, model_panel
from streamlit_app.components.gpu_freshness import freshness
from streamlit_app.components.gpu_gauge import card_name, main_card, reading
from streamlit_app.components.gpu_host import host_panel
from streamlit_app.components.gpu_lines import card_lines, peak_lines, process_lines
from streamlit_app.components.gpu_release import release_panel
from streamlit_app.components.heading import heading
from streamlit_app.components.messages import plain, shown_errors
from streamlit_app.i18n import t
from streamlit_app.resources import application

REFRESH_S = 2
HISTORY_REFRESH_S = 4
STYLE = Path(__file__).resolve().parent.parent / "streamlit_app" / "frontend" / "gpu.css"


def choose_card(cards: tuple[GpuSnapshot, ...]) -> int:
    """The place of the card that is shown whole; with several, a choice."""
    if len(cards) < 2:
        return 0
    names = {place: card_name(card).split(" · ", 1)[0] + _instance(card) for place, card in enumerate(cards)}
    chosen = st.segmented_control(
        t("gpu.choose"),
        list(names),
        format_func=names.__getitem__,
        default=main_card(cards),
        required=True,
        key="gpu-card",
    )
    return main_card(cards) if chosen is None else chosen


def _instance(card: GpuSnapshot) -> str:
    return "" if card.mig_instance is None else f" · MIG {card.mig_instance}"


def draw_age(app: Application) -> None:
    """How old the readings are."""
    reading(app)
    freshness(app.monitor.status())


def draw_lines(app: Application) -> None:
    """One line for each of several cards."""
    cards = reading(app).cards
    if len(cards) > 1:
        card_lines(cards)


def draw_now(app: Application, place: int) -> None:
    """The latest reading of the chosen card, or why there is none."""
    sample = reading(app)
    if sample.reason:
        st.info(plain(sample.reason), icon=":material/memory:")
        host_panel(sample.host, app.monitor.status())
    for card in sample.cards[place : place + 1]:
        card_panel(card)


def draw_history(app: Application, place: int) -> None:
    """The last half hour of the chosen card, or of the host where there is none."""
    cards, history, events = reading(app).cards, app.monitor.history(), app.monitor.events()
    st.subheader(t("gpu.history"), anchor=False)
    if cards:
        card_history(history, events, position=place, key=f"gpu-history-{place}")
    else:
        host_history(history, events, key="gpu-history-host")


def draw_model(app: Application, place: int) -> None:
    """The model with its budget, and the peaks."""
    model_panel(services.model_status(app), memory_services.demand(app))
    sample = reading(app)
    st.subheader(t("gpu.peak"), anchor=False)
    peak_lines(sample.cards[place : place + 1], sample.host, app.monitor.peaks())
    st.button(
        t("gpu.peak.reset"),
        key="gpu-peak-reset",
        icon=":material/vertical_align_bottom:",
        type="tertiary",
        on_click=reset_peaks,
        args=(app,),
    )


def reset_peaks(app: Application) -> None:
    """The button's doing, before the page is drawn."""
    with shown_errors():
        memory_services.reset_peaks(app)


def draw_rest(app: Application) -> None:
    """Processes, events, and under the cards the host."""
    sample = reading(app)
    left, right = st.columns(2, gap="medium")
    if sample.cards:
        with left:
            st.subheader(t("gpu.processes"), anchor=False)
            process_lines(sample.cards)
    with right if sample.cards else st.container():
        st.subheader(t("gpu.events"), anchor=False)
        event_table(app.monitor.events(), key="gpu-events")
    if sample.cards:
        host_panel(sample.host, app.monitor.status())
        host_history(app.monitor.history(), app.monitor.events(), key="gpu-history-host")


heading("gpu")
st.html(STYLE)
app = application()
switch, age = st.columns([1, 5], vertical_alignment="center")
paused = switch.toggle(t("gpu.pause"), key="gpu-paused", help=t("gpu.pause.help"))
soon, later = (None, None) if paused else (REFRESH_S, HISTORY_REFRESH_S)
with age:
    st.fragment(draw_age, run_every=soon)(app)
st.fragment(draw_lines, run_every=soon)(app)
shown = choose_card(reading(app).cards)
st.fragment(draw_now, run_every=soon)(app, shown)
wide, narrow = st.columns([3, 2], gap="medium")
with wide:
    st.fragment(draw_history, run_every=later)(app, shown)
with narrow:
    st.fragment(draw_model, run_every=later)(app, shown)
release_panel(app)
st.fragment(draw_rest, run_every=later)(app)
