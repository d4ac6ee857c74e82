"""Every step of the chain goes up and down with data in the tables, on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, MetaData, Table, inspect, text

from core.storage import queries, tuning_store
from core.storage.database import migrate, migrations, writing
from core.storage.search_index import catch_up
from core.storage.store import Store
from core.types import AnnotatedDocument, Annotation, Document

CHAIN = [one.revision for one in reversed(list(ScriptDirectory.from_config(migrations()).walk_revisions()))]
FIRST = CHAIN[0]
WHEN = "2026-01-02 03:04:05"
OLD: dict[str, list[dict[str, Any]]] = {
    "documents": [
        {"id": n, "external_id": f"d{n}", "name": "旧.csv", "text": f"😀张伟的妻子是李娜{n}\r\n", "text_pair": None,
         "inputs": {"aspects": [], "candidates": [], "pronouns": []},
         "metadata": {"渠道": "电话", "长" * 300: "值" * 300},
         "sha256": f"{n:064d}", "created_at": WHEN}
        for n in (1, 2)
    ],
    "schemas": [{"id": 1, "name": "人物", "task": "re", "version": 1, "body": {"人物": {"配偶(人物)": None}},
                 "created_at": WHEN}],
    "runs": [
        {"id": 1, "task": "re", "schema_id": 1, "schema": {"人物": {"配偶(人物)": None}}, "model": "m", "revision": "r",
         "dtype": "float32", "device": "cpu", "threshold": 0.5, "state": "done", "total": 1, "done": 1, "windows": 1,
         "started_at": WHEN, "finished_at": WHEN, "error": None}
    ],
    "run_documents": [
        {"run_id": 1, "document_id": 1, "position": 0, "windows": 1, "paths": [], "notes": ["提示"], "error": "",
         "duration_s": 0.5}
    ],
    "annotations": [
        {"id": 1, "run_id": 1, "document_id": 1, "parent_id": None, "type": "人物", "start": 1, "end": 3,
         "text": "张伟", "score": 0.75, "position": 0},
        {"id": 2, "run_id": 1, "document_id": 1, "parent_id": 1, "type": "配偶(人物)", "start": 7, "end": 9,
         "text": "李娜", "score": 0.5, "position": 1},
    ],
}  # fmt: skip
FOUND = (Annotation("人物", 1, 3, "张伟", 0.75, (Annotation("配偶(人物)", 7, 9, "李娜", 0.5),)),)


def go(engine: Engine, revision: str, *, up: bool) -> None:
    config = migrations()
    with writing(engine).begin() as connection:
        config.attributes["connection"] = connection
        (command.upgrade if up else command.downgrade)(config, revision)


def fill(engine: Engine) -> None:
    """The data of the first version, in its tables."""
    with engine.begin() as connection:
        for name, rows in OLD.items():
            table = Table(name, MetaData(), autoload_with=connection)
            kinds = {column.name: str(column.type) for column in table.columns}
            for row in rows:
                values = dict(row)
                if connection.dialect.name == "sqlite":
                    values = {
                        key: datetime.fromisoformat(value) if kinds[key] == "DATETIME" and value else value
                        for key, value in values.items()
                    }
                connection.execute(table.insert(), values)
            if connection.dialect.name == "postgresql" and "id" in kinds:
                connection.execute(
                    text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT max(id) FROM {name}))")
                )


def kept(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """What is left of that data, in the columns that it had."""
    found = {}
    with engine.connect() as connection:
        for name, rows in OLD.items():
            table = Table(name, MetaData(), autoload_with=connection)
            columns = [table.c[key] for key in rows[0]]
            query = table.select().with_only_columns(*columns).order_by(columns[0])
            found[name] = [
                {key: str(value) if key.endswith("_at") else value for key, value in row._mapping.items()}
                for row in connection.execute(query)
            ]
    return found


def test_data_of_the_first_version_survives_every_step_up_and_down(empty: Engine) -> None:
    go(empty, FIRST, up=True)
    fill(empty)
    assert kept(empty) == OLD
    for revision in CHAIN[1:]:
        go(empty, revision, up=True)
        assert kept(empty) == OLD, f"up to {revision}"
    run = queries.get_run(empty, 1)
    assert (run.annotations, run.done, run.schema_name) == (2, 1, "人物")
    (result,) = queries.load_results(empty, 1)
    assert result.annotations == FOUND and result.notes == ("提示",)
    assert queries.count_documents(empty, queries.Search(metadata={"渠道": ["电话"]})) == 2
    for revision in reversed(CHAIN[:-1]):
        go(empty, revision, up=False)
        assert kept(empty) == OLD, f"down to {revision}"
    go(empty, "head", up=True)
    assert queries.load_results(empty, 1) == [result]


def test_data_of_the_newest_version_survives_the_way_down_and_up(empty: Engine) -> None:
    migrate(empty)
    store = Store(empty)
    documents = [Document(f"😀张伟的妻子是李娜{n}", id=str(n), metadata={"渠道": "网页"}) for n in range(3)]
    rows = store.add_documents(documents)
    run = store.start_run(
        task="re", schema_id=None, schema={}, model="m", revision="", dtype="", device="", threshold=0.5, total=3
    )
    for position, (row, document) in enumerate(zip(rows, documents, strict=True)):
        result = AnnotatedDocument(document, "re", FOUND)
        store.save_result(run, row, result=result, duration_s=0.0, position=position)
    catch_up(empty)
    before = queries.load_results(empty, run)
    go(empty, FIRST, up=False)
    go(empty, "head", up=True)
    assert queries.load_results(empty, run) == before and len(before) == 3
    assert queries.get_run(empty, run).annotations == 6
    assert queries.count_documents(empty, "妻子是李") == 3
    assert catch_up(empty) == (3 if empty.dialect.name == "sqlite" else 0)


def test_fine_tunings_of_before_belong_to_the_machine_s_own_user_and_survive(empty: Engine) -> None:
    go(empty, "0011", up=True)
    with writing(empty).begin() as connection:
        old = Table("tunings", MetaData(), autoload_with=connection)
        values: dict[str, Any] = {"options": {}, "data": {"runs": [1]}, "progress": {}, "scores": {}}
        values |= {"name": "旧", "source": "m", "folder": "/x", "history": [{"step": 1}], "state": "done"}
        values["created_at"] = datetime.fromisoformat(WHEN)
        connection.execute(old.insert(), values)
    go(empty, "0012", up=True)
    with empty.connect() as connection:
        row = connection.execute(text("SELECT user_id, project_id, name FROM tunings")).one()
    assert tuple(row) == (1, 1, "旧")
    assert tuning_store.get(empty, 1).history == [{"step": 1}]
    go(empty, "0011", up=False)
    with empty.connect() as connection:
        table = Table("tunings", MetaData(), autoload_with=connection)
        assert "user_id" not in table.c and connection.execute(table.select()).one().data == {"runs": [1]}


def test_the_way_down_to_nothing_leaves_no_table(empty: Engine) -> None:
    migrate(empty)
    go(empty, "base", up=False)
    assert set(inspect(empty).get_table_names()) <= {"alembic_version"}


@pytest.mark.parametrize("revision", CHAIN)
def test_a_migration_says_what_it_is_for(revision: str) -> None:
    script = ScriptDirectory.from_config(migrations()).get_revision(revision)
    assert script is not None and script.doc.strip()
