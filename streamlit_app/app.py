"""Entry of the dashboard: `streamlit run streamlit_app/app.py`."""

from __future__ import annotations

import sys
from pathlib import Path

# `streamlit run` puts only this file's folder on the path; `core` and `streamlit_app` live one above.
sys.path[:0] = [root] if (root := str(Path(__file__).resolve().parent.parent)) not in sys.path else []

import streamlit as st  # noqa: E402

from core.access.principal import ADMIN  # noqa: E402
from streamlit_app.components.frame_words import frame_words  # noqa: E402
from streamlit_app.components.gate import admitted, user_menu  # noqa: E402
from streamlit_app.components.gpu_gauge import gpu_gauge  # noqa: E402
from streamlit_app.components.page_guard import remember_page  # noqa: E402
from streamlit_app.components.shortcuts import shortcuts  # noqa: E402
from streamlit_app.components.sidebar import language_switch  # noqa: E402
from streamlit_app.components.status_bar import status_bar  # noqa: E402
from streamlit_app.i18n import t  # noqa: E402
from streamlit_app.navigation import ADMIN_PAGES, PAGES  # noqa: E402
from streamlit_app.resources import application  # noqa: E402

# A file of our own: named icons of the browser tab would be fetched from the internet.
HERE = Path(__file__).resolve().parent

st.set_page_config(page_title=t("app.title"), page_icon=HERE / "assets" / "icon.png", layout="wide")
st.html(HERE / "frontend" / "shell.css")

who = admitted()
page = st.navigation(
    {
        t(group): [
            st.Page(
                f"../pages/{name}.py",
                title=t(f"page.{name}"),
                icon=f":material/{icon}:",
                help=t(f"page.{name}.intro"),
                default=name == "overview",
            )
            for name, icon in names.items()
            if name not in ADMIN_PAGES or who is None or who.role == ADMIN
        ]
        for group, names in PAGES.items()
    },
    expanded=True,
    # Whoever is not in yet sees no menu, but the address of the page that was asked for stays.
    position="hidden" if who is None else "sidebar",
)
if who is None:
    st.stop()

remember_page(page.url_path or "overview")
app = application()
with st.sidebar:
    user_menu(app, who)
    gpu_gauge(app)
    language_switch()
frame_words()
shortcuts()
status_bar(app)

page.run()
