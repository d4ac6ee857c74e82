"""What the address of a page says (`/jobs?job=3`), taken once, and kept up to date so that a copied one opens the same.

A page that is left for another comes back without parameters; it shows what it showed and writes them again.
"""

from __future__ import annotations

import time

import streamlit as st

OVERTAKEN_S = 5.0
"""A run of the page that began before the address was changed still brings the one before; this late it cannot."""


def arrived(page: str) -> dict[str, str]:
    """The parameters of an address that this session has not taken for `page` yet; none when it brings nothing new."""
    if not is_new(page):
        return {}
    given = st.query_params.to_dict()
    _know(page, given)
    return given


def is_new(page: str) -> bool:
    """Whether the address says something that was neither taken nor written for `page`, nor just replaced."""
    given = st.query_params.to_dict()
    known, replaced, at = st.session_state.get(_key(page), (None, None, 0.0))
    return bool(given) and given != known and not (given == replaced and time.monotonic() - at < OVERTAKEN_S)


def keep(page: str, **values: str | int | None) -> None:
    """Make the address of `page` say `values`, those that are None left out."""
    wanted = {name: str(value) for name, value in values.items() if value is not None}
    if st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)
    _know(page, wanted)


def _know(page: str, values: dict[str, str]) -> None:
    known = st.session_state.get(_key(page), (None,))[0]
    if values != known:
        st.session_state[_key(page)] = (values, known, time.monotonic())


def number(value: str | None) -> int | None:
    """A number of the database as an address gives it; None for anything else."""
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 18 else None


def _key(page: str) -> str:
    return f"{page}-address"
