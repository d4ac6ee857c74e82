"""Signing in: passwords, locks, sessions, people of a sign-in service, and from where the desk may be reached."""

from __future__ import annotations

import logging
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr
from sqlalchemy import Engine, select, update

from core import accounts, user_services
from core.access import passwords, tokens
from core.access.binding import check_binding, check_request, is_loopback
from core.access.principal import ADMIN, ANALYST, LOCAL, VIEWER, bound
from core.accounts import Identity
from core.config import Settings
from core.errors import AccessError, StorageError
from core.storage import user_store
from core.storage.access_tables import FailureRow, SessionRow, UserRow
from core.storage.audit_store import entries
from core.storage.tables import utc_now

GOOD = "春江潮水连海平 海上明月"


@pytest.fixture
def accounts_settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"auth": "accounts"})


@pytest.fixture
def password(database: Engine) -> str:
    """The first password of the user 张敏, an administrator."""
    return user_services.add_user(database, "张敏", role=VIEWER)


def test_the_first_user_is_an_administrator_with_a_password_that_is_made_and_stored_as_a_hash_only(
    database: Engine, password: str, caplog: pytest.LogCaptureFixture
) -> None:
    user = user_store.get_user(database, "张敏")
    assert user.role == ADMIN and user.temporary and len(password) == passwords.GENERATED
    assert user.password.startswith("$argon2id$") and password not in user.password
    with caplog.at_level(logging.DEBUG):
        second = user_services.add_user(database, "李伟", role=ANALYST)
    assert user_store.get_user(database, "李伟").role == ANALYST and second != password
    logged = caplog.text + repr(entries(database)) + repr(user)
    assert second not in logged and password not in logged and "argon2id" not in logged


def test_names_that_are_empty_taken_or_could_be_markup_are_refused(database: Engine, password: str) -> None:
    for name in ("", "a b", "local", "LOCAL", "x" * 65, "<b>", "张敏", "张敏 "):
        with pytest.raises(AccessError):
            user_services.add_user(database, name)
    assert len(user_store.list_users(database)) == 1


@pytest.mark.parametrize("poor", ["short", "x" * 257, "张敏的密码真的很长啊啊啊", "aaaaaaaaaaaa"])
def test_a_password_is_long_and_does_not_hold_the_name(poor: str) -> None:
    with pytest.raises(AccessError):
        passwords.check_rules(poor, name="张敏")
    passwords.check_rules(GOOD, name="张敏")


def test_a_hash_made_with_less_work_is_made_anew_at_the_next_sign_in(
    database: Engine, accounts_settings: Settings, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = user_store.get_user(database, "张敏").password
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher())  # RFC 9106, as the product has it
    accounts.sign_in(database, accounts_settings, "张敏", password)
    after = user_store.get_user(database, "张敏").password
    assert "m=256,t=1,p=1" in before and "m=65536,t=3,p=4" in after


def test_a_session_lasts_until_it_is_ended_expires_or_the_user_is_kept_out(
    database: Engine, accounts_settings: Settings, password: str
) -> None:
    def come_in() -> str:
        return accounts.sign_in(database, accounts_settings, "张敏", password, address="10.0.0.5")

    def who(token: str) -> accounts.SignedIn | None:
        return accounts.resume(database, accounts_settings, token)

    first, second = come_in(), come_in()
    found = who(first)
    assert found is not None and found.temporary and found.principal.name == "张敏" and found.principal.role == ADMIN
    accounts.sign_out(database, found.principal)
    assert who(first) is None and who(second) is not None
    assert accounts.sign_out_everywhere(database, found.principal) == 1 and who(second) is None
    third = come_in()
    with database.begin() as connection:
        stored = connection.scalars(select(SessionRow.token)).all()
        assert stored == [tokens.hashed(third)] and third not in stored
        connection.execute(update(SessionRow).values(expires_at=utc_now() - timedelta(seconds=1)))
    assert who(third) is None
    fourth = come_in()
    user_services.disable_user(database, "张敏")
    assert who(fourth) is None
    with pytest.raises(AccessError, match="用户名或密码不对"):
        come_in()
    user_services.enable_user(database, "张敏")
    assert who(fourth) is None and who(come_in()) is not None


def test_a_token_that_the_desk_did_not_make_is_none(
    database: Engine, accounts_settings: Settings, password: str
) -> None:
    token = accounts.sign_in(database, accounts_settings, "张敏", password)
    body, _, signature = token.partition(".")
    for forged in (
        "",
        ".",
        body,
        f"{body}.",
        f"{body}x.{signature}",
        f"{body}.{signature[:-1]}0",
        "张" * 50,
        "a" * 9999,
    ):
        assert forged == token or accounts.resume(database, accounts_settings, forged) is None
    key = accounts_settings.data_dir / tokens.KEY_FILE
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and not list(key.parent.glob(f"{tokens.KEY_FILE}.*"))
    key.unlink()  # signs everybody out
    assert accounts.resume(database, accounts_settings, token) is None
    key.write_bytes(b"half a key")
    with pytest.raises(StorageError, match="已损坏"):
        accounts.resume(database, accounts_settings, token)


def test_wrong_passwords_lock_the_name_for_longer_and_longer_and_tell_nothing_of_who_exists(
    database: Engine, accounts_settings: Settings, password: str
) -> None:
    def attempt(name: str, word: str) -> str:
        with pytest.raises(AccessError) as refused:
            accounts.sign_in(database, accounts_settings, name, word, address="10.0.0.6")
        return str(refused.value)

    for name in ("张敏", "nobody"):
        said = [attempt(name, "wrong wrong") for _ in range(accounts.NAME_LOCK.failures + 1)]
        assert said[:-1] == [accounts.NOT_KNOWN] * accounts.NAME_LOCK.failures and "失败次数太多" in said[-1]
    assert "失败次数太多" in attempt("张敏", password), "the right password does not open a lock"

    def waits() -> float:
        with database.begin() as connection:
            row = connection.execute(
                select(FailureRow.locked_until, FailureRow.last_at).where(FailureRow.key == "user:张敏")
            ).one()
            connection.execute(update(FailureRow).values(locked_until=None))
        return float((row.locked_until - row.last_at).total_seconds())

    lasted = [waits()]
    for _ in range(7):
        attempt("张敏", "wrong wrong")
        lasted.append(waits())
    assert lasted == [30, 60, 120, 240, 480, 900, 900, 900]
    new = user_services.reset_password(database, "张敏")
    assert accounts.sign_in(database, accounts_settings, "张敏", new)
    assert {one.outcome for one in entries(database) if one.action == "session.sign_in"} == {"done", "denied", "failed"}


def test_many_names_from_one_address_lock_the_address(database: Engine, accounts_settings: Settings) -> None:
    locked = accounts.session_store.begin_attempt
    locks = {"address:10.0.0.7": accounts.ADDRESS_LOCK}
    assert [locked(database, locks) for _ in range(accounts.ADDRESS_LOCK.failures)] == [None] * 20
    with pytest.raises(AccessError, match="失败次数太多"):
        accounts.sign_in(database, accounts_settings, "谁", "wrong wrong", address="10.0.0.7")
    with pytest.raises(AccessError, match="用户名或密码不对"):
        accounts.sign_in(database, accounts_settings, "谁", "wrong wrong", address="10.0.0.8")


def test_attempts_at_once_get_no_further_than_one_after_the_other(database: Engine) -> None:
    locks = {"user:张敏": accounts.NAME_LOCK}
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: accounts.session_store.begin_attempt(database, locks), range(24)))
    assert waits.count(None) == accounts.NAME_LOCK.failures


def test_a_changed_password_ends_the_other_sessions_and_is_not_temporary_any_more(
    database: Engine, accounts_settings: Settings, password: str
) -> None:
    here, there = (accounts.sign_in(database, accounts_settings, "张敏", password) for _ in range(2))
    found = accounts.resume(database, accounts_settings, here)
    assert found is not None
    for old, new in ((GOOD, GOOD), (password, "short"), (password, password)):
        with pytest.raises(AccessError):
            accounts.change_password(database, found.principal, old, new)
    accounts.change_password(database, found.principal, password, GOOD)
    again = accounts.resume(database, accounts_settings, here)
    assert again is not None and not again.temporary
    assert accounts.resume(database, accounts_settings, there) is None


def test_people_of_a_sign_in_service_are_known_by_subject_and_strangers_are_refused_or_look(
    database: Engine, settings: Settings
) -> None:
    assert user_services.add_user(database, "wang", role=ANALYST, email="Wang@Example.com") == ""
    mine = Identity("wang@example.com", "https://id.example.com 42", utc_now())
    found = accounts.recognise(database, settings, mine)
    assert found.principal.name == "wang" and not found.temporary
    moved = Identity("new@example.com", mine.subject, utc_now())
    assert accounts.recognise(database, settings, moved).principal.name == "wang", "the subject counts"
    with pytest.raises(AccessError, match="另一个身份"):
        accounts.recognise(database, settings, Identity("wang@example.com", "https://id.example.com 43", utc_now()))
    for stranger in (Identity("who@example.com"), Identity("", "https://id.example.com 44")):
        with pytest.raises(AccessError, match="没有账号"):
            accounts.recognise(database, settings, stranger)
    open_to_all = settings.model_copy(update={"unknown_users": "viewer"})
    assert accounts.recognise(database, open_to_all, Identity("who@example.com")).principal.role == VIEWER
    user_services.end_sessions(database, "wang")
    with pytest.raises(AccessError, match="重新登录"):
        accounts.recognise(database, settings, mine)
    assert accounts.recognise(database, settings, Identity(mine.email, mine.subject, utc_now()))
    user_services.disable_user(database, "wang")
    with pytest.raises(AccessError, match="停用"):
        accounts.recognise(database, settings, Identity(mine.email, mine.subject, utc_now()))
    with pytest.raises(AccessError, match="用户名或密码不对"):
        accounts.sign_in(database, settings, "wang", "")


def test_an_administrator_cannot_lock_himself_out_and_a_removed_user_leaves_his_documents(
    database: Engine, accounts_settings: Settings, password: str
) -> None:
    user = user_store.get_user(database, "张敏")
    own = bound(database, accounts.principal_of_user(accounts_settings, user))
    for step in (
        lambda: user_services.disable_user(own, "张敏"),
        lambda: user_services.set_role(own, "张敏", VIEWER),
        lambda: user_services.remove_user(own, "张敏"),
    ):
        with pytest.raises(AccessError, match="不能对自己"):
            step()
    user_services.add_user(own, "李伟")
    user_services.remove_user(own, "李伟", heir="张敏")
    assert [one.name for one in user_services.users(own)] == ["张敏"]
    with database.connect() as connection:
        assert connection.scalar(select(UserRow.name).where(UserRow.id == LOCAL.user_id)) == "local"


@pytest.mark.parametrize(
    ("address", "local"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("[::1]", True), ("localhost", True), ("", False),
     (None, False), ("0.0.0.0", False), ("::", False), ("192.168.1.2", False), ("desk.example.com", False),
     ("unix:///run/desk.sock", False), ("127.0.0.1.evil.com", False)],
)  # fmt: skip
def test_without_a_log_in_only_this_machine_may_be_listened_to(
    settings: Settings, address: str | None, local: bool
) -> None:
    assert is_loopback(address) is local
    if local:
        check_binding(settings, address)
    else:
        with pytest.raises(AccessError, match="REX_AUTH=accounts"):
            check_binding(settings, address)
    for auth in ("accounts", "oidc"):
        check_binding(settings.model_copy(update={"auth": auth}), address)


def test_a_proxy_that_can_be_passed_by_needs_a_secret(settings: Settings) -> None:
    behind = settings.model_copy(update={"auth": "proxy"})
    check_binding(behind, "127.0.0.1")
    with pytest.raises(AccessError, match="REX_PROXY_SECRET"):
        check_binding(behind, "0.0.0.0")
    check_binding(behind.model_copy(update={"proxy_secret": SecretStr("x" * 20)}), "0.0.0.0")


def test_a_desk_without_log_in_answers_no_proxy_and_no_foreign_host(settings: Settings) -> None:
    for host in ("127.0.0.1:8501", "localhost:8501", "[::1]:8501", "localhost"):
        check_request(settings, {"Host": host})
    for headers in ({"Host": "evil.example.com:8501"}, {"host": "127.0.0.1:8501", "x-forwarded-for": "10.0.0.1"}):
        with pytest.raises(AccessError):
            check_request(settings, headers)
        check_request(settings.model_copy(update={"auth": "accounts"}), headers)


def test_no_secret_is_on_the_page_of_settings(settings: Settings) -> None:
    secrets = {
        "proxy_secret": SecretStr("geheim"),
        "engine_token": SecretStr("geheim"),
        "database_url": "postgresql://desk:geheim@db.example.com/desk",
        "engine_url": "https://desk:geheim@engine.example.com",
    }
    told = settings.model_copy(update=secrets)
    shown = {name: told.shown(name) for name in Settings.model_fields}
    assert "geheim" not in repr(shown) + repr(told).replace(repr(told.database_url), "").replace(told.engine_url, "")
    assert shown["database_url"] == "postgresql://desk:***@db.example.com/desk"
    assert shown["threshold"] == "0.5"
