"""Who vouches for a visitor, end to end: a sign-in service or a proxy before the real desk, in a browser."""

from __future__ import annotations

import asyncio
import re
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine

pytest.importorskip("playwright", reason="playwright is not installed: make test installs it")
pytest.importorskip("authlib", reason="Authlib is not installed: pip install -r requirements-oidc.txt")
oidc_provider_mock = pytest.importorskip("oidc_provider_mock", reason="not installed: requirements-dev.txt")
from playwright.sync_api import Browser, Page, expect  # noqa: E402

from core import user_services  # noqa: E402
from core.access.principal import ANALYST, VIEWER  # noqa: E402
from core.storage import queries, user_store  # noqa: E402
from core.storage.audit_store import AuditFilter, entries  # noqa: E402
from core.storage.database import migrate, open_database  # noqa: E402
from scripts.desk_server import WINDOW, free_port, served, settled  # noqa: E402
from streamlit_app.i18n import catalogue  # noqa: E402

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed: apt-get install chromium"),
]

WORDS = catalogue("zh")
OPEN_MS = 90_000
TEXT = "刘志诚在广州市出席了签约仪式。"
SECRET = "a-long-random-text-that-only-the-proxy-knows"
HEADER = "X-Forwarded-Email"


def database(folder: Path) -> Engine:
    """The desk's database, made before the desk starts."""
    engine = open_database(f"sqlite:///{folder / 'app.db'}")
    migrate(engine)
    return engine


def started(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_test_id("stHeading").first.wait_for(timeout=OPEN_MS)
    settled(page)


def inside(page: Page) -> bool:
    """Whether the desk is on the screen, and not its door."""
    return page.locator(".st-key-access-sign-out").count() + page.get_by_test_id("stSidebarNav").count() > 0


def user_on_screen(page: Page) -> str:
    """The name and role in the menu of the user."""
    menu = page.get_by_test_id("stSidebar").get_by_test_id("stPopoverButton").first
    menu.click()
    settled(page)
    said = page.get_by_test_id("stPopoverBody").inner_text()
    page.keyboard.press("Escape")
    return said


def analyse(page: Page, address: str) -> None:
    """Paste a text on the page of entities and press the button."""
    started(page, f"{address}/entities")
    field = page.get_by_label(WORDS["input.text"], exact=True)
    field.fill(TEXT)
    field.blur()
    settled(page)
    page.get_by_role("button", name=WORDS["task.run"], exact=False).first.click()


def sign_out(page: Page) -> None:
    page.get_by_test_id("stSidebar").get_by_test_id("stPopoverButton").first.click()
    page.get_by_role("button", name=WORDS["access.sign_out"], exact=True).click()


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """An OpenID provider with discovery, a form to authorize, tokens and keys; who comes says who they are."""
    user = oidc_provider_mock.User
    people = [
        user(sub="s-wang", claims={"email": "Wang@example.com", "email_verified": True, "name": "王芳"}),
        user(sub="s-liu", claims={"email": "liu@example.com", "email_verified": True}),
        user(sub="s-thief", claims={"email": "zhao@example.com", "email_verified": False}),
        user(sub="s-text", claims={"email": "zhao@example.com", "email_verified": "false"}),
    ]
    with oidc_provider_mock.run_server_in_thread(user_claims=people, require_nonce=True) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture(scope="module")
def vouched(service: str, checkpoint_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A desk that sends its visitors to the service: its address and its folder."""
    folder, port = tmp_path_factory.mktemp("oidc"), free_port()
    secrets = folder / "secrets.toml"
    secrets.write_text(
        f'[auth]\nredirect_uri = "http://127.0.0.1:{port}/oauth2callback"\ncookie_secret = "{SECRET}"\n'
        f'client_id = "desk"\nclient_secret = "none"\n'
        f'server_metadata_url = "{service}/.well-known/openid-configuration"\n',
        "utf-8",
    )
    engine = database(folder)
    user_services.add_user(engine, "wang", email="wang@example.com")  # the first one: an administrator
    user_services.set_role(engine, "wang", ANALYST)
    user_services.add_user(engine, "zhao", role=ANALYST, email="zhao@example.com")
    engine.dispose()
    settings = {"REX_AUTH": "oidc", "REX_UNKNOWN_USERS": "viewer", "STREAMLIT_SECRETS_FILES": str(secrets)}
    settings |= {"REX_MODEL": str(checkpoint_dir), "REX_DEVICE": "cpu", "REX_CPU_THREADS": "1"}
    with served(folder, settings=settings, port=port) as address:
        yield address, folder


def sign_in(page: Page, address: str, subject: str) -> None:
    """From the door of the desk to the service and back."""
    started(page, address)
    assert not inside(page)
    page.get_by_role("button", name=WORDS["access.oidc"]).click()
    page.wait_for_url("**/oauth2/authorize**", timeout=OPEN_MS)
    page.get_by_role("button", name=subject, exact=True).first.click()
    page.wait_for_url(f"{address}/**", timeout=OPEN_MS)
    page.get_by_test_id("stHeading").first.wait_for(timeout=OPEN_MS)
    settled(page)


def test_who_signs_in_through_the_service_has_the_role_of_the_account_until_the_log_out(
    page: Page, vouched: tuple[str, Path]
) -> None:
    address, folder = vouched
    sign_in(page, address, "s-wang")
    said = user_on_screen(page)
    assert "wang" in said and WORDS["access.role.analyst"] in said
    page.reload()
    settled(page)
    assert inside(page), "the browser is known again"
    analyse(page, address)
    page.get_by_test_id("stDownloadButton").first.wait_for(timeout=OPEN_MS)
    engine = open_database(f"sqlite:///{folder / 'app.db'}")
    user = user_store.get_user(engine, "wang")
    assert user.subject and user.subject.endswith(" s-wang") and user.role == ANALYST and user.seen_at
    (run,) = queries.list_runs(engine)
    assert run.total == 1
    sign_out(page)
    page.wait_for_url("**/oauth2/end_session**", timeout=OPEN_MS)  # the service ends its own session too
    started(page, address)
    assert not inside(page)
    page.reload()
    settled(page)
    assert not inside(page), "the cookie is gone"
    assert "session.sign_out" in {one.action for one in entries(engine, AuditFilter(user_name="wang"))}
    engine.dispose()


def test_a_stranger_appears_as_a_viewer_who_cannot_write_and_is_sent_out_when_disabled(
    page: Page, vouched: tuple[str, Path]
) -> None:
    address, folder = vouched
    sign_in(page, address, "s-liu")
    engine = open_database(f"sqlite:///{folder / 'app.db'}")
    assert user_store.get_user(engine, "liu@example.com").role == VIEWER
    assert WORDS["access.role.viewer"] in user_on_screen(page)
    before = queries.count_documents(engine), queries.count_runs(engine)
    analyse(page, address)
    expect(page.get_by_test_id("stAlert").filter(has_text="您的角色是“查看者”").first).to_be_visible(timeout=OPEN_MS)
    assert (queries.count_documents(engine), queries.count_runs(engine)) == before
    assert {one.outcome for one in entries(engine, AuditFilter(user_name="liu@example.com", action="job"))} == {
        "denied"
    }
    user_services.disable_user(engine, "liu@example.com")
    page.goto(address)
    expect(page.get_by_text(re.compile("账号已停用"))).to_be_visible(timeout=OPEN_MS)
    assert not inside(page)
    engine.dispose()


@pytest.mark.parametrize("subject", ["s-thief", "s-text"])
def test_an_address_that_the_service_has_not_verified_opens_no_account(
    browser: Browser, vouched: tuple[str, Path], subject: str
) -> None:
    address, folder = vouched
    context = browser.new_context(viewport=WINDOW, locale="zh-CN")
    page = context.new_page()
    sign_in(page, address, subject)
    expect(page.get_by_text(re.compile("没有账号"))).to_be_visible(timeout=OPEN_MS)
    assert not inside(page)
    engine = open_database(f"sqlite:///{folder / 'app.db'}")
    assert user_store.get_user(engine, "zhao").subject is None
    engine.dispose()
    context.close()


@contextmanager
def proxied(port: int, adds: Mapping[str, str], *, removes: tuple[str, ...] = ()) -> Iterator[str]:
    """The address of a proxy before `port`, which changes the headers of every request and passes on all else."""
    loop, ready, address = asyncio.new_event_loop(), threading.Event(), [0]

    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            there, here = await asyncio.open_connection("127.0.0.1", port)
        except (OSError, asyncio.IncompleteReadError):
            writer.close()
            return
        first, *lines = head.decode("latin-1").strip().split("\r\n")
        upgrade = any(line.lower().startswith("upgrade:") for line in lines)
        # one request a connection, or the next one would pass unseen
        gone = (*(name.lower() for name in removes), *(() if upgrade else ("connection",)))
        lines = [line for line in lines if line.partition(":")[0].lower() not in gone]
        lines += [f"{name}: {value}" for name, value in adds.items()] + ([] if upgrade else ["Connection: close"])
        here.write("\r\n".join((first, *lines, "", "")).encode("latin-1"))

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            try:
                while some := await source.read(65_536):
                    target.write(some)
                    await target.drain()
            except OSError:
                pass
            finally:
                target.close()

        await asyncio.gather(pump(reader, here), pump(there, writer))

    async def serve() -> None:
        server = await asyncio.start_server(passed, "127.0.0.1", 0)
        address[0] = server.sockets[0].getsockname()[1]
        ready.set()
        async with server:
            await server.serve_forever()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except asyncio.CancelledError:
            pass
        finally:
            loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield f"http://127.0.0.1:{address[0]}"
    finally:
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        thread.join(10)


@pytest.fixture(scope="module")
def behind(checkpoint_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A desk that believes a proxy which knows the secret: its port and its folder."""
    folder, port = tmp_path_factory.mktemp("proxy"), free_port()
    engine = database(folder)
    user_services.add_user(engine, "chen", email="chen@example.com")
    user_services.add_user(engine, "sun", role=VIEWER, email="sun@example.com")
    engine.dispose()
    settings = {"REX_AUTH": "proxy", "REX_PROXY_SECRET": SECRET, "REX_MODEL": str(checkpoint_dir), "REX_DEVICE": "cpu"}
    with served(folder, settings=settings, port=port):
        yield port, folder


def honest(port: int, email: str) -> tuple[int, dict[str, str], tuple[str, ...]]:
    """A proxy as docs/access.md asks for it: it takes away what the visitor says of himself."""
    return port, {HEADER: email, "X-Rex-Proxy-Secret": SECRET}, (HEADER, "X-Rex-Proxy-Secret")


def test_the_proxy_says_who_comes_and_what_a_visitor_says_of_himself_does_not_count(
    browser: Browser, behind: tuple[int, Path]
) -> None:
    port, folder = behind
    outer_port, adds, removes = honest(port, "sun@example.com")
    # the visitor's own headers go through the honest proxy, which takes them away
    with (
        proxied(outer_port, adds, removes=removes) as front,
        proxied(int(front.rpartition(":")[2]), {HEADER: "chen@example.com"}) as address,
    ):
        context = browser.new_context(viewport=WINDOW, locale="zh-CN")
        page = context.new_page()
        started(page, address)
        said = user_on_screen(page)
        assert "sun" in said and WORDS["access.role.viewer"] in said
        analyse(page, address)
        refused = page.get_by_test_id("stAlert").filter(has_text="您的角色是“查看者”").first
        expect(refused).to_be_visible(timeout=OPEN_MS)
        context.close()
    engine = open_database(f"sqlite:///{folder / 'app.db'}")
    assert queries.count_runs(engine) == queries.count_documents(engine) == 0
    assert user_store.get_user(engine, "chen").seen_at is None
    engine.dispose()


@pytest.mark.parametrize(
    "adds",
    [
        {HEADER: "chen@example.com"},
        {HEADER: "chen@example.com", "X-Rex-Proxy-Secret": "guessed"},
        {HEADER.lower(): "chen@example.com", HEADER: "sun@example.com", "X-Rex-Proxy-Secret": SECRET},
        {},
    ],
    ids=["without the secret", "with a wrong secret", "with two names", "without a name"],
)
def test_a_request_that_did_not_come_through_the_proxy_stands_before_the_door(
    browser: Browser, behind: tuple[int, Path], adds: dict[str, str]
) -> None:
    port, folder = behind
    with proxied(port, adds) as address:
        context = browser.new_context(viewport=WINDOW, locale="zh-CN")
        page = context.new_page()
        started(page, f"{address}/documents")
        expect(page.get_by_text(WORDS["access.proxy.missing"])).to_be_visible(timeout=OPEN_MS)
        assert not inside(page)
        context.close()
    engine = open_database(f"sqlite:///{folder / 'app.db'}")
    assert user_store.get_user(engine, "chen").seen_at is None
    engine.dispose()
