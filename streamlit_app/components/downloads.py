"""Results as files: the bytes are made when the button is pressed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from core import services
from core.exporters import FORMATS as ALL_FORMATS
from core.types import AnnotatedDocument
from streamlit_app.i18n import t, title

FORMATS = {"csv": "text/csv", "jsonl": "application/jsonl", "rex": "application/jsonl"}


def downloads(results: Sequence[AnnotatedDocument], *, name: str, key: str) -> None:
    """A button for each format of export; `name` is the beginning of the file's name."""

    def data(form: str) -> Callable[[], bytes]:
        return lambda: services.export(results, form).data

    with st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        for form, mime in FORMATS.items():
            st.download_button(
                t(f"download.{form}"),
                data=data(form),
                file_name=f"{name}{'-rex' if form == 'rex' else ''}.{'csv' if form == 'csv' else 'jsonl'}",
                mime=mime,
                icon=":material/download:",
                key=f"{key}-download-{form}",
                help=t(f"download.{form}.help"),
                on_click="ignore",
            )
        with st.popover(t("download.more"), icon=":material/ios_share:", key=f"{key}-download-more"):
            _any_format(results, name=name, key=key)


def _any_format(results: Sequence[AnnotatedDocument], *, name: str, key: str) -> None:
    names = {form: title(one.title_zh, one.title_en) for form, one in ALL_FORMATS.items()}
    form = st.selectbox(
        t("exports.format"),
        list(names),
        format_func=names.__getitem__,
        key=f"{key}-download-format",
    )
    chosen = ALL_FORMATS[form]
    st.caption(t(f"exports.about.{form}"))
    st.download_button(
        t("download.format"),
        data=lambda: services.export(results, form).data,
        file_name=f"{name}{chosen.suffix}",
        mime=chosen.mime,
        icon=":material/download:",
        key=f"{key}-download-any",
        on_click="ignore",
    )
