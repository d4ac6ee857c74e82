"""What somebody may not see is nowhere: not in a list, not by its number, not in counts, searches or exports."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from core import job_services, reviews, services
from core.access.principal import ADMIN, ANALYST, VIEWER, Principal, bound
from core.errors import AccessError, InputError, StorageError
from core.exporters import export_run
from core.gpu.monitor import GpuMonitor
from core.review.actions import Action
from core.services import Application
from core.storage import (
    concordance,
    explore_pairs,
    explore_queries,
    job_queries,
    queries,
    review_queries,
    review_results,
    schema_store,
    search,
    user_store,
)
from core.storage.explore_queries import Filter
from core.storage.search_index import catch_up
from core.storage.store import Store
from core.storage.tables import DocumentRow, RunRow
from core.storage.visibility import documents_of_runs, mine
from core.types import AnnotatedDocument, Annotation, Document

SECRET = "机密合同"
FOUND = (Annotation("人物", 5, 7, "李娜", 0.75, (Annotation("配偶(人物)", 8, 10, "张伟", 0.5),)),)


def user(number: int, *, sharing: str, projects: tuple[int, ...] = (1,), role: str = ANALYST) -> Principal:
    return Principal(number, f"u{number}", role, (*projects, 1)[0], projects, sharing)


def stored_run(engine: Engine, name: str) -> tuple[int, int]:
    """A document with a finished run of whoever acts; their numbers."""
    store = Store(engine)
    document = Document(f"{SECRET}：李娜、张伟。{name}", id=f"{name}-1", metadata={"部门": name})
    (row,) = store.add_documents([document])
    schema = store.save_schema(f"模式{name}", "re", body={"人物": {"配偶(人物)": None}})
    run = store.start_run(
        task="re", schema_id=schema, schema={"人物": {"配偶(人物)": None}}, model="m", revision="", dtype="", device="",
        threshold=0.5, total=1,
    )  # fmt: skip
    store.save_result(run, row, result=AnnotatedDocument(document, "re", FOUND), duration_s=0.1)
    store.finish_run(run, "done")
    review = review_queries.get_review(engine, run, row)
    reviews.perform(engine, review, Action("accept", review.nodes[0].id), author=name)
    return row, run


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (user(2, sharing="user"), user(3, sharing="user")),
        (user(2, sharing="project", projects=(4,)), user(3, sharing="project", projects=(5,))),
        (user(2, sharing="user", role=VIEWER), user(3, sharing="user")),
        (user(2, sharing="project", projects=()), user(3, sharing="project")),
    ],
)
def test_documents_and_runs_of_others_can_be_neither_found_nor_reached(
    database: Engine, tmp_path: Path, one: Principal, other: Principal
) -> None:
    theirs = bound(database, other)
    row, run = stored_run(theirs, "甲")
    catch_up(database)
    here = bound(database, one)
    everything = Filter(runs=(run,))
    nothing = [
        queries.list_documents(here), queries.list_documents(here, SECRET), queries.count_documents(here),
        queries.count_documents(here, search.Search(metadata={"部门": ["甲"]})),
        queries.count_documents(here, search.Search(SECRET)), queries.get_documents(here, [row]),
        queries.list_runs(here), queries.count_runs(here), queries.runs_of_document(here, row),
        queries.type_counts(here, run), queries.latest_schemas(here), queries.schema_versions(here, "模式甲"),
        search.metadata_keys(here), search.metadata_values(here, "部门"),
        job_queries.find_documents(here, search.Search(SECRET)), job_queries.failed_documents(here, run),
        list(job_queries.grounds(here, run)), explore_queries.document_count(here, [run]),
        explore_queries.type_counts(here, everything), explore_queries.text_counts(here, everything),
        explore_queries.score_bins(here, everything), explore_queries.value_counts(here, everything, key="部门"),
        explore_pairs.together(here, everything, types=["人物"]), explore_pairs.edges(here, everything),
        explore_pairs.types_below(here, everything, types=["配偶(人物)"]), concordance.count_findings(here, everything),
        concordance.find_lines(here, everything), concordance.count_word(here, everything, "李娜"),
        concordance.word_lines(here, everything, "李娜"), concordance.count_matches(here, everything),
        concordance.find_matches(here, everything), review_queries.count_states(here, run),
        review_queries.found_types(here, run), review_queries.queue_ids(here, run, review_queries.QueueFilter()),
        review_queries.queue_items(here, run, [row]), review_queries.history(here, run, row),
        review_queries.documents_with(here, run, SECRET), review_queries.batch_documents(here, run, ""),
        list(review_queries.reviewed_pairs(here, run)), list(review_queries.review_rows(here, run, [row])),
        schema_store.runs_of(here, "模式甲"), schema_store.changes(here, "模式甲"),
        schema_store.documents_at(here, run, [("人物",)], corrected_only=False),
        schema_store.touched(here, [run], ("人物",)).findings,
    ]  # fmt: skip
    assert [bool(found) for found in nothing] == [False] * len(nothing)
    for reach in (
        lambda: queries.get_document(here, row),
        lambda: queries.get_run(here, run),
        lambda: queries.load_result(here, run, row),
        lambda: queries.load_results(here, run),
        lambda: list(review_results.current_results(here, run)),
        lambda: list(review_results.reviewed_results(here, run)),
        lambda: review_queries.get_review(here, run, row),
        lambda: schema_store.versions(here, "模式甲"),
        lambda: export_run(here, run, "native", path=tmp_path / "out.jsonl"),
    ):
        with pytest.raises(StorageError):
            reach()
    assert not (tmp_path / "out.jsonl").exists()
    # the same questions have answers for whose it is
    assert queries.get_document(theirs, row).text.startswith(SECRET)
    assert queries.count_documents(theirs, SECRET) == queries.count_runs(theirs) == 1
    assert explore_queries.type_counts(theirs, everything) and concordance.word_lines(theirs, everything, "李娜")
    assert export_run(theirs, run, "native", path=tmp_path / "out.jsonl") == ()


def test_documents_and_runs_of_others_cannot_be_changed(database: Engine, settings) -> None:  # type: ignore[no-untyped-def]
    one, other = user(2, sharing="user"), user(3, sharing="user")
    theirs = bound(database, other)
    row, run = stored_run(theirs, "甲")
    review = review_queries.get_review(theirs, run, row)
    app = Application(settings, database=database, monitor=GpuMonitor(), identify=lambda: one)
    try:
        services.delete_document(app, row)
        app.store.delete_run(run)
        with pytest.raises(StorageError, match="没有编号"):
            job_services.submit_stored(app, [row], task="re", schema={"人物": None})
        for step in (job_services.cancel_job, job_services.delete_job, job_services.retry_job):
            with pytest.raises(AccessError, match="没有编号"):
                step(app, run)
        with pytest.raises(AccessError, match="没有编号"):
            reviews.perform(app.database, review, Action("undo"), author="x")
        with pytest.raises(StorageError, match="已被其他用户"):
            services.save_schema(app, "模式甲", task="re", schema={"地点": None})
    finally:
        app.close()
    assert queries.get_document(theirs, row) and queries.get_run(theirs, run).done == 1


def test_equal_documents_of_two_users_are_two_documents_where_each_sees_his_own(database: Engine) -> None:
    text = [Document("同一段文字。", id="1")]
    for sharing, rows in (("user", 2), ("all", 2)):
        ids = {Store(bound(database, user(number, sharing=sharing))).add_documents(text)[0] for number in (2, 3)}
        assert len(ids) == (2 if sharing == "user" else 1)
        with database.connect() as connection:
            assert len(connection.execute(select(DocumentRow.user_id)).all()) == rows


def test_members_share_a_project_and_administrators_see_all(database: Engine, settings) -> None:  # type: ignore[no-untyped-def]
    project = user_store.add_project(database, "合同审查")
    member = user(2, sharing="project", projects=(project,))
    row, run = stored_run(bound(database, member), "甲")
    colleague = user(3, sharing="project", projects=(1, project), role=VIEWER)
    assert queries.get_document(bound(database, colleague), row) and queries.count_runs(bound(database, colleague)) == 1
    assert queries.count_documents(bound(database, user(4, sharing="project"))) == 0
    assert queries.count_documents(bound(database, user(4, sharing="project", role=ADMIN))) == 1
    assert queries.count_documents(bound(database, user(4, sharing="all"))) == 1
    # a job belongs to one project: else its results would show the texts of the other one
    both = user(3, sharing="project", projects=(1, project))
    app = Application(settings, database=database, monitor=GpuMonitor(), identify=lambda: both)
    try:
        with pytest.raises(InputError, match="另一个项目"):
            job_services.submit_stored(app, [row], task="re", schema={"人物": {"配偶(人物)": None}})
    finally:
        app.close()


def test_the_conditions_use_their_indices(database: Engine) -> None:
    if database.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by the size of tables, and here they are empty")
    for who, column in ((user(2, sharing="user"), "user_id"), (user(2, sharing="project"), "project_id")):
        engine = bound(database, who)
        asked = {
            "documents": select(DocumentRow.id).where(*mine(engine, DocumentRow)).order_by(DocumentRow.id.desc()),
            "runs": select(RunRow.id).where(*mine(engine, RunRow)).order_by(RunRow.started_at.desc()),
        }
        for table, query in asked.items():
            with engine.connect() as connection:
                text = str(query.limit(50).compile(connection, compile_kwargs={"literal_binds": True}))
                plan = " ".join(str(line) for line in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))
            order = "id" if table == "documents" else "started_at"
            assert f"ix_{table}_{column}_{order}" in plan and "TEMP B-TREE" not in plan, plan
    assert documents_of_runs(database) == [] and list(itertools.chain(mine(database, RunRow))) == []
