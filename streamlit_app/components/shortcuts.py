"""Keys that work on every page: to another page, to the search field, the other language, and the list of all keys."""

from __future__ import annotations

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
    pressed = st.session_state[KEY].pressed
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
        left, right = st.columns(2, gap="large")
        with left:
            st.markdown(_table(t("keys.everywhere"), [(key, t(f"keys.{name}")) for key, name in SHARED]))
            st.markdown(_table(t("page.review"), [(key, t(f"review.key.{name}")) for key, name in REVIEW_KEYS]))
        with right:
            here = [(f"G {KEYS[page].upper()}", t(f"page.{page}")) for page in _pages() if page in KEYS]
            st.markdown(_table(t("keys.pages"), here))
        st.markdown(_table(t("keys.addresses"), [(where, t(f"keys.address.{name}")) for where, name in ADDRESSES]))

    show()


def _pages() -> list[str]:
    return [page for names in PAGES.values() for page in names]


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    """A table in Markdown; its words are the desk's own."""
    return "\n".join([f"| {title} | |", "| :-- | :-- |", *(f"| `{key}` | {words} |" for key, words in rows)])
