"""Who uses this session: found at the door, asked for by every service, looked up anew every few seconds."""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass, replace

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core import accounts
from core.access.principal import LOCAL, Principal
from core.accounts import Identity, SignedIn
from core.bootstrap import Application
from core.config import Settings
from core.errors import AccessError
from core.storage.tables import utc_now
from streamlit_app.i18n import LANGUAGE_KEY

USER, PROJECT, COOKIE = "access-user", "access-working-in", "access-cookie"
FRESH_S = 5.0
"""So long a session that was ended elsewhere may go on."""
SECRET_HEADER = "X-Rex-Proxy-Secret"
NOT_SIGNED_IN = "您没有登录，或登录已失效。请刷新页面重新登录。"


@dataclass(frozen=True, slots=True)
class Known:
    """The user of a session, the token that proves it (empty where a service vouches), and when that was looked up."""

    signed_in: SignedIn
    token: str
    looked_at: float


def acting(app: Application) -> Principal:
    """Who acts in the session whose script runs. Raises AccessError where nobody has signed in."""
    if app.settings.auth == "none":
        return LOCAL
    if get_script_run_ctx(suppress_warning=True) is None:
        raise AccessError(NOT_SIGNED_IN)  # a thread of nobody's: work in the background has its own database
    known: Known | None = st.session_state.get(USER)
    if known is not None and time.monotonic() - known.looked_at > FRESH_S:
        known = look_up(app)
    if known is None or known.signed_in.temporary:
        raise AccessError(NOT_SIGNED_IN)
    return in_project(known.signed_in.principal)


def look_up(app: Application) -> Known | None:
    """Find out anew who uses the session, None for nobody; AccessError for somebody who may not come in."""
    known: Known | None = st.session_state.get(USER)
    found = _find(app, known.token if known is not None else "")
    if known is not None and (found is None or found.signed_in.principal.user_id != known.signed_in.principal.user_id):
        forget()
    if found is not None:
        st.session_state[USER] = found
    return found


def enter(app: Application, name: str, password: str) -> None:
    """Sign in with a password; the browser is given the token. Raises AccessError as `accounts.sign_in`."""
    token = accounts.sign_in(app.own_database, app.settings, name, password, address=address())
    found = accounts.resume(app.own_database, app.settings, token, address=address())
    forget()
    if found is not None:
        st.session_state[USER] = Known(found, token, time.monotonic())
        st.session_state[COOKIE] = token


def leave() -> None:
    """Forget the user here, and let the browser forget the token."""
    forget()
    st.session_state[COOKIE] = ""


def forget() -> None:
    """Drop all that the session holds: it was made of what its user may see."""
    for key in list(st.session_state):
        if key not in (LANGUAGE_KEY, COOKIE):
            del st.session_state[key]


def address() -> str:
    """From where the browser connects; empty for this machine."""
    found = st.context.ip_address
    return found if isinstance(found, str) else ""


def cookie_name() -> str:
    """Cookies are shared by all ports of a machine: each desk has its own."""
    return f"rex_session_{st.get_option('server.port')}"


def sent_token() -> str:
    """The token that the browser sent when it connected; empty without one."""
    sent = st.context.cookies.get(cookie_name(), "")
    return sent if isinstance(sent, str) else ""


def in_project(principal: Principal) -> Principal:
    """The principal with the project chosen in this session, if it is one of his."""
    chosen = st.session_state.get(PROJECT)
    return replace(principal, project_id=chosen) if chosen in principal.projects else principal


def _find(app: Application, token: str) -> Known | None:
    settings, now = app.settings, time.monotonic()
    if settings.auth == "accounts":
        token = token or sent_token()
        found = accounts.resume(app.own_database, settings, token, address=address()) if token else None
        return None if found is None else Known(found, token, now)
    identity = _from_proxy(settings) if settings.auth == "proxy" else _from_service()
    if identity is None:
        return None
    return Known(accounts.recognise(app.own_database, settings, identity, address=address()), "", now)


def _from_proxy(settings: Settings) -> Identity | None:
    """Whom the proxy names; a name that came with another one, or without the secret, was put there by the user."""
    headers = st.context.headers
    secret = settings.proxy_secret.get_secret_value()
    if secret and not hmac.compare_digest((headers.get(SECRET_HEADER) or "").encode(), secret.encode()):
        return None
    named = headers.get_all(settings.proxy_header)
    return Identity(named[0], issued_at=utc_now()) if len(named) == 1 and named[0].strip() else None


def _from_service() -> Identity | None:
    """Whom the sign-in service names; an address that it has not verified counts for nothing."""
    user = st.user.to_dict() if hasattr(st.user, "to_dict") else dict(st.user)
    if not user.get("is_logged_in"):
        return None
    # some services write the claim as text
    verified = str(user.get("email_verified", True)).casefold() == "true"
    email = str(user.get("email") or "") if verified else ""
    subject = f"{user.get('iss', '')} {user['sub']}" if user.get("sub") else ""
    return Identity(email, subject, accounts.issued(user.get("iat")))
