"""The colours of types: told apart by colour-blind people, readable in both themes, the same as those of the config."""

from __future__ import annotations

import math
import re
import tomllib
from itertools import combinations
from pathlib import Path

import pytest

from core.palette import DARK, LAYERS, LIGHT, PALETTE, READABLE, VISIBLE, WHITE, contrast, ink_on, line_on, over, tint
from core.types import Annotation
from core.views import classes
from core.views.cards import POLARITY_COLOURS, answer_cards
from streamlit_app.components import charts, relation_graph

ROOT = Path(__file__).resolve().parent.parent
# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
SIGHTS = {
    "all": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no red": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "no green": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "no blue": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
# A just noticeable difference in OKLab is about 0.02; the set of Okabe and Ito alone comes to 0.076.
APART = 0.07


def seen(colour: str, sight: tuple[tuple[float, ...], ...]) -> tuple[float, float, float]:
    """A colour as it is seen, in OKLab."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    r, g, b = (min(1, max(0, sum(a * c for a, c in zip(row, linear, strict=True)))) for row in sight)
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    middle = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


@pytest.mark.parametrize("sight", SIGHTS)
def test_no_two_colours_look_alike_to_any_eye(sight: str) -> None:
    for one, other in combinations(PALETTE, 2):
        assert math.dist(seen(one, SIGHTS[sight]), seen(other, SIGHTS[sight])) >= APART, (one, other)


@pytest.mark.parametrize("colour", PALETTE)
def test_names_and_texts_on_a_colour_are_readable_in_both_themes(colour: str) -> None:
    assert contrast(ink_on(colour), colour) >= READABLE
    for theme, most in ((LIGHT, 0.22), (DARK, 0.4)):
        assert contrast(line_on(colour, theme[0]), theme[0]) >= VISIBLE
        tinted = tint(colour, theme, most=most)
        below = theme[0]
        for _ in range(LAYERS):
            below = over(colour, below, int(tinted[7:], 16) / 255)
        assert contrast(theme[1], below) >= READABLE - 0.05
        assert below != theme[0]


def test_words_on_primary_buttons_and_chosen_values_are_readable_in_both_themes() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))["theme"]
    style = (ROOT / "streamlit_app" / "frontend" / "shell.css").read_text("utf-8")
    [inks] = re.findall(r"stBaseButton-primary[^}]*color: light-dark\((#\w+), (#\w+)\)", style)
    for theme, ink in zip(("light", "dark"), inks, strict=True):
        assert contrast(ink, config[theme]["primaryColor"]) >= READABLE


def test_the_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)


def test_the_themes_of_the_desk_are_those_that_the_colours_were_made_for() -> None:
    theme = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))["theme"]
    for name, (background, text) in {"light": LIGHT, "dark": DARK}.items():
        colours = theme[name]
        assert (colours["backgroundColor"], colours["textColor"]) == (background, text)
        for place in (colours["backgroundColor"], colours["secondaryBackgroundColor"]):
            assert contrast(colours["textColor"], place) >= READABLE
            assert contrast(colours["primaryColor"], place) >= READABLE
        assert all(contrast(one, background) >= VISIBLE for one in colours["chartCategoricalColors"])


# Places that no text stands in, or whose text is of no use for the moment.
UNREAD = re.compile(r"disabled|keyframes|\d+%|::before|rexa-feed|rexa-row\.out|rexa-state\.open|gpu-none")
FAINT = re.compile(r"([^{}]+)\{[^{}]*?(?<![-\w])opacity: ?(0?\.\d+|1)\b")
STYLED = [*ROOT.glob("core/views/*.py"), *ROOT.glob("streamlit_app/components/*.py"), ROOT / "core" / "rendering.py"]
STYLED += ROOT.glob("streamlit_app/frontend/*.css")


def backgrounds() -> list[tuple[str, str]]:
    """Every background of the desk with the colour of the text on it."""
    theme = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))["theme"]
    return [
        (part[place], theme[name]["textColor"])
        for name in ("light", "dark")
        for part in (theme[name], theme[name]["sidebar"])
        for place in ("backgroundColor", "secondaryBackgroundColor")
    ]


def test_faint_text_is_readable_on_every_background_of_both_themes() -> None:
    faint = [
        (path.name, where.strip(), float(share))
        for path in STYLED
        for where, share in FAINT.findall(path.read_text("utf-8"))
        if not UNREAD.search(where)
    ]
    assert len(faint) > 25
    for name, where, share in faint:
        for background, text in backgrounds():
            assert contrast(over(text, background, share), background) >= READABLE, (name, where, share, background)


def test_words_and_lines_of_the_views_stand_out_in_both_themes() -> None:
    for colour in POLARITY_COLOURS.values():
        assert contrast(WHITE, colour) >= READABLE, "counts stand in white on it"
    for colour in (classes.BLUE, charts.BLUE, relation_graph.LINE):
        for background in (LIGHT[0], DARK[0]):
            assert contrast(colour, background) >= VISIBLE
    for theme in (LIGHT, DARK):
        for colour in PALETTE:
            assert contrast(line_on(colour, theme[0]), theme[0]) >= VISIBLE
    answers = [Annotation(f"问{number}", 0, 1, "甲", 0.9) for number in range(len(PALETTE))]
    cards = answer_cards([one.type for one in answers], answers, lambda key, **values: f"{key} {values}")
    pairs = re.findall(r"--mark:(#\w+)\".*?--ink:(#\w+)", cards)
    assert {colour for colour, _ in pairs} == set(PALETTE)
    assert all(contrast(colour, ink) >= READABLE for colour, ink in pairs)
