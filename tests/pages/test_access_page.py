"""The door and the page of access, run by Streamlit's test driver over the real application."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from core import user_services
from core.access import passwords
from core.storage import queries
from core.storage.audit_store import AuditFilter, entries
from core.storage.database import migrate, open_database
from core.storage.store import Store
from core.types import Document
from streamlit_app import session_user
from streamlit_app.resources import application

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 120
WORD = "海上生明月 天涯共此时"


@pytest.fixture
def database(tmp_path: Path, checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    for name, value in {"DATA_DIR": tmp_path, "MODEL": checkpoint_dir, "DEVICE": "cpu", "HEALTH_PORT": 0}.items():
        monkeypatch.setenv(f"REX_{name}", str(value))
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=256, parallelism=1))
    application.clear()
    engine = open_database(f"sqlite:///{tmp_path / 'app.db'}")
    migrate(engine)
    yield engine
    engine.dispose()
    application.clear()


def desk() -> AppTest:
    at = AppTest.from_file(str(ROOT / "streamlit_app" / "app.py"), default_timeout=WAIT_S).run()
    assert not at.exception
    return at


def submit(at: AppTest, form: str, **values: str) -> AppTest:
    for key, value in values.items():
        at.text_input(key=key.replace("_", "-")).set_value(value)
    (button,) = [one for one in at.button if one.proto.form_id == form]
    button.click().run()
    assert not at.exception
    return at


def asks(at: AppTest) -> set[str]:
    return {one.key for one in at.text_input if str(one.key).startswith("access-")}


def test_whoever_comes_signs_in_chooses_a_password_and_sees_what_the_role_allows(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REX_AUTH", "accounts")
    first = user_services.add_user(database, "张敏")
    user_services.add_user(database, "李伟", role="viewer")
    Store(database).add_documents([Document("张伟在南京工作。")])
    at = desk()
    assert asks(at) == {"access-name", "access-word"} and not at.sidebar.children
    submit(at, "access-sign-in", access_name="张敏", access_word="wrong wrong")
    assert "用户名或密码不对" in at.error[0].value and asks(at) == {"access-name", "access-word"}
    submit(at, "access-sign-in", access_name="张敏", access_word=first)
    assert asks(at) == {"access-old", "access-new", "access-again"}, "a first password lets nobody in"
    submit(at, "access-password", access_old=first, access_new=WORD, access_again=WORD)
    assert "access-sign-out" in [one.key for one in at.sidebar.button]
    at.switch_page("../pages/access.py").run()
    assert not at.exception and [one.label for one in at.tabs] == ["用户", "项目", "审计日志"]
    submit(at, "access-add", access_add_name="王芳")
    shown = at.code[0].value
    assert len(shown) == passwords.GENERATED and "王芳" in at.warning[0].value
    at.selectbox(key="access-user-chosen").set_value("李伟").run()
    at.button(key="access-disable").click().run()
    assert not at.exception
    assert [one.name for one in user_services.users(database) if one.disabled] == ["李伟"]
    # ended elsewhere: the next click is refused
    user_services.end_sessions(database, "张敏")
    monkeypatch.setattr(session_user, "FRESH_S", -1.0)
    at.run()
    assert not at.exception and asks(at) == {"access-name", "access-word"}
    logged = repr(entries(database, limit=200))
    assert WORD not in logged and shown not in logged and "南京" not in logged


def test_a_viewer_sees_no_page_of_access_and_deletes_nothing(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REX_AUTH", "accounts")
    user_services.add_user(database, "张敏")
    word = user_services.add_user(database, "李伟", role="viewer")
    (row,) = Store(database).add_documents([Document("张伟在南京工作。")])
    at = submit(desk(), "access-sign-in", access_name="李伟", access_word=word)
    submit(at, "access-password", access_old=word, access_new=WORD, access_again=WORD)
    with pytest.raises(ValueError, match="Could not find a navigation page"):
        at.switch_page("../pages/access.py")
    at.query_params["document"] = str(row)
    at.switch_page("../pages/documents.py").run()
    at.button(key=f"documents-delete-{row}").click().run()
    assert not at.exception and any("需要“分析员”" in one.value for one in at.error)
    assert queries.get_document(database, row)
    (refused,) = entries(database, AuditFilter(action="document", outcome="denied"))
    assert (refused.user_name, refused.object) == ("李伟", f"document {row}")


def test_a_desk_open_to_others_without_a_log_in_shows_why_and_starts_nothing(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    import streamlit as st

    known = st.get_option
    monkeypatch.setattr(st, "get_option", lambda name: "0.0.0.0" if name == "server.address" else known(name))
    at = desk()
    assert "已拒绝启动" in at.error[0].value and not at.sidebar.children
    monkeypatch.setattr(st, "get_option", known)
    at.run()
    assert not at.error and "本机用户" in at.sidebar.caption[0].value, "on this machine alone nobody is asked"
