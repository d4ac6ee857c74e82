"""Figures of the exploration are readable in both themes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from core.palette import DARK, LIGHT, VISIBLE, contrast
from core.rendering import type_colour
from streamlit_app.components.explore_charts import heat, histogram

TYPES = [f"类型{number}" for number in range(8)]


@pytest.mark.parametrize(("theme", "background"), [("light", LIGHT[0]), ("dark", DARK[0])])
def test_cells_are_opaque_and_bars_stand_out_from_the_background(
    theme: str, background: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamlit.context", SimpleNamespace(theme=SimpleNamespace(type=theme)))
    [cells] = heat(["甲"], ["乙"], {("甲", "乙"): 3}).data
    low, high = (colour for _, colour in cells.colorscale)
    # what is see-through is taken for light when the ink of its number is chosen
    assert all(colour.startswith("#") and len(colour) == 7 for colour in (low, high))
    assert contrast(low, background) < 1.2
    bars = histogram({name: [1, 2] for name in TYPES}).data
    assert all(contrast(one.marker.color, background) >= VISIBLE for one in bars)


def test_a_type_has_the_colour_that_it_has_in_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamlit.context", SimpleNamespace(theme=SimpleNamespace(type="dark")))
    strong = next(name for name in TYPES if contrast(type_colour(name), DARK[0]) >= VISIBLE)
    [bars] = histogram({strong: [1, 2]}).data
    assert bars.marker.color == type_colour(strong)
