"""Keys that work on every page: to another page, to the search field, the other language, and the list of all keys."""

from __future__ import annotations

from html import escape
from pathlib import Path

import streamlit as st

from streamlit_app.components.annotator import KEYS as REVIEW_KEYS
from streamlit_app.i18n import DEFAULT, LANGUAGE_KEY, LANGUAGES, language, t
from streamlit_app.navigation import KEYS, PAGES

FRONTEND = Path(__file__).resolve().parents[1] / "frontend"
_COMPONENT = st.components.v2.component("shortcuts", js=(FRONTEND / "shortcuts.js").read_text(encoding="utf-8"))
KEY, HELP = "desk-keys", "desk-help"
SHARED = (("?", "help"), ("/", "search"), ("Ctrl+Enter", "run"), ("Alt+L", "language"), ("Esc", "leave"))
ADDRESSES = (
    ("/documents?document=7", "documents"),
    ("/jobs?job=3", "jobs"),
    ("/review?run=3&document=12", "review"),
    ("/explore?run=3", "explore"),
    ("/schemas?schema=…", "schemas"),
    ("/entities?document=7&schema=…@2", "task"),
    ("/entities?job=3", "result"),
)


def shortcuts() -> None:
    """Listen for the keys, and show the list of them when it was asked for; before the page is run."""
    with st.container(key="desk-shortcuts"):
        _COMPONENT(key=KEY, data={"pages": {key: page for page, key in KEYS.items()}}, on_pressed_change=_take)
    if st.session_state.pop(HELP, False):
        _dialog()


def ask_help() -> None:
    """Show the list of keys in the next run; a callback."""
    st.session_state[HELP] = True


def _take() -> None:
    """Do what a key asks for; anything that is none of ours is left aside."""
    state = st.session_state.get(KEY)
    pressed = state.pressed if state is not None else None
    known = [page for names in PAGES.values() for page in names]
    if pressed == "help":
        ask_help()
    elif pressed == "language":
        codes = list(LANGUAGES)
        st.session_state[LANGUAGE_KEY] = codes[(codes.index(language() or DEFAULT) + 1) % len(codes)]
    elif pressed in known:
        st.switch_page(f"../pages/{pressed}.py")


def _dialog() -> None:
    # Made here, for its title is a word of the session's language.
    @st.dialog(t("keys.title"), width="large", icon=":material/keyboard:")
    def show() -> None:
        here = [(f"G {KEYS[page].upper()}", t(f"page.{page}")) for page in _pages() if page in KEYS]
        tables = (
            _table(t("keys.everywhere"), [(key, t(f"keys.{name}")) for key, name in SHARED])
            + _table(t("keys.addresses"), [(where, t(f"keys.address.{name}")) for where, name in ADDRESSES]),
            _table(t("keys.pages"), here),
            _table(t("page.review"), [(key, t(f"review.key.{name}")) for key, name in REVIEW_KEYS]),
        )
        st.html('<div class="desk-keys">' + "".join(f"<div>{one}</div>" for one in tables) + "</div>")

    show()


def _pages() -> list[str]:
    return [page for names in PAGES.values() for page in names]


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    """A heading and rows of a key, or an address, and what it does."""
    body = "".join(f"<tr><td><kbd>{escape(key)}</kbd></td><td>{escape(words)}</td></tr>" for key, words in rows)
    return f"<table><caption>{escape(title)}</caption>{body}</table>"
