"""The colours of types, and what is readable on them. Pure.

The first seven are the set of Okabe and Ito (Color Universal Design), the others were chosen from the sets of Tol
and Martin so that no two of the twelve are alike to people who see no red, no green or no blue. Colour is never alone:
names stand beside it wherever it is used.
"""

from __future__ import annotations

PALETTE = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00",
    "#aa3377", "#f0e442", "#332288", "#b66dff", "#661100", "#6b4e2e",
)  # fmt: skip
# Background and text of the two themes of the desk (.streamlit/config.toml).
LIGHT = ("#ffffff", "#1d2530")
DARK = ("#12171e", "#e3e8ef")
BLACK, WHITE = "#10141a", "#ffffff"
READABLE, VISIBLE = 4.5, 3.0
"""The contrast that text needs, and that lines and areas need (WCAG 2, level AA)."""
LAYERS = 3
"""So many tints may lie on one another under text that stays readable."""


def contrast(one: str, other: str) -> float:
    """The contrast of two colours "#rrggbb" as WCAG 2 defines it, from 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def ink_on(colour: str) -> str:
    """Black or white, whichever is easier to read on `colour`."""
    return max((WHITE, BLACK), key=lambda ink: contrast(ink, colour))


def over(colour: str, background: str, opacity: float) -> str:
    """What is seen where `colour` lies on `background`."""
    mixed = (round(a * opacity + b * (1 - opacity)) for a, b in zip(_parts(colour), _parts(background), strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def line_on(colour: str, background: str) -> str:
    """`colour`, made lighter or darker until a line of it stands out from `background`."""
    towards = ink_on(background)
    steps = (over(towards, colour, step / 20) for step in range(21))
    return next(one for one in steps if contrast(one, background) >= VISIBLE)


def tint(colour: str, theme: tuple[str, str], *, most: float) -> str:
    """`colour` as "#rrggbbaa", to lie under text: as opaque as readable text allows, and no more than `most`."""
    background, text = theme
    for opacity in (number / 100 for number in range(round(most * 100), 0, -1)):
        below = background
        for _ in range(LAYERS):
            below = over(colour, below, opacity)
        if contrast(text, below) >= READABLE:
            break
    return f"{colour}{round(opacity * 255):02x}"


def _parts(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    linear = [part / 3294.6 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in _parts(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
