"""A part of the page before that asks late does not leave an empty screen: the opened page is opened anew."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest


@pytest.mark.parametrize(("mark", "opened"), [("", []), ("of another page", ["../pages/entities.py"])])
def test_a_part_that_is_asked_in_the_name_of_another_page_opens_the_one_that_was_opened(
    mark: str, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    monkeypatch.setattr("streamlit.switch_page", taken.append)

    def script(mark: str) -> None:
        import streamlit as st

        from streamlit_app.components.page_guard import OPENED, bring_back, remember_page

        remember_page("entities")
        if mark:
            st.session_state[OPENED] = (mark, "entities")
        bring_back()

    page = AppTest.from_function(script, args=(mark,)).run()
    assert not page.exception
    assert taken == opened
