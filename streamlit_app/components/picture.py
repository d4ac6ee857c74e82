"""Pictures in SVG, which `st.html` would take out."""

from __future__ import annotations

import streamlit as st

from core.rendering import STYLES as TEXT_STYLES
from core.views.arcs_svg import STYLES

_COMPONENT = st.components.v2.component(
    "picture",
    html='<div class="picture"></div>',
    # What comes as data was escaped where it was made.
    js="""export default function (component) {
  component.parentElement.querySelector(".picture").innerHTML = component.data.markup
}""",
)


def picture(markup: str, *, key: str) -> None:
    """Draw the SVG of `core.views`, in which all that users wrote is escaped."""
    with st.container(border=True):
        _COMPONENT(key=key, data={"markup": f"{TEXT_STYLES}{STYLES}{markup}"})
