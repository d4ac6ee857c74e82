"""The container files, read without Docker: who runs, what is copied, what must not be there, how it is watched."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SECRETS = re.compile(r"(password|passwd|token|secret|api_?key)\s*[=:]\s*\S", re.I)


def instructions() -> list[tuple[str, str]]:
    """(keyword, rest) of every instruction, continued lines joined, comments left out."""
    text = "\n".join(line for line in (ROOT / "Dockerfile").read_text("utf-8").splitlines() if not line.startswith("#"))
    lines = text.replace("\\\n", " ").splitlines()
    return [(one.split(None, 1)[0], one.split(None, 1)[1]) for one in lines if one.strip()]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    begin = max(place for place, (word, _) in enumerate(found) if word == "FROM")
    return found[begin:]


def is_sent(path: str) -> bool:
    """Whether .dockerignore lets a path through: the last rule that matches it or a folder above it decides."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        rule = line.removeprefix("!")
        expression = re.escape(rule).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
        if re.fullmatch(f"{expression}(/.*)?", path):
            sent = line.startswith("!")
    return sent


def test_every_copied_path_exists_and_reaches_the_builder() -> None:
    copied = [shlex.split(rest) for word, rest in instructions() if word == "COPY" and "--from" not in rest]
    sources = [path for words in copied for path in words[:-1]]
    assert len(sources) >= 8
    for path in sources:
        assert (ROOT / path).exists() and is_sent(path), path


@pytest.mark.parametrize(
    "path",
    [
        *(
            "data/app.db",
            "data/app.db-wal",
            "data/uploads/x.csv",
            "data/cache/models/x",
            "data/models/mine/config.json",
        ),
        *(".streamlit/secrets.toml", ".env", "core/.env", ".git/config", ".venv/bin/python", "desk.env", "tests/x.py"),
    ],
)
def test_nothing_of_a_user_s_reaches_the_builder(path: str) -> None:
    assert not is_sent(path)


def test_the_image_runs_as_an_ordinary_user_that_is_made_before() -> None:
    words = [word for word, _ in last_stage()]
    (user,) = [rest.strip() for word, rest in last_stage() if word == "USER"]
    assert user not in ("root", "0") and words.index("USER") < words.index("CMD")
    assert any(
        word == "RUN" and re.search(rf"useradd .*--uid 1\d{{4}}.* {user}\b", rest) for word, rest in last_stage()
    )


def test_the_health_check_asks_whether_the_model_is_loaded() -> None:
    (check,) = [rest for word, rest in last_stage() if word == "HEALTHCHECK"]
    assert "/readyz" in check and "--start-period" in check
    environment = " ".join(rest for word, rest in last_stage() if word == "ENV")
    port = re.search(r"REX_HEALTH_PORT=(\d+)", environment)
    assert port and f":{port[1]}/" in check and "REX_PRELOAD=true" in environment and "REX_AUTH=accounts" in environment


def test_the_base_is_pinned_slim_and_has_a_compiler_for_cards_alone() -> None:
    (base,) = [rest for word, rest in instructions() if word == "ARG" and rest.startswith("PYTHON=")]
    assert re.fullmatch(r"PYTHON=3\.1[123]\.\d+-slim-\w+", base)
    stages = [rest.split()[-1] for word, rest in instructions() if word == "FROM"]
    assert stages == ["packages", "base-cpu", "base-cuda", "desk"]
    stage = ""
    for word, rest in instructions():
        stage = rest.split()[-1] if word == "FROM" else stage
        assert word != "ADD", "COPY does no more than it says"
        if re.search(r"\b(gcc|build-essential)\b", rest):
            assert stage == "base-cuda"


def test_no_secret_stands_in_the_files() -> None:
    for name in ("Dockerfile", "compose.yaml", ".dockerignore", "deploy.sh"):
        lines = (ROOT / name).read_text("utf-8").splitlines()
        found = [line for line in lines if SECRETS.search(line) and "$(" not in line]
        assert not found, found


def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))


@pytest.mark.parametrize("name", ["desk", "desk-gpu"])
def test_a_service_is_closed_to_the_outside_and_holds_nothing_but_its_volume(name: str) -> None:
    service = compose()["services"][name]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert (
        service["read_only"] and service["cap_drop"] == ["ALL"] and "no-new-privileges:true" in service["security_opt"]
    )
    assert "environment" not in service and service["volumes"] == ["data:/data"] and not service.get("privileged")
    assert service["restart"] == "unless-stopped" and service["mem_limit"]
    target = service["build"]["args"]["TARGET"]
    assert (target == "cuda") is (name == "desk-gpu") is ("deploy" in service)
    declared = {rest.partition("=")[0] for word, rest in instructions() if word == "ARG"}
    assert set(service["build"]["args"]) <= declared
