"""The one application of this process: every session shares it, and with it one model."""

from __future__ import annotations

import streamlit as st

from core import bootstrap
from core.access.principal import Principal
from core.bootstrap import Application
from streamlit_app.session_user import acting


@st.cache_resource(max_entries=1, show_spinner=False, on_release=lambda app: app.close())
def application() -> Application:
    """The application, built by the first session that asks; import it only as `streamlit_app.resources`."""

    def identify() -> Principal:
        return acting(app)

    app = bootstrap.serve(identify=identify)
    return app
