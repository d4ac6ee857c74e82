"""The one application of this process: every session shares it, and with it one model."""

from __future__ import annotations

import gc
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

import streamlit as st

from core import bootstrap
from core.access.principal import Principal
from core.bootstrap import Application
from streamlit_app import components
from streamlit_app.session_user import acting


@st.cache_resource(max_entries=1, show_spinner=False, on_release=lambda app: app.close())
def application() -> Application:
    """The application, built by the first session that asks; import it only as `streamlit_app.resources`."""

    def identify() -> Principal:
        return acting(app)

    _settle()
    app = bootstrap.serve(identify=identify)
    return app


@cache
def _settle() -> None:
    """Load the code of every page, once in a process, and keep what that made out of the garbage collector's sight.

    Nobody waits yet. Of the hundreds of thousands of objects that libraries make nearly all stay until the end; each
    full collection would go through them, 0.25 s in which no session gets on. What the application makes comes later
    and is collected as ever.
    """
    for module in iter_modules(components.__path__):
        import_module(f"{components.__name__}.{module.name}")
    gc.collect()
    gc.freeze()
