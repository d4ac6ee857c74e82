"""Streamlit's own words, as on its uploader and its tables, which it has in English only, in the session's language."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from streamlit_app.i18n import language, t

FRONTEND = Path(__file__).resolve().parents[1] / "frontend"
_COMPONENT = st.components.v2.component("frame_words", js=(FRONTEND / "frame_words.js").read_text(encoding="utf-8"))
WORDS = {
    "Press Enter to apply": "enter",
    "Press Ctrl+Enter to apply": "ctrl_enter",
    "Press ⌘+Enter to apply": "command_enter",
    "Press Enter to submit form": "submit",
    "Upload": "upload",
    "Browse files": "upload",
    "file upload": "upload",
    "No results": "no_results",
    "Choose an option": "choose",
    "Choose options": "choose",
    "Select all": "all",
    "Skip to main content": "skip",
    "Sidebar": "sidebar",
    "App pages": "pages",
    "Expand sidebar": "expand",
    "Collapse sidebar": "collapse",
    "Main menu": "menu",
    "Help": "help",
    "Open": "open",
    "Close": "close",
    "Dismiss": "close",
    "Clear value": "clear",
    "Clear all": "clear",
    "Clear entry": "clear",
    "Increment": "more",
    "Decrement": "less",
    "Pagination": "pagination",
    "Previous page": "previous",
    "Next page": "next",
    "Show/hide columns": "columns",
    "Download as CSV": "csv",
    "Search": "search",
    "Close Search": "close",
    "Previous Result": "previous_hit",
    "Next Result": "next_hit",
    "Fullscreen": "full",
    "Close fullscreen": "window",
    "Copy to clipboard": "copy",
    "Copied": "copied",
    "Selected values": "selected",
    "Running...": "running",
    "Stop": "stop",
    "Stop script": "stop",
    "Sort ascending": "ascending",
    "Sort descending": "descending",
    "Autosize": "autosize",
    "Pin column": "pin",
    "Unpin column": "unpin",
    "Hide column": "hide",
    "Dataframe column menu": "column_menu",
    "Copy column name": "copy_name",
    "delete icon": "delete",
}
"""What Streamlit says, and which of our words stands for it."""
PATTERNS = {
    "Help for (.+)": "help_for",
    "Page (\\d+)": "page",
    "Remove (.+)": "remove",
    "Shortcut (.+)": "shortcut",
    "(\\d+ ?[KMG]?B) per file": "per_file",
    "(\\d+ ?[KMG]?B) per file • (.+)": "per_file_of",
}
"""The same for words with something in them, as regular expressions; `$1` in our words is the first of these."""


def frame_words() -> None:
    """Have the browser say these words in the language of the session; before the page is run."""
    other = language() != "en"
    words = {english: t(f"frame.{name}") for english, name in WORDS.items()} if other else {}
    patterns = [(english, t(f"frame.{name}")) for english, name in PATTERNS.items()] if other else []
    with st.container(key="desk-frame-words"):
        _COMPONENT(key="frame-words", data={"words": words, "patterns": patterns})
