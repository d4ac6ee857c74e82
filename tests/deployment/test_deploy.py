"""The deployment script: its parts without changing anything, and by itself for real in a clean folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [ROOT / "deploy.sh", *sorted((ROOT / "scripts").glob("*.sh"))]
DAMAGE = """

import sqlite3

sqlite3.connect(Settings().data_dir / "app.db").execute("DROP TABLE kept")
raise SystemExit(1)
"""
PARTS = ("core", "pages", "streamlit_app", "scripts", "docs", ".streamlit")


def deploy(source: Path, *arguments: str, timeout: float = 60, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the script of a source tree with dash, or whatever sh is, in an environment of its own."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(source.parent), **more}
    command = ["sh", str(source / "deploy.sh"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_plain_sh(path: Path) -> None:
    assert subprocess.run(["sh", "-n", str(path)], capture_output=True).returncode == 0


@pytest.mark.slow  # ten seconds
@pytest.mark.parametrize("name", ["deploy.sh", "scripts/image_sizes.sh"])
def test_shellcheck_finds_nothing(name: str) -> None:
    checker = Path(sys.executable).with_name("shellcheck")
    if not checker.is_file():
        pytest.skip("shellcheck is not installed: pip install -r requirements-dev.txt")
    done = subprocess.run([checker, "-s", "sh", "-S", "warning", "-x", name], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fly"], "fly"),
        (["--nonsense", "1"], "--nonsense"),
        (["--port"], "--port"),
        (["--port", "eighty"], "eighty"),
        (["--model", "$(reboot)"], "--model"),
        (["--home", "/"], "--home"),
        (["--service", "magic"], "--service"),
        (["--address", "0.0.0.0; rm"], "--address"),
        (["upgrade", "--home", "{}"], "install"),
        (["start", "--home", "{}"], "{}"),
        (["uninstall", "--home", "{}"], "{}"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_done(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    home = str(tmp_path / "desk")
    done = deploy(ROOT, *(one.replace("{}", home) for one in arguments))
    assert done.returncode == 1 and said.replace("{}", home) in done.stderr
    assert not (tmp_path / "desk").exists()


def test_help_names_every_option_and_command() -> None:
    source = (ROOT / "deploy.sh").read_text("utf-8")
    said = deploy(ROOT, "help").stdout
    for option in set(re.findall(r"^ +(--[a-z-]+)\)", source, re.M)) | {"--purge", "--yes", "--dry-run"}:
        assert option in said, option
    for command in ("install", "upgrade", "start", "stop", "restart", "status", "uninstall"):
        assert command in said


def test_a_dry_run_tells_all_and_changes_nothing(tmp_path: Path) -> None:
    home = tmp_path / "desk"
    done = deploy(ROOT, "--home", str(home), "--dry-run", "--service", "user", "--user", "root")
    assert done.returncode == 0, done.stderr
    for step in (
        "releases",
        "desk.env",
        "scripts/venv.sh",
        "-m core doctor",
        "rex-desk.service",
        "systemctl --user start",
    ):
        assert step in done.stderr, step
    assert not home.exists()


@pytest.mark.parametrize("kind", ["system", "user"])
def test_the_unit_restarts_what_fails_and_runs_as_nobody_special(kind: str) -> None:
    script = f"""
        ROOT=/opt/rex-desk SERVICE_USER=rex-desk KIND={kind}
        . "{ROOT}/scripts/deploy_service.sh"
        unit_text"""
    unit = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    sections = re.findall(r"^\[(\w+)\]$", unit, re.M)
    assert sections == ["Unit", "Service", "Install"]
    settings = dict(re.findall(r"^(\w+)=(.*)$", unit, re.M))
    assert settings["Restart"] == "on-failure" and settings["NoNewPrivileges"] == "yes" and settings["UMask"] == "0077"
    assert settings["ExecStart"] == '/bin/sh "/opt/rex-desk/app/deploy.sh" _serve --home "/opt/rex-desk"'
    assert settings.get("User") == ("rex-desk" if kind == "system" else None)
    assert settings["WantedBy"] == ("multi-user.target" if kind == "system" else "default.target")
    verify = shutil.which("systemd-analyze")
    if verify and kind == "system":
        assert "Unknown" not in unit


def configured(home: Path, *options: str) -> dict[str, str]:
    """The settings that the script writes with these options. Raises RuntimeError with what it says."""
    done = deploy(ROOT, "configure", "--home", str(home), "--service", "process", "--user", "root", *options)
    if done.returncode:
        raise RuntimeError(done.stderr)
    text = (home / "config" / "desk.env").read_text("utf-8")
    assert stat.S_IMODE((home / "config" / "desk.env").stat().st_mode) == 0o600
    return dict(re.findall(r'^(\w+)="?(.*?)"?$', text, re.M))


def test_secrets_and_what_a_user_wrote_survive_being_configured_again(tmp_path: Path) -> None:
    first = configured(tmp_path / "desk", "--port", "9001", "--prefix", "/nlp/")
    assert re.fullmatch(r"[0-9a-f]{64}", first["STREAMLIT_SERVER_COOKIE_SECRET"])
    assert (first["DESK_PORT"], first["DESK_PREFIX"], first["REX_PRELOAD"]) == ("9001", "nlp", "true")
    assert "REX_MODEL" not in first and first["REX_AUTH"] == "none"
    with (tmp_path / "desk" / "config" / "desk.env").open("a") as file:
        file.write('REX_THRESHOLD="0.6"\n')
    again = configured(tmp_path / "desk", "--model", "some/model", "--model-revision", "v1")
    assert again == first | {
        "REX_THRESHOLD": "0.6",
        "DESK_MODEL": "some/model",
        "REX_MODEL": "some/model",
        "REX_MODEL_REVISION": "v1",
    }
    assert configured(tmp_path / "desk") == again
    back = configured(tmp_path / "desk", "--model", "embedded")
    assert back == first | {"REX_THRESHOLD": "0.6"}
    other = configured(tmp_path / "other")
    assert other["STREAMLIT_SERVER_COOKIE_SECRET"] != first["STREAMLIT_SERVER_COOKIE_SECRET"]


def test_whoever_comes_from_elsewhere_is_asked_who_they_are(tmp_path: Path) -> None:
    assert configured(tmp_path / "desk", "--address", "0.0.0.0")["REX_AUTH"] == "accounts"
    configured(tmp_path / "local")
    with pytest.raises(RuntimeError, match="REX_AUTH"):
        configured(tmp_path / "local", "--address", "0.0.0.0")


# From here on for real: an ordinary user, a clean folder, no systemd, and everything that the script promises.


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A folder of an ordinary user with a source tree, from which a desk is deployed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.source, self.home = folder, folder / "source", folder / "desk"
        self.ports = ("--port", str(free_port()), "--health-port", str(free_port()))
        (self.source / "data" / "models").mkdir(parents=True)
        for part in PARTS:
            shutil.copytree(
                ROOT / part, self.source / part, ignore=shutil.ignore_patterns("__pycache__", "secrets.toml")
            )
        for part in ("data/presets", "data/samples", "data/models/rex-mini-zh"):
            shutil.copytree(ROOT / part, self.source / part)
        for path in [*ROOT.glob("*.md"), *ROOT.glob("requirements*.txt"), ROOT / "deploy.sh", ROOT / "LICENSE"]:
            shutil.copy(path, self.source / path.name)
        shutil.copy(ROOT / "data" / "known_answers.json", self.source / "data")

    def own(self) -> None:
        """Hand the folder to the ordinary user."""
        if os.getuid() == 0:
            subprocess.run(["chown", "-R", "nobody", str(self.folder)], check=True)

    def run(self, command: str, *options: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        """The script as the ordinary user."""
        self.own()
        ordinary = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 else []
        call = [*ordinary, "sh", str(self.source / "deploy.sh"), command, "--home", str(self.home)]
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.folder)}
        environment |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
        done = subprocess.run(
            [*call, *options], env=environment, capture_output=True, text=True, timeout=timeout, cwd="/"
        )
        return done

    def processes(self) -> list[int]:
        """The desk's Python processes."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                line, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
            except OSError:  # ended meanwhile, or somebody else's
                continue
            if b"streamlit_app.serve" in line and f"REX_DATA_DIR={self.home}/".encode() in environment:
                found.append(int(folder.name))
        return found


@pytest.fixture
def server() -> Iterator[Server]:
    """Below /tmp, because an ordinary user may not enter pytest's own folders."""
    folder = Path("/tmp") / f"rex-deploy-{os.getpid()}"
    folder.mkdir(mode=0o755)
    server = Server(folder)
    yield server
    server.run("uninstall", "--purge", "--yes")
    shutil.rmtree(folder)


@pytest.mark.slow
def test_it_installs_serves_restarts_upgrades_goes_back_and_uninstalls(server: Server) -> None:
    # An environment that is there already saves some minutes; without it everything is installed.
    given = os.environ.get("TEST_DEPLOY_VENV")
    venv = ("--venv", given) if given else ()
    done = server.run("install", *server.ports, "--prefix", "/nlp", "--service", "process", *venv)
    assert done.returncode == 0, done.stderr
    assert "就绪" in done.stderr
    status = server.run("status")
    assert status.returncode == 0 and json.loads(status.stdout.splitlines()[0])["model"] == "loaded"

    # Again: nothing is done over, the same process goes on.
    (before,) = server.processes()
    again = server.run("install", *venv, timeout=300)
    assert again.returncode == 0 and server.processes() == [before], again.stderr

    # Killed: it comes back.
    os.kill(before, 9)
    deadline = time.monotonic() + 300
    while server.run("status").returncode != 0 or server.processes() == [before]:
        assert time.monotonic() < deadline
        time.sleep(1)

    database = server.home / "data" / "app.db"
    assert stat.S_IMODE((server.home / "config" / "desk.env").stat().st_mode) == 0o600
    assert stat.S_IMODE((server.home / "data").stat().st_mode) == 0o700
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE kept (word TEXT)")
        connection.execute("INSERT INTO kept VALUES ('留下')")

    # A new version that works.
    with (server.source / "CHANGELOG.md").open("a") as file:
        file.write("\nnew\n")
    upgraded = server.run("upgrade", *venv, timeout=600)
    assert upgraded.returncode == 0, upgraded.stderr
    release = (server.home / "app" / ".release").read_text()
    assert len(list((server.home / "backups").glob("*.db"))) == 1

    # A new version that damages the data and does not start: version and data of before come back.
    broken = server.source / "core" / "bootstrap.py"
    text = broken.read_text("utf-8")
    broken.write_text(text + DAMAGE, "utf-8")
    failed = server.run("upgrade", *venv, timeout=600)
    assert failed.returncode == 1 and "退回" in failed.stderr, failed.stderr
    assert (server.home / "app" / ".release").read_text() == release
    assert server.run("status").returncode == 0
    with closing(sqlite3.connect(database)) as connection, connection:
        assert connection.execute("SELECT word FROM kept").fetchall() == [("留下",)]
    broken.write_text(text, "utf-8")

    assert server.run("stop").returncode == 0 and not server.processes()
    assert server.run("status").returncode == 3
    assert server.run("start").returncode == 0 and server.run("restart").returncode == 0

    assert server.run("uninstall").returncode == 0 and not server.processes()
    assert database.is_file() and not (server.home / "app").exists()
    assert server.run("uninstall", "--purge").returncode == 1
