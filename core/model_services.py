"""What the product can do with checkpoints, one function each: list, use, download, verify, remove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.access.principal import ADMIN, ANALYST
from core.checkpoints import choice, compare, download, installed, verify
from core.checkpoints.installed import Installed
from core.checkpoints.work import Work
from core.errors import CheckpointError, InputError
from core.guard import guarded
from core.model.checkpoint import read_files
from core.services import Application, make_items, unload_model
from core.storage import queries
from core.types import Document

DOWNLOAD, VERIFY, COMPARE = "checkpoint-download", "checkpoint-verify", "checkpoint-compare"
MOST = 300
"""Corrected documents that a comparison reads unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Switched:
    """What a change of checkpoint did: `source` answers now; `waiting` jobs ask for another one and wait for it.

    `pinned`: REX_MODEL is set, so that the choice holds until the next start only.
    """

    source: str
    waiting: int
    pinned: bool


def installed_checkpoints(app: Application) -> list[Installed]:
    """Every checkpoint on this machine."""
    return installed.list_installed(app.settings)


def find_checkpoint(app: Application, name: str) -> Installed:
    """One of them, by source, name or directory. Raises CheckpointError naming those there are."""
    return installed.find_installed(app.settings, name)


@guarded(ADMIN, "model.use", about="checkpoint {name}")
def use_checkpoint(app: Application, name: str) -> Switched:
    """Let another checkpoint answer from now on, in every session, and remember it for the next start.

    See `Application.change_model` for what happens to jobs and requests. Raises CheckpointError when it is not
    installed or cannot be read, and whatever stops it from being loaded; the old one then stays.
    """
    one = find_checkpoint(app, name)
    if not one.complete:
        raise CheckpointError(f"{one.name} 的下载没有完成：请先下载完")
    read_files(str(one.directory))
    if one.source != app.settings.model_source:
        app.change_model(one.source)
        app.monitor.mark("model", f"换用检查点 {one.name}")
    choice.remember(app.settings, one.source)
    return Switched(one.source, waiting_jobs(app), app.pinned)


def waiting_jobs(app: Application) -> int:
    """How many queued jobs ask for a checkpoint that is not in use."""
    runs = queries.list_runs(app.database, states=("queued",), limit=1000)
    return sum(run.source != app.settings.model_source for run in runs)


@guarded(ADMIN, "model.remove", about="checkpoint {name}")
def remove_checkpoint(app: Application, name: str) -> int:
    """Delete a checkpoint from the disk; returns the bytes freed. Raises CheckpointError as `installed.remove`."""
    return installed.remove(app.settings, find_checkpoint(app, name), active=app.settings.model_source)


@guarded(ADMIN, "model.download", about="{model_id} {revision}")
def start_download(app: Application, model_id: str, revision: str) -> Work:
    """Fetch a checkpoint in the background; its result is the source. Raises BusyError while another one comes."""

    def fetch(work: Work) -> str:
        return download.download(
            app.settings, model_id.strip(), revision=revision.strip() or "master", tell=work.tell,
            cancelled=work.cancelled,
        )  # fmt: skip

    return app.works.start(DOWNLOAD, fetch, about=f"{model_id.strip()}@{revision.strip() or 'master'}")


@guarded(ADMIN, "model.discard", about="{source}")
def discard_download(app: Application, source: str) -> None:
    """Remove what a stopped download has left."""
    model_id, _, revision = source.rpartition("@")
    download.discard(app.settings, model_id, revision)


@guarded(ANALYST, "model.verify", about="checkpoint {name}")
def start_verify(app: Application, name: str, *, answers: Path = verify.ANSWERS) -> Work:
    """Check a checkpoint in the background; its result is a list of checks."""
    one = find_checkpoint(app, name)

    def check(work: Work) -> object:
        return verify.verify_checkpoint(
            app.settings, one, answers=answers, tell=work.tell, cancelled=work.cancelled
        )  # fmt: skip

    return app.works.start(VERIFY, check, about=one.name)


@guarded(ANALYST, "model.compare", about="{names}")
def start_compare_text(
    app: Application,
    names: Sequence[str],
    document: Document,
    *,
    task: str,
    schema: Any = None,
    threshold: float | None = None,
) -> Work:
    """Ask two checkpoints the same of one text, in the background; the result is an `OnText`. Raises SchemaError."""
    pair = _pair(app, names)
    make_items([document], task=task, schema=schema)  # what cannot be asked is told at once
    level = app.settings.threshold if threshold is None else threshold

    def ask(work: Work) -> compare.OnText:
        return compare.compare_text(
            _lender(app),
            pair,
            document,
            task=task,
            schema=schema,
            threshold=level,
            tell=work.tell,
            cancelled=work.cancelled,
        )

    return app.works.start(COMPARE, ask, about=" / ".join(one.name for one in pair))


@guarded(ANALYST, "model.compare", about="{names}")
def start_compare_corrections(
    app: Application, names: Sequence[str], run_ids: Sequence[int], *, limit: int = MOST
) -> Work:
    """Let two checkpoints read the reviewed documents of runs, in the background; the result is an `OnCorrections`.

    Documents that one of them was fine-tuned on are left out.
    """
    pair = _pair(app, names)
    database = app.database  # of whoever asks: the thread below belongs to nobody
    runs = [queries.get_run(database, one) for one in run_ids]

    def read(work: Work) -> compare.OnCorrections:
        documents, left_out = compare.corrected_documents(database, runs, pair, limit=limit)
        return compare.compare_corrections(
            _lender(app), pair, documents, left_out=left_out, tell=work.tell, cancelled=work.cancelled
        )

    return app.works.start(COMPARE, read, about=" / ".join(one.name for one in pair))


def _pair(app: Application, names: Sequence[str]) -> tuple[Installed, Installed]:
    first, second = (find_checkpoint(app, name) for name in names)
    if first.source == second.source:
        raise InputError(f"两边是同一个检查点 {first.name}：请选两个不同的")
    return first, second


def _lender(app: Application) -> compare.Lender:
    return compare.Lender(app.settings, lambda: app.engine, lambda: unload_model(app))
