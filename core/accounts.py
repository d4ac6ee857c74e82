"""Signing in and out: names with passwords, people that a sign-in service vouches for, and their sessions.

Nobody is known yet when these are called, so they get the machine's own database.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from sqlalchemy import Engine

from core.access import passwords, tokens
from core.access.principal import DEFAULT_PROJECT, VIEWER, Principal
from core.config import Settings
from core.errors import AccessError
from core.storage import session_store, user_store
from core.storage.audit_store import DENIED, DONE, FAILED, record
from core.storage.session_store import Lock
from core.storage.tables import utc_now
from core.storage.user_store import User

NAME_LOCK = Lock(failures=5, first_s=30, longest_s=900, forgotten_s=24 * 3600)
ADDRESS_LOCK = Lock(failures=20, first_s=60, longest_s=3600, forgotten_s=3600)
SEEN_EVERY = timedelta(minutes=5)
NOT_KNOWN = "用户名或密码不对，或账号已停用。"


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a sign-in service or proxy vouches for; `subject` is empty where there is only an address."""

    email: str
    subject: str = ""
    issued_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody who has come in; `temporary`: the password must be changed first."""

    principal: Principal
    temporary: bool


def sign_in(database: Engine, settings: Settings, name: str, password: str, *, address: str = "") -> str:
    """Check a password and open a session; returns its token, which only the browser keeps.

    Raises AccessError when name and password do not belong together, or after too many wrong ones; it does not say
    which of the two was wrong, nor whether there is such a user.
    """
    name = name.strip()
    guest = Principal(user_id=0, name=name[:64] or "-", role=VIEWER, address=address)
    own, place = f"user:{name.casefold()}"[:255], f"address:{address}"[:255]
    # without an address it is this machine, or a proxy that does not say from where: nobody else shall be locked out
    locks = {own: NAME_LOCK} | ({place: ADDRESS_LOCK} if address else {})
    until = session_store.begin_attempt(database, locks)
    if until is not None:
        record(database, guest, "session.sign_in", "locked", DENIED)
        wait_s = max(int((until - utc_now()).total_seconds()) + 1, 1)
        raise AccessError(f"失败次数太多，暂时不能登录；请 {wait_s} 秒后再试，或请管理员重置密码。")
    user = user_store.find_user(database, name=name)
    right = passwords.matches(password, user.password if user else "")
    if user is None or not right or user.disabled:
        record(database, guest, "session.sign_in", "", FAILED)
        raise AccessError(NOT_KNOWN)
    session_store.end_attempt(database, forget=[own], give_back=[place] if address else [])
    if passwords.outdated(user.password):
        user_store.change_user(database, user.id, password=passwords.hash_password(password))
    token = tokens.make_token(tokens.load_key(settings.data_dir))
    expires_at = utc_now() + timedelta(hours=settings.session_hours)
    session_store.open_session(database, user.id, tokens.hashed(token), address=address, expires_at=expires_at)
    user_store.change_user(database, user.id, seen_at=utc_now())
    record(database, principal_of_user(settings, user, address=address), "session.sign_in", "", DONE)
    return token


def resume(database: Engine, settings: Settings, token: str, *, address: str = "") -> SignedIn | None:
    """Whose session a token is; None when it was ended, has expired, or is none of this desk's."""
    if not tokens.is_signed(tokens.load_key(settings.data_dir), token):
        return None
    found = session_store.find_session(database, tokens.hashed(token))
    user = user_store.find_user(database, id=found[1]) if found else None
    if found is None or user is None or user.disabled:
        return None
    return SignedIn(principal_of_user(settings, user, address=address, session_id=found[0]), user.temporary)


def recognise(database: Engine, settings: Settings, identity: Identity, *, address: str = "") -> SignedIn:
    """Who it is that a sign-in service vouches for: first by its subject, else by the address.

    At the first sign-in by address the subject is noted, and from then on it counts: an address may pass to somebody
    else. Raises AccessError for who has no account (unless everybody may look), is disabled, or was signed out.
    """
    email = identity.email.strip().casefold()
    user = user_store.find_user(database, subject=identity.subject) if identity.subject else None
    if user is None and email:
        user = user_store.find_user(database, email=email)
        if user is not None and user.subject and user.subject != identity.subject:
            _refused(database, email, address, "账号已与另一个身份绑定")
        if user is not None and identity.subject:
            user_store.change_user(database, user.id, subject=identity.subject)
    if user is None:
        if settings.unknown_users != "viewer" or not email:
            _refused(database, email, address, "没有账号")
        name = email[:64]
        user_store.add_user(database, name, role=VIEWER, email=email, subject=identity.subject or None)
        user = user_store.get_user(database, name)
        record(database, principal_of_user(settings, user, address=address), "user.add", f"user {name}", DONE)
    if user.disabled:
        _refused(database, email, address, "账号已停用")
    if user.valid_from and (identity.issued_at is None or identity.issued_at < user.valid_from):
        _refused(database, email, address, "登录已失效，请退出后重新登录")
    if user.seen_at is None or user.seen_at < utc_now() - SEEN_EVERY:
        user_store.change_user(database, user.id, seen_at=utc_now())
    return SignedIn(principal_of_user(settings, user, address=address), temporary=False)


def _refused(database: Engine, email: str, address: str, why: str) -> NoReturn:
    guest = Principal(user_id=0, name=email[:64] or "-", role=VIEWER, address=address)
    record(database, guest, "session.sign_in", why, DENIED)
    raise AccessError(f"“{email or '没有邮箱的用户'}”不能进入：{why}。请联系管理员。")


def sign_out(database: Engine, principal: Principal) -> None:
    """End the session of a browser."""
    if principal.session_id is not None:
        session_store.close_session(database, principal.session_id)
    record(database, principal, "session.sign_out", "")


def sign_out_everywhere(database: Engine, principal: Principal) -> int:
    """End every session of a user, this one too; returns their number."""
    ended = session_store.close_sessions(database, principal.user_id)
    user_store.change_user(database, principal.user_id, valid_from=utc_now())
    record(database, principal, "session.sign_out", "everywhere")
    return ended


def change_password(database: Engine, principal: Principal, old: str, new: str) -> None:
    """Change one's own password and end one's other sessions. Raises AccessError for a wrong or poor one."""
    user = user_store.get_user(database, principal.name)
    key = f"user:{user.name.casefold()}"[:255]
    until = session_store.begin_attempt(database, {key: NAME_LOCK})
    if until is not None or not passwords.matches(old, user.password):
        record(database, principal, "user.password", "", FAILED)
        raise AccessError("现在的密码不对，或错得太多暂时不能再试；没有改动。")
    session_store.end_attempt(database, forget=[key])
    passwords.check_rules(new, name=user.name)
    if new == old:
        raise AccessError("新密码与现在的相同，请换一个。")
    user_store.change_user(database, user.id, password=passwords.hash_password(new), temporary=False)
    session_store.close_sessions(database, user.id, but=principal.session_id)
    record(database, principal, "user.password", "")


def principal_of_user(settings: Settings, user: User, *, address: str = "", session_id: int | None = None) -> Principal:
    """Who acts when this user does; new things go to the first of his projects."""
    return Principal(
        user_id=user.id,
        name=user.name,
        role=user.role,
        project_id=user.projects[0] if user.projects else DEFAULT_PROJECT,
        projects=user.projects,
        sharing=settings.sharing,
        address=address,
        session_id=session_id,
    )


def issued(claim: object) -> datetime | None:
    """The moment of an `iat` claim, seconds since 1970."""
    return datetime.fromtimestamp(float(claim), UTC) if isinstance(claim, int | float) else None
