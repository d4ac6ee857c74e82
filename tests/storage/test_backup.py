"""Backup, restore and doctor over real files, through the commands."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text
from typer.testing import CliRunner, Result

from core import cli
from core.config import Settings
from core.errors import StorageError
from core.storage import queries
from core.storage.backup import back_up, integrity_problems, is_open, restore
from core.storage.database import migrate, migrations, open_database, writing
from core.storage.search_index import catch_up
from core.storage.store import Store
from core.types import Document

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM documents").fetchall()
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REX_DATA_DIR", str(tmp_path / "数据"))
    monkeypatch.delenv("REX_DATABASE_URL", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    return tmp_path / "数据"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def put(data: Path, *texts: str) -> None:
    engine = open_database(f"sqlite:///{data / 'app.db'}")
    migrate(engine)
    Store(engine).add_documents([Document(one) for one in texts])
    catch_up(engine)
    engine.dispose()


def texts(data: Path, search: str = "") -> list[str]:
    engine = open_database(f"sqlite:///{data / 'app.db'}")
    found = [one.preview for one in queries.list_documents(engine, search)]
    engine.dispose()
    return found


def test_a_backup_made_while_the_desk_writes_comes_back_whole(data: Path, tmp_path: Path) -> None:
    put(data, "宽带断线了")
    engine = open_database(f"sqlite:///{data / 'app.db'}")
    with engine.connect() as connection:
        connection.execute(text("SELECT count(*) FROM documents"))
        done = run("backup", tmp_path / "备 份" / "一.db")
    engine.dispose()
    assert done.exit_code == 0, done.output
    put(data, "后来的")
    done = run("restore", tmp_path / "备 份" / "一.db")
    assert done.exit_code == 0, done.output
    assert texts(data) == ["宽带断线了"] == texts(data, "带断线")
    (kept,) = data.glob("app.db.before-restore-*")
    assert sorted(one.name for one in data.iterdir()) == ["app.db", kept.name]
    with closing(sqlite3.connect(kept)) as old:
        assert old.execute("SELECT count(*) FROM documents").fetchone() == (2,)


def test_a_backup_never_overwrites(data: Path, tmp_path: Path) -> None:
    put(data, "甲")
    (tmp_path / "有了.db").write_text("x")
    done = run("backup", tmp_path / "有了.db")
    assert done.exit_code == 1 and "已经存在" in done.stderr
    assert (tmp_path / "有了.db").read_text() == "x"


def test_without_a_database_there_is_nothing_to_back_up(data: Path, tmp_path: Path) -> None:
    done = run("backup", tmp_path / "一.db")
    assert done.exit_code == 1 and "没有数据库" in done.stderr


def test_restore_is_refused_while_another_process_has_the_database_open(data: Path, tmp_path: Path) -> None:
    put(data, "甲")
    assert run("backup", tmp_path / "一.db").exit_code == 0
    command = [sys.executable, "-c", HOLD, str(data / "app.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "open\n"
        assert is_open(data / "app.db")
        done = run("restore", tmp_path / "一.db")
        assert done.exit_code == 1 and "正在被使用" in done.stderr
        assert not list(data.glob("*before-restore*"))
        assert run("restore", tmp_path / "一.db", "--in-use").exit_code == 0
        holder.communicate("")
    assert not is_open(data / "app.db")
    assert texts(data) == ["甲"]


@pytest.mark.parametrize("kind", ["text", "truncated", "foreign", "missing"])
def test_a_backup_that_is_none_leaves_the_database_as_it_is(data: Path, tmp_path: Path, kind: str) -> None:
    put(data, "甲")
    bad = tmp_path / "坏.db"
    if kind == "text":
        bad.write_text("不是数据库" * 100, "utf-8")
    elif kind == "truncated":
        back_up(f"sqlite:///{data / 'app.db'}", tmp_path / "好.db")
        bad.write_bytes((tmp_path / "好.db").read_bytes()[:20_000])
    elif kind == "foreign":
        with sqlite3.connect(bad) as other:
            other.execute("CREATE TABLE t (a)")
    done = run("restore", bad)
    assert done.exit_code == 1 and "坏.db" in done.stderr
    assert texts(data) == ["甲"]
    assert not list(data.glob("*restor*"))


def test_the_database_itself_is_no_backup_of_itself(data: Path) -> None:
    put(data, "甲")
    with pytest.raises(StorageError, match="不是备份"):
        restore(f"sqlite:///{data / 'app.db'}", data / "app.db")
    with pytest.raises(StorageError, match="pg_dump"):
        back_up("postgresql://desk@127.0.0.1/desk", data / "x")


def test_an_older_backup_is_brought_to_this_version(data: Path, tmp_path: Path) -> None:
    put(data, "甲")
    assert run("backup", tmp_path / "旧.db").exit_code == 0
    engine = open_database(f"sqlite:///{tmp_path / '旧.db'}")
    config = migrations()
    with writing(engine).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    engine.dispose()
    assert run("restore", tmp_path / "旧.db").exit_code == 0
    assert texts(data) == ["甲"]


def test_the_doctor_finds_a_sound_desk_sound(data: Path) -> None:
    assert run("doctor").exit_code == 0  # nothing stored yet
    put(data, "甲")
    done = run("doctor", "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["ok"] and [one["name"] for one in report["checks"]][:4] == ["database", "disk", "write", "versions"]


def test_the_doctor_finds_a_damaged_database(data: Path) -> None:
    put(data, *(f"第{n}条" * 50 for n in range(400)))
    path = data / "app.db"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8192] = b"\xff" * 8192
    path.write_bytes(content)
    done = run("doctor", "--json")
    assert done.exit_code == 1
    (database,) = [one for one in json.loads(done.stdout)["checks"] if one["name"] == "database"]
    assert not database["ok"] and database["detail"]


def test_broken_references_are_named(data: Path) -> None:
    put(data, "甲")
    with sqlite3.connect(data / "app.db") as connection:
        connection.execute("INSERT INTO document_metadata VALUES (99, '渠道', '电话')")
    engine = open_database(Settings().resolved_database_url)
    assert any("document_metadata" in line for line in integrity_problems(engine))
    engine.dispose()
