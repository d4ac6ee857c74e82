"""A document that ends its process whenever it is read: the job goes on without it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import job_services
from core.bootstrap import build
from core.config import ROOT, Settings
from core.jobs.worker import ATTEMPTS
from core.services import Application
from core.storage import job_queries, queries
from core.types import Document

NER = {"人物": None, "组织机构": None}
DEADLY = "致命"
WAIT_S = 120
# `python -m core job run N` in a process that the marked text ends as a fault of the machine would.
PROCESS = f"""
import os, signal, sys
from core.cli import app
from core.inference import engine
read = engine.read_document
def deadly(item, *rest, **options):
    if {DEADLY!r} in item.document.text:
        os.kill(os.getpid(), signal.SIGKILL)
    return read(item, *rest, **options)
engine.read_document = deadly
app(["job", "run", sys.argv[1]])
"""


@pytest.fixture
def app(settings: Settings, checkpoint_dir: Path) -> Iterator[Application]:
    application = build(settings.model_copy(update={"model": str(checkpoint_dir)}))
    yield application
    application.close()


def run(app: Application, job: int) -> int:
    settings = app.settings
    environment = os.environ | {
        "REX_DATA_DIR": str(settings.data_dir),
        "REX_DATABASE_URL": settings.resolved_database_url,
        "REX_MODEL": settings.model,
        "REX_DEVICE": "cpu",
    }
    command = [sys.executable, "-c", PROCESS, str(job)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=WAIT_S, check=False)
    return done.returncode


def test_a_document_that_kills_its_process_fails_after_four_attempts_and_the_others_are_read(app: Application) -> None:
    texts = [f"{number}。小说家陈静毕业于浙江大学。" for number in range(9)]
    texts[4] = f"{DEADLY}。小说家陈静毕业于浙江大学。"
    job = job_services.submit_job(app, [Document(text) for text in texts], task="ner", schema=NER)
    for _ in range(ATTEMPTS):
        assert run(app, job) == -9
    assert queries.get_run(app.database, job).done == 8, "the last time it was read alone, after all others"
    assert run(app, job) == 1, "one document failed"
    state = queries.get_run(app.database, job)
    assert (state.state, state.done, state.failed) == ("done", len(texts), 1)
    (failed,) = job_queries.failed_documents(app.database, job)
    assert failed.preview.startswith(DEADLY) and "4 次意外退出" in failed.error

    assert job_services.retry_job(app, job) == 1
    assert run(app, job) == -9, "it is tried again"
    app.runner.take([job])  # where it does no harm
    assert job_services.wait_for_jobs(app, [job], WAIT_S)
    state = queries.get_run(app.database, job)
    assert (state.state, state.done, state.failed) == ("done", len(texts), 0)
