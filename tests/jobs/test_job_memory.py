"""What a job took of the machine is kept with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from core import bootstrap, job_services
from core.config import Settings
from core.services import Application
from core.storage import job_memory
from core.storage.database import migrate
from core.storage.job_memory import JobMemory
from core.storage.store import Store
from core.types import Document

MIB = 1024**2


@pytest.fixture
def database(empty: Engine) -> Engine:
    migrate(empty)
    return empty


def run(database: Engine) -> int:
    return Store(database).start_run(
        task="ner", schema_id=None, schema={}, model="m", revision="", dtype="", device="", threshold=0.5, total=0
    )


def test_of_several_stretches_the_most_memory_and_all_energy_are_kept(database):
    job = run(database)
    assert job_memory.of_job(database, job) is None
    job_memory.keep(database, [job], JobMemory(3 * MIB, 5 * MIB, 10.0))
    job_memory.keep(database, [job], JobMemory(None, 7 * MIB, 2.5))
    job_memory.keep(database, [job], JobMemory(2 * MIB, 6 * MIB, None))
    assert job_memory.of_job(database, job) == JobMemory(3 * MIB, 7 * MIB, 12.5)


def test_jobs_read_together_share_the_peak_and_none_is_given_the_energy_of_all(database):
    jobs = [run(database), run(database)]
    job_memory.keep(database, [*jobs, 99], JobMemory(MIB, 2 * MIB, 5.0))
    assert {job_memory.of_job(database, one) for one in jobs} == {JobMemory(MIB, 2 * MIB, None)}


def test_what_a_job_took_goes_with_it(database):
    job = run(database)
    job_memory.keep(database, [job], JobMemory(MIB, MIB, None))
    Store(database).delete_run(job)
    assert job_memory.of_job(database, job) is None


@pytest.fixture
def app(settings: Settings, checkpoint_dir) -> Iterator[Application]:
    built = bootstrap.build(settings)
    yield built
    built.close()


def test_a_job_on_the_cpu_keeps_its_host_memory_and_long_ones_mark_their_beginning_and_end(app):
    texts = [Document(f"姚明曾效力于休斯敦火箭队{n}。") for n in range(12)]
    short = job_services.start_job(app, texts[:1], task="ner", schema={"人物": None})
    assert job_services.wait_for_jobs(app, [short], 60)
    assert [event.kind for event in app.monitor.events() if event.kind.startswith("job")] == []
    job = job_services.start_job(app, texts, task="ner", schema={"人物": None})
    assert job_services.wait_for_jobs(app, [job], 60)
    for one in (short, job):
        taken = job_memory.of_job(app.database, one)
        assert taken is not None and taken.host_bytes > 20 * MIB and taken.gpu_bytes is None
    app.runner.join([job], 10)
    told = [(event.kind, event.text) for event in app.monitor.events() if event.kind.startswith("job")]
    assert [kind for kind, _ in told] == ["job", "job_end"] and "12 / 12 篇，完成" in told[1][1]


@pytest.mark.parametrize(
    ("memory", "words"),
    [
        (JobMemory(), "—"),
        (JobMemory(None, 512 * MIB, None), "主机 512.0 MiB"),
        (JobMemory(3 * 1024 * MIB, 512 * MIB, 900.0), "显存 3.00 GiB · 主机 512.0 MiB · 整卡 900 J"),
        (JobMemory(None, None, 7200.0), "整卡 2.0 Wh"),
    ],
)
def test_what_a_job_took_is_told_in_words(memory, words):
    pytest.importorskip("streamlit", reason="streamlit is not installed: only the engine is tested here")
    from streamlit_app.components.job_memory import memory_text

    assert memory_text(memory) == words
