"""Pictures in SVG, which `st.html` would take out."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.rendering import STYLES as TEXT_STYLES
from core.views.arcs import MARGIN
from core.views.arcs_svg import EM, STYLES

# What comes as data was escaped where it was made. `fits` is how many ems the place has room for: told when it is not
# what was drawn for, with some slack, so that a bar for scrolling that comes and goes starts nothing.
_COMPONENT = st.components.v2.component(
    "picture",
    html='<div class="picture"></div>',
    js="""const SLACK = 2
const watched = new WeakMap()

export default function (component) {
  const place = component.parentElement.querySelector(".picture")
  const { markup, columns, em, around } = component.data
  place.innerHTML = markup
  watched.get(place)?.disconnect()
  if (!columns) return
  let timer
  const watch = new ResizeObserver(() => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      const fits = Math.floor((place.clientWidth - around) / em)
      if (place.clientWidth > 0 && Math.abs(fits - columns) >= SLACK) component.setTriggerValue("fits", fits)
    }, 200)
  })
  watch.observe(place)
  watched.set(place, watch)
  return () => { clearTimeout(timer); watch.disconnect() }
}""",
)
MARGINS = 2 * MARGIN * EM + 4


def picture(markup: str, *, key: str, columns: int = 0, on_fits: Callable[[int], None] | None = None) -> None:
    """Draw the SVG of `core.views`, in which all that users wrote is escaped.

    `columns`: the ems of text on its lines; `on_fits` is told, before the next run, when
    there is room for another number.
    """

    def told() -> None:
        fits = st.session_state[key].fits
        if on_fits is not None and isinstance(fits, int | float):
            on_fits(int(fits))

    data = {"markup": f"{TEXT_STYLES}{STYLES}{markup}", "columns": columns, "em": EM, "around": MARGINS}
    with st.container(border=True):
        _COMPONENT(key=key, data=data, on_fits_change=told)
