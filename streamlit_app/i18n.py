"""Words on the screen: `t("key")` looks a key up in the catalogues of the chosen language.

The catalogues are gettext files, `locales/<language>/LC_MESSAGES/<part>.po`, so that translation tools open them; the
message id is the key, and `{name}` in a message marks a value.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import streamlit as st
from babel.messages.pofile import read_po

LOCALES = Path(__file__).resolve().parent / "locales"
LANGUAGES = {"zh": "中文", "en": "English"}
DEFAULT = "zh"
LANGUAGE_KEY = "language"


@lru_cache(maxsize=len(LANGUAGES))
def catalogue(language: str) -> dict[str, str]:
    """All words of one language, the files merged in the order of their names."""
    words: dict[str, str] = {}
    for path in sorted(LOCALES.glob(f"{language}/LC_MESSAGES/*.po")):
        with path.open("rb") as file:
            words |= {str(one.id): str(one.string) for one in read_po(file, abort_invalid=True) if one.id}
    return words


def language() -> str:
    """The language of this session."""
    chosen = st.session_state.get(LANGUAGE_KEY)
    return chosen if chosen in LANGUAGES else DEFAULT


def t(key: str, **values: object) -> str:
    """The words for `key` in the session's language; the Chinese ones, then the key itself, where they are missing."""
    words = catalogue(language()).get(key) or catalogue(DEFAULT).get(key) or key
    return words.format(**values) if values else words


def hold(*keys: str) -> None:
    """Keep what was chosen in fields with named options; before they are drawn.

    The browser knows a choice by its name only, which in another language belongs to no option any more: the field
    would fall back to its first one.
    """
    for key in keys:
        if key in st.session_state:
            st.session_state[key] = st.session_state[key]


def title(chinese: str, english: str) -> str:
    """Whichever of two names belongs to the session's language."""
    return english if language() == "en" and english else chinese
