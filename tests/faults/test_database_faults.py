"""The database locked, damaged, without room, and cut off in the middle of a write: real files, real processes."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core import cli, job_services, services
from core.bootstrap import build
from core.config import ROOT, Settings
from core.errors import DatabaseAwayError, StorageError
from core.services import Application
from core.storage import database, job_store, queries
from core.storage.backup import back_up, integrity_problems
from core.storage.database import migrate, open_database, storage_errors
from core.storage.store import Store
from core.types import Document
from streamlit_app.components.job_controls import model_note

NER = {"人物": None, "地理位置": None}
TEXT = "小说家陈静出生于杭州。"
WAIT_S = 90
HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
print("ready", flush=True)
for line in sys.stdin:
    connection.execute("BEGIN IMMEDIATE" if line == "lock\\n" else "ROLLBACK")
    print(line, end="", flush=True)
"""
# Writes documents in transactions until it is killed, and says how many were committed.
WRITE = """
import sys
from core.storage.database import open_database
from core.storage.store import Store
from core.types import Document
store = Store(open_database(sys.argv[1]))
for number in range(100_000):
    store.add_documents([Document(f"{number}-{place}。" + "小说家陈静出生于杭州。" * 40) for place in range(50)])
    print(number + 1, flush=True)
"""
FILL = """
import sys
from core.errors import DatabaseAwayError
from core.storage import queries
from core.storage.backup import integrity_problems
from core.storage.database import migrate, open_database
from core.storage.store import Store
from core.types import Document
engine = open_database(sys.argv[1])
migrate(engine)
store, kept = Store(engine), 0
if sys.argv[2:]:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    for number in range(2_000):
        store.add_documents([Document(f"{number}-{place}。" + "小说家陈静出生于杭州。" * 40) for place in range(20)])
        kept += 20
except DatabaseAwayError as error:
    print(error)
assert 0 < kept == queries.count_documents(engine), kept
assert not integrity_problems(engine)
"""


@pytest.fixture
def app(settings: Settings, checkpoint_dir: Path) -> Iterator[Application]:
    application = build(settings.model_copy(update={"model": str(checkpoint_dir)}))
    yield application
    application.close()


@contextmanager
def other(path: Path) -> Iterator[Callable[[str], None]]:
    """Another process, which takes the write lock at "lock" and lets it go at "free"."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as holder:
        assert holder.stdin is not None and holder.stdout is not None and holder.stdout.readline() == "ready\n"

        def order(word: str) -> None:
            assert holder.stdin is not None and holder.stdout is not None
            holder.stdin.write(f"{word}\n")
            assert holder.stdout.readline() == f"{word}\n"

        yield order
        holder.stdin.close()


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections made from now on wait for a lock for a tenth of a second only."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 100)


def test_a_lock_that_is_held_too_long_is_told_from_damage_and_nothing_is_half_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    engine = open_database(f"sqlite:///{tmp_path / 'app.db'}")
    migrate(engine)
    store = Store(engine)
    store.add_documents([Document("先存的")])
    with other(tmp_path / "app.db") as order:
        order("lock")
        with pytest.raises(DatabaseAwayError, match="正被另一个程序写入.*以前保存的都在.*稍后再试"):
            store.add_documents([Document("后来的")])
        assert queries.count_documents(engine) == 1, "what is stored can be read meanwhile"
    store.add_documents([Document("后来的")])
    assert queries.count_documents(engine) == 2
    engine.dispose()


def test_a_job_waits_for_a_locked_database_and_goes_on_by_itself(
    settings: Settings, checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    app = build(settings.model_copy(update={"model": str(checkpoint_dir)}))
    told: list[str] = []
    monkeypatch.setattr(app.runner, "_record", lambda kind, text: told.append(text))
    try:
        documents = [Document(f"{number}。{TEXT}") for number in range(1200)]
        with other(settings.data_dir / "app.db") as order:
            job = job_services.start_job(app, documents, task="ner", schema=NER)
            deadline = time.monotonic() + WAIT_S
            while queries.get_run(app.database, job).done < 1 and time.monotonic() < deadline:
                time.sleep(0.002)
            order("lock")
            while app.runner.holds(job) and time.monotonic() < deadline:
                time.sleep(0.02)
            waiting = queries.get_run(app.database, job)
            assert 1 <= waiting.done < 1200
            while not app.runner.trouble and time.monotonic() < deadline:
                time.sleep(0.02)
            assert "正被另一个程序写入" in model_note(app, waiting), "the page of jobs says why nothing moves"
            order("free")
            assert job_services.wait_for_jobs(app, [job], WAIT_S)
        run = queries.get_run(app.database, job)
        assert (run.state, run.done, run.failed, run.error) == ("done", 1200, 0, None)
        assert any("正被另一个程序写入" in text for text in told)
        while app.runner.trouble and time.monotonic() < deadline:
            time.sleep(0.02)
        assert model_note(app, waiting) == "", "and no longer, once it moves"
        assert [one.document for one in services.load_run(app, job)] == documents
    finally:
        app.close()


def test_a_full_disk_is_named_and_everything_before_is_whole(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=4m tmpfs '{disk}' && exec \"$@\""
    command = [sys.executable, "-c", FILL, f"sqlite:///{disk / 'app.db'}"]
    alone = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c", mount, "sh"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may mount no small disk (unshare --mount)")
    done = subprocess.run([*alone, *command], cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.returncode == 0, done.stderr
    assert "磁盘已满" in done.stdout and "腾出空间" in done.stdout and "以前保存的都在" in done.stdout


def test_a_limit_on_the_size_of_files_is_told_as_a_fault_of_the_disk(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FILL, f"sqlite:///{tmp_path / 'app.db'}", str(2**20)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.returncode == 0, done.stderr
    assert ("读写失败" in done.stdout or "磁盘已满" in done.stdout) and "以前保存的都在" in done.stdout


def cut_off(tmp_path: Path, number: int) -> None:
    """Kill a process in the middle of its writes; what it committed must be there, and nothing else."""
    path = tmp_path / f"{number}.db"
    engine = open_database(f"sqlite:///{path}")
    migrate(engine)
    command = [sys.executable, "-c", WRITE, f"sqlite:///{path}"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(2 + number % 5):
            writer.stdout.readline()
        time.sleep(0.003 * (number % 9))
        writer.send_signal(signal.SIGKILL)
        told = [int(line) for line in writer.stdout.read().split()]
    committed = max(told, default=2 + number % 5)
    reopened = open_database(f"sqlite:///{path}")
    migrate(reopened)
    assert integrity_problems(reopened) == []
    count = queries.count_documents(reopened)
    assert count % 50 == 0, "half a transaction was kept"
    assert 50 * committed <= count <= 50 * (committed + 1), "a transaction that was told to be kept is lost"
    Store(reopened).add_documents([Document("又能写了")])
    for one in (engine, reopened):
        one.dispose()


def test_a_process_killed_while_it_writes_leaves_a_whole_database(tmp_path: Path) -> None:
    for number in range(2):
        cut_off(tmp_path, number)


@pytest.mark.slow
def test_a_process_killed_many_times_while_it_writes_leaves_a_whole_database(tmp_path: Path) -> None:
    for number in range(30):
        cut_off(tmp_path, number)


def test_a_damaged_database_is_named_kept_and_replaced_by_its_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REX_DATA_DIR", str(tmp_path))
    for name in ("REX_DATABASE_URL", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "app.db"
    engine = open_database(f"sqlite:///{path}")
    migrate(engine)
    Store(engine).add_documents([Document(f"第{n}条" * 50) for n in range(400)])
    engine.dispose()
    back_up(f"sqlite:///{path}", tmp_path / "good.db")
    whole = bytearray(path.read_bytes())
    for place in range(8192, len(whole) - 4096, 4096):  # every page but the first two
        whole[place : place + 64] = b"\xa5" * 64
    path.write_bytes(whole)
    engine = open_database(f"sqlite:///{path}")
    with pytest.raises(StorageError, match="已损坏.*不要删除.*doctor.*restore") as caught:
        queries.list_documents(engine, "")
    assert not isinstance(caught.value, DatabaseAwayError), "waiting does not help"
    engine.dispose()
    doctor = CliRunner().invoke(cli.app, ["doctor"])
    assert doctor.exit_code == 1 and "已损坏" in doctor.output and "restore" in doctor.output
    restored = CliRunner().invoke(cli.app, ["restore", str(tmp_path / "good.db")])
    assert restored.exit_code == 0, restored.output
    engine = open_database(f"sqlite:///{path}")
    assert queries.count_documents(engine) == 400 and not integrity_problems(engine)
    engine.dispose()
    (kept,) = tmp_path.glob("app.db.before-restore-*")
    assert kept.read_bytes() == bytes(whole)


def test_a_file_that_may_not_be_written_and_a_text_that_cannot_be_stored_are_told(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'app.db'}")
    migrate(engine)
    with pytest.raises(StorageError, match="不成对的代理字符"):
        Store(engine).add_documents([Document("坏\ud83d")])
    with pytest.raises(StorageError, match="打不开或不可写"), storage_errors(engine), engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")
        connection.exec_driver_sql("DELETE FROM documents")
    engine.dispose()


def test_a_job_that_the_database_threw_out_is_given_back_without_blame(app: Application) -> None:
    """Its documents ended no process, so that none of them comes nearer to being given up."""
    job = job_services.submit_job(app, [Document(f"{n}。{TEXT}") for n in range(5)], task="ner", schema=NER)
    real, refusals = job_store.save, []

    def away(*arguments: object, **options: object) -> bool:
        if len(refusals) < 6:
            refusals.append(threading.current_thread().name)
            raise DatabaseAwayError("磁盘已满")
        return real(*arguments, **options)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job_store, "save", away)
        app.runner.take([job])
        assert job_services.wait_for_jobs(app, [job], WAIT_S)
    assert len(refusals) == 6
    run = queries.get_run(app.database, job)
    assert (run.state, run.done, run.failed) == ("done", 5, 0)


def test_the_file_of_the_old_log_is_taken_in_when_the_desk_starts_again(tmp_path: Path) -> None:
    """A power cut leaves the write-ahead log behind: the next start reads it, a copy without it is the older state."""
    path = tmp_path / "app.db"
    engine = open_database(f"sqlite:///{path}")
    migrate(engine)
    Store(engine).add_documents([Document("甲")])
    copies = {name: Path(f"{path}{name}").read_bytes() for name in ("", "-wal")}
    engine.dispose()
    for name, data in copies.items():
        (tmp_path / f"cut.db{name}").write_bytes(data)
    (tmp_path / "cut.db-wal").write_bytes(copies["-wal"] + b"\x37" * 5000)  # a torn last page
    reopened = open_database(f"sqlite:///{tmp_path / 'cut.db'}")
    migrate(reopened)
    assert queries.count_documents(reopened) == 1 and not integrity_problems(reopened)
    reopened.dispose()
    with closing(sqlite3.connect(tmp_path / "cut.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
