"""The door of the desk: refuses to serve others without a log-in, asks who comes, and shows who is in."""

from __future__ import annotations

import json

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import accounts
from core.access.binding import check_binding, check_request
from core.access.principal import EVERYBODY, LOCAL, VIEWER, Principal
from core.bootstrap import Application
from core.config import Settings
from core.errors import AccessError, RexError
from core.storage import user_store
from streamlit_app import session_user
from streamlit_app.components.messages import plain, show_error, shown_errors
from streamlit_app.components.sidebar import language_switch
from streamlit_app.i18n import t
from streamlit_app.resources import application


def admitted() -> Principal | None:
    """Who uses this session; None, with the door on the screen, when nobody is in yet."""
    settings = _settings()
    try:
        check_binding(settings, st.get_option("server.address"))
        check_request(settings, dict(st.context.headers.to_dict()))
    except AccessError as error:
        _refused(error)
        return None
    if settings.auth == "none":
        return LOCAL
    app = application()
    try:
        known = session_user.look_up(app)
    except AccessError as error:
        _door(app, error)
        return None
    _write_cookie(settings)
    if known is None:
        _door(app)
        return None
    if known.signed_in.temporary:
        with _frame(t("access.first.title")):
            st.markdown(t("access.first.text", name=plain(known.signed_in.principal.name)))
            _password_form(app, known.signed_in.principal)
        return None
    return session_user.in_project(known.signed_in.principal)


def user_menu(app: Application, who: Principal) -> None:
    """Who is in, in the sidebar: the project, the password, and the ways out."""
    if who.local:
        st.caption(f":material/person: {t('access.local')}", help=t("access.local.help"))
        return
    with st.popover(plain(who.name), icon=":material/account_circle:", width="stretch"):
        st.markdown(f"**{plain(who.name)}** · {t(f'access.role.{who.role}')}")
        if who.role == VIEWER:
            st.caption(t("access.viewer.note"))
        _project_choice(app, who)
        if app.settings.auth == "accounts":
            with st.expander(t("access.password.change"), icon=":material/key:"):
                _password_form(app, who)
        st.button(
            t("access.sign_out"), key="access-sign-out", icon=":material/logout:", width="stretch",
            on_click=_sign_out, args=(app, who),
        )  # fmt: skip
        st.button(
            t("access.sign_out.everywhere"), key="access-sign-out-everywhere", icon=":material/devices:",
            width="stretch", help=t("access.sign_out.everywhere.help"), on_click=_sign_out_everywhere, args=(app, who),
        )  # fmt: skip


def _settings() -> Settings:
    """Read before the application is built: where nobody may come in nothing is started."""
    return Settings()


def _refused(error: AccessError) -> None:
    with _frame(t("access.refused.title")):
        show_error(error)


def _door(app: Application, error: RexError | None = None) -> None:
    """What stands before the desk for whoever is not in."""
    with _frame(t("access.sign_in.title")):
        if error is not None:
            show_error(error)
        if app.settings.auth == "accounts":
            _sign_in_form(app)
        elif app.settings.auth == "proxy":
            st.markdown(t("access.proxy.missing"))
        elif error is not None:
            st.button(t("access.sign_out"), key="access-leave-service", icon=":material/logout:", on_click=st.logout)
        else:
            st.markdown(t("access.oidc.text"))
            if st.button(t("access.oidc"), key="access-oidc", type="primary", icon=":material/login:", width="stretch"):
                st.login()


def _sign_in_form(app: Application) -> None:
    with st.form("access-sign-in", border=False):
        name = st.text_input(t("access.name"), key="access-name", max_chars=64, autocomplete="username")
        password = st.text_input(
            t("access.password"), key="access-word", type="password", max_chars=256, autocomplete="current-password"
        )
        pressed = st.form_submit_button(t("access.sign_in"), type="primary", icon=":material/login:", width="stretch")
    if not user_store.list_users(app.own_database):
        st.info(t("access.nobody"), icon=":material/info:")
    if pressed:
        with shown_errors():
            session_user.enter(app, name, password)
            st.rerun()


def _password_form(app: Application, who: Principal) -> None:
    with st.form("access-password", border=False, clear_on_submit=True):
        old = st.text_input(t("access.password.old"), key="access-old", type="password", max_chars=256)
        new = st.text_input(
            t("access.password.new"), key="access-new", type="password", max_chars=256, help=t("access.password.rules")
        )
        again = st.text_input(t("access.password.again"), key="access-again", type="password", max_chars=256)
        pressed = st.form_submit_button(t("access.password.change"), icon=":material/key:", width="stretch")
    if pressed and new != again:
        st.error(t("access.password.differ"), icon=":material/error:")
    elif pressed:
        with shown_errors():
            accounts.change_password(app.own_database, who, old, new)
            st.toast(t("access.password.changed"), icon=":material/check:")
            session_user.look_up(app)
            st.rerun()


def _project_choice(app: Application, who: Principal) -> None:
    """Where new documents and runs go; of no use where everybody sees everything and there is one project."""
    if len(who.projects) > 1 or (who.projects and app.settings.sharing != EVERYBODY):
        names = user_store.project_names(app.own_database)
        st.session_state.setdefault(session_user.PROJECT, who.project_id)
        st.selectbox(
            t("access.project"), list(who.projects), key=session_user.PROJECT, help=t("access.project.help"),
            format_func=lambda number: names.get(number, str(number)),
        )  # fmt: skip


def _sign_out(app: Application, who: Principal) -> None:
    accounts.sign_out(app.own_database, who)
    _go(app)


def _sign_out_everywhere(app: Application, who: Principal) -> None:
    accounts.sign_out_everywhere(app.own_database, who)
    _go(app)


def _go(app: Application) -> None:
    session_user.leave()
    if app.settings.auth == "oidc":
        st.logout()


def _write_cookie(settings: Settings) -> None:
    """Let the browser keep or forget the token; it comes back with the next connection and survives a refresh."""
    if session_user.COOKIE not in st.session_state:
        return
    token = st.session_state.pop(session_user.COOKIE)
    path = "/" + st.get_option("server.baseUrlPath").strip("/")
    age = settings.session_hours * 3600 if token else 0
    cookie = f"{session_user.cookie_name()}={token}; Path={path}; Max-Age={age}; SameSite=Strict"
    # Streamlit sets no cookie of an application's; the token is made of letters that mean nothing in a script.
    script = f"document.cookie = {json.dumps(cookie)} + (location.protocol === 'https:' ? '; Secure' : '')"
    st.html(f"<script>{script}</script>", unsafe_allow_javascript=True)


def _frame(title: str) -> DeltaGenerator:
    """A narrow column in the middle of the screen, with the language to choose above it."""
    _, middle, _ = st.columns([3, 4, 3])
    with middle:
        language_switch()
        frame = st.container(border=True)
        frame.subheader(title, anchor=False)
    return frame
