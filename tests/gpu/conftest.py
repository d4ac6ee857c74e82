"""A driver that answers from a script, so that every state of a card can be tested without one."""

from __future__ import annotations

import pytest

from scripts.scripted_cards import ScriptedDriver


@pytest.fixture
def scripted() -> type[ScriptedDriver]:
    return ScriptedDriver
