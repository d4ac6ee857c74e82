"""A fine-tuning is its owner's, as a run is: others neither see nor touch it, and learn only that one is running."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from core import batch_services, tuning_services
from core.access.principal import ADMIN, ANALYST, LOCAL, VIEWER, Principal, bound
from core.errors import AccessError, StorageError
from core.gpu.monitor import GpuMonitor
from core.services import Application
from core.storage import batch_store, tuning_store, user_store
from core.storage.audit_store import AuditFilter, entries
from core.storage.batch_store import BatchRow
from core.storage.tuning_tables import TuningRow


def user(number: int, *, sharing: str = "user", projects: tuple[int, ...] = (1,), role: str = ANALYST) -> Principal:
    return Principal(number, f"u{number}", role, (*projects, 1)[0], projects, sharing)


def stored(engine: Engine, folder: Path, *, state: str = "failed") -> int:
    """A fine-tuning of whoever acts."""
    folder.mkdir(parents=True, exist_ok=True)
    number = tuning_store.create(engine, name="mine", source="m", options={}, data={"runs": [1]}, folder=str(folder))
    assert number is not None
    tuning_store.move(engine, number, ("running",), state)
    return number


@pytest.fixture
def desk(database: Engine, settings: Any) -> Iterator[tuple[Application, list[Principal]]]:
    """An application and the list whose last principal acts on it."""
    acts = [LOCAL]
    app = Application(settings, database=database, monitor=GpuMonitor(), identify=lambda: acts[-1])
    yield app, acts
    app.close()


def test_somebody_else_neither_sees_nor_ends_nor_keeps_it(
    desk: tuple[Application, list[Principal]], tmp_path: Path
) -> None:
    app, acts = desk
    number = stored(bound(app.own_database, user(2)), tmp_path / "work")
    acts.append(user(3))
    assert tuning_services.tunings(app) == []
    with pytest.raises(StorageError, match="没有编号"):
        tuning_services.get_tuning(app, number)
    for step in (
        tuning_services.cancel_tuning,
        tuning_services.resume_tuning,
        tuning_services.keep_tuning,
        tuning_services.discard_tuning,
    ):
        with pytest.raises(AccessError, match="没有编号"):
            step(app, number)
    denied = entries(app.own_database, AuditFilter(outcome="denied"))
    assert {one.action for one in denied} == {"tuning.cancel", "tuning.resume", "tuning.keep", "tuning.discard"}
    assert (tmp_path / "work").is_dir() and tuning_store.get(app.own_database, number).state == "failed"
    acts.append(user(2))
    assert [one.id for one in tuning_services.tunings(app)] == [number]
    tuning_services.discard_tuning(app, number)
    assert not (tmp_path / "work").exists()


def test_members_of_the_project_and_administrators_see_it_and_everybody_where_all_is_shared(
    database: Engine, tmp_path: Path
) -> None:
    number = stored(bound(database, user(2, sharing="project", projects=(4,))), tmp_path / "work")
    sees = {
        user(3, sharing="project", projects=(1, 4), role=VIEWER): True,
        user(4, sharing="project", projects=(5,)): False,
        user(5, sharing="project", projects=(5,), role=ADMIN): True,
        user(6, sharing="all"): True,
        user(7, sharing="user"): False,
    }
    for who, expected in sees.items():
        found = [one.id for one in tuning_store.newest(bound(database, who))]
        assert found == ([number] if expected else []), who


def test_only_one_runs_whosever_it_is(database: Engine, tmp_path: Path) -> None:
    one, other = bound(database, user(2)), bound(database, user(3))
    tuning_store.create(one, name="a", source="m", options={}, data={}, folder=str(tmp_path))
    assert tuning_store.create(other, name="b", source="m", options={}, data={}, folder=str(tmp_path)) is None
    assert len(tuning_store.running(other)) == 1 and tuning_store.newest(other) == []


def test_what_a_removed_user_had_started_goes_to_his_heir(database: Engine, tmp_path: Path) -> None:
    number = user_store.add_user(database, name="zhang", role=ANALYST)
    theirs = bound(database, user(number))
    tuning = stored(theirs, tmp_path / "work")
    batch = batch_store.add_batch(theirs, input="x", output="y", task="ner", schema={}, options={})
    user_store.remove_user(database, number, heir=9)
    with database.connect() as connection:
        assert connection.scalar(select(TuningRow.user_id).where(TuningRow.id == tuning)) == 9
        assert connection.scalar(select(BatchRow.user_id).where(BatchRow.id == batch)) == 9


def test_a_batch_over_files_of_the_server_is_seen_by_administrators_alone(
    desk: tuple[Application, list[Principal]],
) -> None:
    app, acts = desk
    number = batch_store.add_batch(app.database, input="x", output="y", task="ner", schema={}, options={})
    for role in (VIEWER, ANALYST):
        acts.append(user(3, sharing="all", role=role))
        assert batch_services.list_batches(app) == []
        with pytest.raises(AccessError):
            batch_services.wait_for_batch(app, number, 0.1)
        with pytest.raises(AccessError):
            batch_services.cancel_batch(app, number)
    acts.append(user(4, role=ADMIN))
    assert [one.id for one in batch_services.list_batches(app)] == [number]
