"""The checkpoints on this machine, the one in use marked: use another, check one, read its card, remove one."""

from __future__ import annotations

import re
import shutil

import streamlit as st

from core import model_services
from core.bootstrap import Application
from core.checkpoints.choice import is_here, remembered
from core.checkpoints.files import CARD
from core.checkpoints.installed import DOWNLOADED, TUNED, Installed
from core.checkpoints.work import Work
from core.errors import RexError
from streamlit_app.components.gpu_gauge import size
from streamlit_app.components.messages import plain, shown_errors
from streamlit_app.components.model_work import ended_badly, follow_work, millions
from streamlit_app.i18n import t, title

COLOURS = {"included": "blue", "downloaded": "violet", "tuned": "green", "other": "gray"}
CARD_CHARACTERS = 20_000
# A card that states its licence in both languages: 仅供研究 (for research only).
BOTH = re.compile(r"(.*[\u4e00-\u9fff].*?)\s*[(（]([ -~]+)[)）][.。]?")


def model_list(app: Application) -> None:
    """Draw the checkpoints with what can be done with each."""
    there = model_services.installed_checkpoints(app)
    active = app.settings.model_source
    _summary(app, there, active)
    _notes(app)
    _verification(app)
    for number, one in enumerate(there):
        _row(app, one, active=one.source == active, key=f"model-{number}")
    _directory(app)


def licence_words(stated: str) -> str:
    """The licence as the card states it, in the language of the session where the card has both."""
    both = BOTH.fullmatch(stated)
    return stated if both is None else title(*both.groups())


def _summary(app: Application, there: list[Installed], active: str) -> None:
    current = next((one for one in there if one.source == active), None)
    free = shutil.disk_usage(app.settings.data_dir if app.settings.data_dir.exists() else ".").free
    cells = {
        "active": current.name if current else active,
        "parameters": millions(current.parameters) if current else "—",
        "count": str(len(there)),
        "disk": size(sum(one.size_bytes for one in there)),
        "free": size(free),
    }
    for column, (name, value) in zip(st.columns([2, 1, 1, 1, 1]), cells.items(), strict=True):
        column.metric(t(f"models.sum.{name}"), plain(value), border=True)


def _notes(app: Application) -> None:
    if app.pinned:
        st.info(t("models.pinned"), icon=":material/push_pin:")
    elif (kept := remembered(app.settings)) and not is_here(app.settings, kept):
        st.warning(t("models.gone", source=plain(kept)), icon=":material/search_off:")
    if waiting := model_services.waiting_jobs(app):
        st.warning(t("models.waiting", count=waiting), icon=":material/hourglass_empty:")


def _row(app: Application, one: Installed, *, active: bool, key: str) -> None:
    with st.container(border=True, key=f"{key}-row"):
        name, facts, buttons = st.columns([4, 5, 5], vertical_alignment="center", gap="medium")
        badges = f":{COLOURS[one.kind]}-badge[{t(f'models.kind.{one.kind}')}]"
        if active:
            badges = f":green-badge[:material/check_circle: {t('models.active')}] {badges}"
        if not one.complete:
            badges += f" :orange-badge[:material/downloading: {t('models.partial')}]"
        revision = "" if one.revision == "local" else f" @{one.revision}"
        name.markdown(f"**{plain(one.name)}**{plain(revision)}  \n{badges}")
        sums = t("models.sums" if one.has_sums else "models.sums.none")
        base = t("models.base", name=plain(one.base.rpartition("/")[2])) if one.kind == TUNED else ""
        first = " · ".join(part for part in (millions(one.parameters), size(one.size_bytes), sums, base) if part)
        licence = plain(licence_words(one.licence)) if one.licence else t("models.licence.none")
        facts.markdown(f"{first}  \n:small[:gray[{t('models.licence')} {licence}]]")
        facts.caption(plain(str(one.directory)))
        place = buttons.container(horizontal=True, horizontal_alignment="right", gap="small")
        if not active and one.complete:
            place.button(
                t("models.use"), key=f"{key}-use", icon=":material/swap_horiz:",
                on_click=_use, args=(app, one),
            )  # fmt: skip
        place.button(
            t("models.verify"), key=f"{key}-verify", icon=":material/verified:", on_click=_verify, args=(app, one)
        )
        if (one.directory / CARD).is_file():
            with place.popover(t("models.card"), icon=":material/description:"):
                st.code((one.directory / CARD).read_text("utf-8", "replace")[:CARD_CHARACTERS], "markdown", height=420)
        if one.kind in (DOWNLOADED, TUNED) and not active:
            with place.popover(t("models.remove"), icon=":material/delete:"):
                st.write(t("models.remove.sure", name=plain(one.name), size=size(one.size_bytes)))
                st.button(
                    t("models.remove.yes"), key=f"{key}-remove", type="primary", on_click=_remove, args=(app, one)
                )


def _directory(app: Application) -> None:
    with st.expander(t("models.directory"), icon=":material/folder_open:"):
        st.caption(t("models.directory.help"))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            path = st.text_input(t("models.directory.path"), key="models-path", placeholder="/data/models/…")
            if st.button(
                t("models.use"), key="models-path-use", icon=":material/swap_horiz:", disabled=not path.strip()
            ):
                with shown_errors(), st.spinner(t("models.switching")):
                    _switch(app, path.strip())
                    st.rerun()


def _verification(app: Application) -> None:
    work = follow_work(app, model_services.VERIFY, key="models-verify", words=_verify_words)
    if work is None:
        return
    with st.container(border=True, key="models-verified"):
        head = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center")
        head.markdown(f"**{t('models.verified', name=plain(work.about))}**")
        head.button(
            "", key="models-verified-close", icon=":material/close:", help=t("models.close"), type="tertiary",
            on_click=app.works.forget, args=(model_services.VERIFY,),
        )  # fmt: skip
        if ended_badly(work):
            return
        for check in work.result:
            sign = ":green[:material/check_circle:]" if check.holds else ":red[:material/cancel:]"
            st.markdown(f"{sign} {plain(check.name)}　:gray[{plain(check.detail)}]")


def _verify_words(work: Work) -> str:
    if work.progress.total:
        return t("models.verifying.hashes", name=work.about, share=round(work.progress.share * 100))
    return t("models.verifying", name=work.about)


def _use(app: Application, one: Installed) -> None:
    try:
        _switch(app, one.source)
    except RexError as error:
        st.toast(plain(str(error)), icon=":material/error:")


def _switch(app: Application, name: str) -> None:
    done = model_services.use_checkpoint(app, name)
    words = t("models.used", name=plain(done.source.rpartition("/")[2]))
    st.toast(words + (t("models.used.waiting", count=done.waiting) if done.waiting else ""), icon=":material/check:")


def _verify(app: Application, one: Installed) -> None:
    try:
        model_services.start_verify(app, one.source)
    except RexError as error:
        st.toast(plain(str(error)), icon=":material/error:")


def _remove(app: Application, one: Installed) -> None:
    try:
        freed = model_services.remove_checkpoint(app, one.source)
        st.toast(t("models.removed", name=plain(one.name), size=size(freed)), icon=":material/delete:")
    except RexError as error:
        st.toast(plain(str(error)), icon=":material/error:")
