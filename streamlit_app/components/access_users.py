"""Users and projects as administrators see and change them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import pandas as pd
import streamlit as st

from core import user_services
from core.access.principal import ANALYST, ROLES
from core.bootstrap import Application
from core.storage.user_store import User
from streamlit_app.components.messages import plain, shown_errors
from streamlit_app.i18n import t

# A generated password waits here until the administrator has noted it; it is kept nowhere else.
ONE_TIME = "access-one-time"


def users(app: Application, everybody: Sequence[User]) -> None:
    """The list of users, a form to add one, and what can be done with one."""
    _one_time_password()
    if not everybody:
        st.info(t("access.users.none"), icon=":material/info:")
    else:
        names = user_services.projects(app.database)
        titles = {one.id: one.name for one in names}
        st.dataframe(
            pd.DataFrame(
                {
                    t("access.name"): one.name,
                    t("access.role"): t(f"access.role.{one.role}"),
                    t("access.state"): t(f"access.state.{state_of(one)}"),
                    t("access.email"): one.email or "",
                    t("access.projects"): "、".join(titles.get(number, str(number)) for number in one.projects),
                    t("access.created"): _when(one.created_at),
                    t("access.seen"): _when(one.seen_at),
                }
                for one in everybody
            ),
            hide_index=True,
            height="content",
            key="access-users",
        )
    left, right = st.columns(2)
    with left.container(border=True):
        _add(app)
    with right.container(border=True):
        if everybody:
            _manage(app, everybody)
        else:
            _roles()


def _when(moment: datetime | None) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}" if moment else "—"


def state_of(user: User) -> str:
    """Whether a user may come in: "active", "temporary" (with a first password) or "disabled"."""
    return "disabled" if user.disabled else "temporary" if user.temporary else "active"


def _one_time_password() -> None:
    if ONE_TIME not in st.session_state:
        return
    name, password = st.session_state[ONE_TIME]
    with st.container(border=True):
        st.warning(t("access.one_time", name=plain(name)), icon=":material/key:")
        st.code(password, language=None)
        st.button(t("access.one_time.close"), key="access-noted", on_click=lambda: st.session_state.pop(ONE_TIME))


def _role_names() -> dict[str, str]:
    return {one: t(f"access.role.{one}") for one in ROLES}


def _roles() -> None:
    """What each role may do; each also what those before it may."""
    st.subheader(t("access.roles"), anchor=False)
    for one in ROLES:
        st.markdown(f"**{t(f'access.role.{one}')}**")
        st.caption(t(f"access.may.{one}"))


def _add(app: Application) -> None:
    st.subheader(t("access.add"), anchor=False)
    with st.form("access-add", border=False, clear_on_submit=True):
        name = st.text_input(t("access.name"), key="access-add-name", max_chars=64)
        names = _role_names()
        role = st.selectbox(
            t("access.role"), list(ROLES), index=ROLES.index(ANALYST), format_func=names.__getitem__,
            key="access-add-role",
        )  # fmt: skip
        email = st.text_input(t("access.add.email"), key="access-add-email", max_chars=255)
        pressed = st.form_submit_button(t("access.add"), type="primary", icon=":material/person_add:")
    if pressed:
        with shown_errors():
            password = user_services.add_user(app.database, name, role=role, email=email)
            if password:
                st.session_state[ONE_TIME] = (name.strip(), password)
            st.toast(t("access.add.done", name=plain(name)), icon=":material/check:")
            st.rerun()


def _manage(app: Application, everybody: Sequence[User]) -> None:
    st.subheader(t("access.manage"), anchor=False)
    found = {one.name: one for one in everybody}
    name = st.selectbox(t("access.choose"), list(found), key="access-user-chosen")
    user = found[name]
    row = st.container(horizontal=True, vertical_alignment="bottom")
    names = _role_names()
    role = row.selectbox(
        t("access.role"), list(ROLES), index=ROLES.index(user.role), format_func=names.__getitem__,
        key=f"access-role-{user.id}-{user.role}", width=180,
    )  # fmt: skip
    if row.button(t("access.set_role"), key="access-set-role", disabled=role == user.role, icon=":material/badge:"):
        _do(lambda: user_services.set_role(app.database, name, role), "access.set_role", name)
    row = st.container(horizontal=True)
    if not user.email and row.button(t("access.reset"), key="access-reset", icon=":material/lock_reset:"):
        with shown_errors():
            st.session_state[ONE_TIME] = (name, user_services.reset_password(app.database, name))
            st.rerun()
    if row.button(t("access.end_sessions"), key="access-end", icon=":material/logout:"):
        _do(lambda: user_services.end_sessions(app.database, name), "access.end_sessions", name)
    if user.disabled:
        if row.button(t("access.enable"), key="access-enable", icon=":material/person:"):
            _do(lambda: user_services.enable_user(app.database, name), "access.enable", name)
    elif row.button(t("access.disable"), key="access-disable", icon=":material/person_off:"):
        _do(lambda: user_services.disable_user(app.database, name), "access.disable", name)
    with row.popover(t("access.remove"), icon=":material/delete:"):
        others = {"": t("access.remove.local")} | {one: one for one in found if one != name}
        heir = st.selectbox(
            t("access.remove.sure"), list(others), format_func=others.__getitem__,
            key=f"access-heir-{user.id}",
        )  # fmt: skip
        if st.button(t("access.remove.yes"), key=f"access-remove-{user.id}", type="primary"):
            _do(lambda: user_services.remove_user(app.database, name, heir=heir), "access.remove", name)


def _do(step: Callable[[], object], what: str, name: str) -> None:
    with shown_errors():
        step()
        st.toast(t("access.done", what=t(what), name=plain(name)), icon=":material/check:")
        st.rerun()


def projects(app: Application, everybody: Sequence[User]) -> None:
    """The list of projects, a form to add one, and who belongs to one."""
    found = {one.name: one for one in user_services.projects(app.database)}
    st.dataframe(
        pd.DataFrame(
            {
                t("access.project.choose"): one.name,
                t("access.members"): "、".join(user.name for user in everybody if one.id in user.projects),
                t("access.documents"): one.documents,
            }
            for one in found.values()
        ),
        hide_index=True,
        height="content",
        key="access-projects",
    )
    left, right = st.columns(2)
    with left.container(border=True), st.form("access-project", border=False, clear_on_submit=True):
        name = st.text_input(t("access.project.name"), key="access-project-name", max_chars=255)
        if st.form_submit_button(t("access.project.add"), type="primary", icon=":material/create_new_folder:"):
            _do(lambda: user_services.add_project(app.database, name), "access.project.add", name)
    with right.container(border=True):
        chosen = st.selectbox(t("access.project.choose"), list(found), key="access-project-chosen")
        members = st.multiselect(
            t("access.members"), [one.name for one in everybody],
            default=[one.name for one in everybody if found[chosen].id in one.projects],
            key=f"access-members-{found[chosen].id}",
        )  # fmt: skip
        if st.button(t("access.project.save"), key="access-project-save", icon=":material/save:"):
            _do(lambda: user_services.set_members(app.database, chosen, members), "access.project.save", chosen)
