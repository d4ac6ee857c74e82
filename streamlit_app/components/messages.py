"""Texts of users and errors, put on the screen without being read as markup."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from core.errors import RexError, SchemaError

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:])")


def plain(text: str) -> str:
    """`text` with every character that Markdown could act on escaped, so that it is shown as it is."""
    return _SPECIAL.sub(r"\\\1", text)


def show_error(error: RexError) -> None:
    """Show an error of the product; a faulty schema one line per fault."""
    lines = error.problems if isinstance(error, SchemaError) else [str(error)]
    st.error("  \n".join(plain(line) for line in lines), icon=":material/error:")


@contextmanager
def shown_errors() -> Iterator[None]:
    """Errors meant for the user appear where they happen; all others go up."""
    try:
        yield
    except RexError as error:
        show_error(error)
