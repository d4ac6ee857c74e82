"""Words on the screen: `t("key")` looks a key up in the catalogues of the chosen language.

Every `locales/*.zh.json` and `locales/*.en.json` is a flat object, key to string; `{name}` marks a value.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import streamlit as st

LOCALES = Path(__file__).resolve().parent / "locales"
LANGUAGES = {"zh": "中文", "en": "English"}
DEFAULT = "zh"
LANGUAGE_KEY = "language"


@lru_cache(maxsize=len(LANGUAGES))
def catalogue(language: str) -> dict[str, str]:
    """All words of one language, the files merged in the order of their names."""
    words: dict[str, str] = {}
    for path in sorted(LOCALES.glob(f"*.{language}.json")):
        words.update(json.loads(path.read_text(encoding="utf-8")))
    return words


def language() -> str:
    """The language of this session."""
    chosen = st.session_state.get(LANGUAGE_KEY)
    return chosen if chosen in LANGUAGES else DEFAULT


def t(key: str, **values: object) -> str:
    """The words for `key` in the session's language; the Chinese ones, then the key itself, where they are missing."""
    words = catalogue(language()).get(key) or catalogue(DEFAULT).get(key) or key
    return words.format(**values) if values else words


def title(chinese: str, english: str) -> str:
    """Whichever of two names belongs to the session's language."""
    return english if language() == "en" and english else chinese
