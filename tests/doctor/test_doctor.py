"""The doctor over recorded facts of several machines, and over this one with real faults."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.cli import app
from core.config import EMBEDDED_MODEL, Settings
from core.doctor import judge
from core.doctor.compatibility import compiles_ptx, least_driver, runs_on, version_of
from core.doctor.machine import gather, pinned
from core.doctor.machine_files import CHECKSUMS, read_database, read_model
from core.doctor.machine_ports import read_ports
from core.doctor.records import ERROR, FACTS, OK, WARNING, Check, Facts
from core.storage.database import migrate, open_database

MACHINES = sorted(Path(__file__).parent.glob("*.json"))
EXPECTED = {
    "a10-article": {"torch": ERROR, "versions": WARNING},
    "a10-525-cuda12": {},
    "driver-too-old": {"driver": ERROR},
    "h200": {"versions": WARNING},
    "cpu-laptop": {},
    "wsl": {"disk": WARNING, "allocator": WARNING},
    "mig": {},
    "mig-without-slices": {"driver": WARNING, "card": ERROR},
    "no-compiler": {"compiler": WARNING},
    "full-disk": {"disk": ERROR, "write": ERROR},
    "damaged-database": {"database": ERROR},
    "newer-database": {"database": ERROR},
    "damaged-model": {"model": ERROR},
    "old-card": {"card": ERROR},
    "clock-back": {"clock": WARNING, "ports": WARNING},
    "broken-torch": {"torch": ERROR},
}
"""For each recorded machine the checks that are not ok."""


def facts_of(name: str) -> Facts:
    return FACTS.validate_json((Path(__file__).parent / f"{name}.json").read_bytes())


def found(facts: Facts) -> dict[str, Check]:
    return {one.name: one for one in judge(facts)}


def test_every_recorded_machine_has_its_expectation() -> None:
    assert {path.stem for path in MACHINES} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recorded_machine_is_judged_as_it_should_be(name: str) -> None:
    checks = judge(facts_of(name))
    assert {one.name: one.level for one in checks if one.level != OK} == EXPECTED[name]
    for one in checks:
        assert one.title and one.detail
        assert bool(one.advice) >= (one.level != OK), f"{one.name} does not say what to do"


@pytest.mark.parametrize("name", EXPECTED)
def test_the_command_judges_a_recorded_machine_and_leaves_with_its_status(name: str) -> None:
    path = Path(__file__).parent / f"{name}.json"
    done = CliRunner().invoke(app, ["doctor", "--json", "--recorded", str(path)])
    report = json.loads(done.stdout)
    bad = ERROR in EXPECTED[name].values()
    assert done.exit_code == int(bad) and report["ok"] is not bad
    assert all(one["ok"] == (one["level"] != ERROR) for one in report["checks"])


def test_the_machine_of_the_article_is_told_apart_from_what_is_asked_today() -> None:
    old, today = found(facts_of("a10-article")), found(facts_of("driver-too-old"))
    assert old["article"].detail.count("相同") == 3 and old["driver"].level == OK
    assert "2.6" in old["torch"].detail and "2.13.0" in old["torch"].advice
    assert today["article"].detail.count("相同") == 1 and "580.65.06" in today["article"].detail
    assert "580.65.06" in today["driver"].advice and "CUDA 12" in today["driver"].advice


def test_the_article_s_driver_runs_a_build_for_cuda_12_by_minor_version_compatibility() -> None:
    facts = facts_of("a10-525-cuda12")
    assert "次版本兼容" in found(facts)["driver"].detail
    # Of a card for which the build has only portable code, the old driver cannot make any.
    needs_ptx = replace(facts, torch=replace(facts.torch, archs=("sm_75", "compute_80")))
    assert found(needs_ptx)["card"].level == ERROR and "PTX" in found(needs_ptx)["card"].detail


def test_a_driver_that_looks_too_old_but_starts_cuda_is_believed() -> None:
    facts = facts_of("driver-too-old")
    assert found(replace(facts, torch=replace(facts.torch, sees_cards=True)))["driver"].level == OK


def test_a_card_that_was_asked_for_and_is_not_there_is_an_error() -> None:
    checks = found(replace(facts_of("cpu-laptop"), wanted_device="cuda"))
    assert checks["driver"].level == checks["card"].level == ERROR


def test_little_memory_on_card_and_machine_warns() -> None:
    facts = facts_of("h200")
    (card,) = facts.cards
    checks = found(replace(facts, cards=(replace(card, free_bytes=10**9),), available_bytes=10**9))
    assert checks["card_memory"].level == checks["memory"].level == WARNING


@pytest.mark.parametrize(
    ("setting", "level"),
    [
        ("", OK),
        ("expandable_segments:True", OK),
        ("max_split_size_mb:128,garbage_collection_threshold:0.8", OK),
        ("backend:cudaMallocAsync", WARNING),
        ("expandable_segments", ERROR),
    ],
)
def test_allocator_settings_are_read(setting: str, level: str) -> None:
    assert found(replace(facts_of("h200"), allocator=setting))["allocator"].level == level


def test_versions_are_compared_by_their_numbers() -> None:
    assert version_of("2.13.0+cu130") == (2, 13, 0) and version_of("525.85.12") > (525, 60, 13) and not version_of("?")
    assert least_driver("12.6", windows=False) == "525.60.13" and least_driver("99.0", windows=True) is None
    assert compiles_ptx("12.6", "560.28.03") and not compiles_ptx("12.6", "525.85.12")
    archs = ("sm_75", "sm_80", "sm_86", "compute_86")
    assert [runs_on(one, archs) for one in ("8.0", "8.6", "8.9", "9.0", "7.0")] == [
        "binary",
        "binary",
        "binary",
        "ptx",
        "",
    ]


def test_facts_survive_being_written_and_read() -> None:
    facts = facts_of("mig")
    assert FACTS.validate_json(FACTS.dump_json(facts)) == facts


def test_this_machine_can_be_examined_and_nothing_is_made(settings: Settings) -> None:
    steps: list[str] = []
    facts = gather(settings, told=steps.append)
    assert steps == ["machine", "card", "database", "model", "ports"]
    assert facts.torch.version and set(facts.packages) == set(facts.required) == set(pinned(Path("requirements.txt")))
    assert not facts.database.exists and not list(settings.data_dir.iterdir())
    assert not [one for one in judge(facts) if one.level == ERROR]


def test_the_version_of_a_database_is_compared_with_the_program_s(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    engine = open_database(url)
    migrate(engine)
    engine.dispose()
    current = read_database(url, whole=True)
    assert current.revision == current.head and not current.newer and not current.problems
    for revision, level in (("0001", WARNING), ("9999", ERROR)):
        with sqlite3.connect(tmp_path / "app.db") as connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        facts = replace(facts_of("cpu-laptop"), database=read_database(url, whole=True))
        assert found(facts)["database"].level == level


def test_a_changed_or_cut_model_file_is_found(tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "model"
    shutil.copytree(EMBEDDED_MODEL, folder)
    mine = settings.model_copy(update={"model": str(folder)})
    whole = read_model(mine, whole=True)
    assert whole.listed >= 6 and not whole.damaged and not whole.problem
    with (folder / "tokenizer.json").open("ab") as file:
        file.write(b" ")
    assert read_model(mine, whole=True).damaged == ("tokenizer.json",)
    (folder / CHECKSUMS).unlink()
    weights = folder / "model-00001-of-00004.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert weights.name in read_model(mine, whole=False).problem
    weights.unlink()
    assert weights.name in read_model(mine, whole=False).problem


def test_a_model_that_is_not_downloaded_yet_is_no_error(settings: Settings) -> None:
    mine = settings.model_copy(update={"model": "some/model"})
    assert found(replace(facts_of("cpu-laptop"), model=read_model(mine, whole=True)))["model"].level == WARNING
    gone = settings.model_copy(update={"model": "/no/such/folder"})
    assert found(replace(facts_of("cpu-laptop"), model=read_model(gone, whole=True)))["model"].level == ERROR


def test_a_port_of_another_program_is_told_from_a_free_one() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        number = other.getsockname()[1]  # bound, and nobody answers
        (taken,) = read_ports({"x": number, "none": 0})
        other.listen()  # this process serves there: it is the desk's own
        (own,) = read_ports({"x": number})
    assert taken.state == "taken" and own.state == "desk" and read_ports({"x": number})[0].state == "free"


def test_a_file_that_holds_no_facts_is_refused_in_plain_words(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("{}", "utf-8")
    done = CliRunner().invoke(app, ["doctor", "--recorded", str(path)])
    assert done.exit_code == 1 and "doctor --facts" in done.output
