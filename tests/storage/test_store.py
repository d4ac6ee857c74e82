"""Writes and reads over a real file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from core.errors import StorageError
from core.storage import queries
from core.storage.database import migrate, open_database
from core.storage.store import Store
from core.storage.tables import AnnotationRow, RunDocumentRow
from core.types import AnnotatedDocument, Annotation, Document, Link, Span

NASTY = '😀 Robert\'); DROP TABLE documents;-- "引号" 100%_好 <b>&</b>\r\n\t𠮷'


@pytest.fixture
def store(empty: Engine) -> Store:
    migrate(empty)
    return Store(empty)


def open_store(folder: Path) -> Store:
    engine = open_database(f"sqlite:///{folder / 'app.db'}")
    migrate(engine)
    return Store(engine)


def start(store: Store, total: int = 1, schema_id: int | None = None) -> int:
    return store.start_run(
        schema={"人物": None},
        task="re",
        schema_id=schema_id,
        model="rex-mini-zh",
        revision="master",
        dtype="float32",
        device="cpu",
        threshold=0.5,
        total=total,
    )


def relation(document: Document, windows: int = 2) -> AnnotatedDocument:
    child = Annotation("配偶(人物)", 2, 4, document.text[2:4], 0.75)
    other = Annotation("籍贯(地点)", 0, 1, document.text[0:1], 0.5, (Annotation("省", 0, 1, document.text[0:1], 0.5),))
    head = Annotation("人物", 0, 2, document.text[0:2], 0.9, (child, other))
    link = Link("人物", 0, 2, document.text[0:2], 0.9, 0.95)
    return AnnotatedDocument(
        document,
        "re",
        (head, Annotation("类别", None, None, "", 0.8), Annotation("人物", 3, 5, document.text[3:5], 0.6)),
        windows=windows,
        paths=((link,), (link, Link("配偶(人物)", 2, 4, document.text[2:4], 0.75, 0.8))),
        notes=("读了两个窗口",),
    )


def counts(store: Store) -> tuple[int, int]:
    with store.engine.connect() as connection:
        documents = connection.scalar(select(func.count()).select_from(RunDocumentRow))
        annotations = connection.scalar(select(func.count()).select_from(AnnotationRow))
    return documents or 0, annotations or 0


def test_a_result_comes_back_as_it_went_in(store: Store) -> None:
    text = NASTY
    document = Document(
        text,
        id="a'1",
        name="文件.csv",
        text_pair="第二段",
        aspects=("屏幕",),
        candidates=(Span(0, 1, text[0:1]),),
        pronouns=(Span(2, 8, text[2:8]),),
        metadata={"渠道": "电话", "o'k": '"'},
    )
    result = relation(document)
    run = start(store)
    store.save_result(run, store.add_documents([document])[0], result=result, duration_s=0.25)
    assert queries.load_results(store.engine, run) == [result]


def test_reopening_the_file_keeps_the_data(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    result = relation(Document("张伟和李娜"))
    run = start(store)
    store.save_result(run, store.add_documents([result.document])[0], result=result, duration_s=0.1)
    store.engine.dispose()
    again = open_store(tmp_path)
    assert queries.load_results(again.engine, run) == [result]


def test_saving_again_replaces_and_does_not_count_twice(store: Store) -> None:
    result = relation(Document("张伟和李娜"), windows=3)
    document = store.add_documents([result.document])[0]
    run = start(store)
    store.save_result(run, document, result=result, duration_s=0.1)
    shorter = AnnotatedDocument(result.document, "re", result.annotations[1:2], windows=1)
    store.save_result(run, document, result=shorter, duration_s=0.1)
    assert queries.load_results(store.engine, run) == [shorter]
    info = queries.get_run(store.engine, run)
    assert (info.done, info.windows, info.annotations) == (1, 1, 1)


def test_results_keep_the_order_of_the_input(store: Store) -> None:
    documents = [Document(f"第{n}条消息") for n in range(5)]
    ids = store.add_documents(documents)
    run = start(store, total=5)
    for position in (3, 0, 4, 1, 2):
        # position 0 is the newest document: order comes from the input, not from row ids
        document = documents[4 - position]
        store.save_result(
            run,
            ids[4 - position],
            result=AnnotatedDocument(document, "re", ()),
            duration_s=0.0,
            position=position,
        )
    assert [r.document.text for r in queries.load_results(store.engine, run)] == [d.text for d in reversed(documents)]


def test_a_failed_save_leaves_nothing_behind(store: Store) -> None:
    document = Document("张伟和李娜")
    row = store.add_documents([document])[0]
    run = start(store)
    # a lone surrogate cannot be stored: the fault comes at the last annotation, after others were written
    bad = AnnotatedDocument(
        document, "re", (Annotation("人物", 0, 2, "张伟", 0.9), Annotation("\ud83d", 0, 1, "张", 0.9))
    )
    with pytest.raises(StorageError):
        store.save_result(run, row, result=bad, duration_s=0.1)
    assert counts(store) == (0, 0)
    assert queries.get_run(store.engine, run).done == 0


def test_a_result_of_an_unknown_run_or_document_is_refused(store: Store) -> None:
    result = relation(Document("张伟和李娜"))
    document = store.add_documents([result.document])[0]
    for run_id, document_id in ((99, document), (start(store), 99)):
        with pytest.raises(StorageError):
            store.save_result(run_id, document_id, result=result, duration_s=0.1)
    assert counts(store) == (0, 0)


def test_eight_threads_write_at_once(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    run = start(store, total=160)

    def write(worker: int) -> None:
        for n in range(20):
            document = Document(f"{worker}号写入第{n}条")
            row = store.add_documents([document])[0]
            store.save_result(run, row, result=relation(document), duration_s=0.0)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    info = queries.get_run(store.engine, run)
    assert (info.done, info.windows, info.annotations) == (160, 320, 160 * 6)


def test_two_engines_write_to_one_file_at_once(tmp_path: Path) -> None:
    stores = [open_store(tmp_path) for _ in range(4)]

    def write(store: Store) -> None:
        for n in range(20):
            store.add_documents([Document(f"{id(store)} {n}")])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, stores))
    assert queries.count_documents(stores[0].engine) == 80


def test_a_document_already_stored_keeps_its_row_but_equal_lines_get_their_own(store: Store) -> None:
    first, second = store.add_documents([Document("一样", id="1"), Document("一样", id="1")])
    assert first != second
    assert store.add_documents([Document("一样", id="1")]) == [first]
    assert store.add_documents([Document("一样", id="1"), Document("一样", id="1")]) == [first, second]
    assert store.add_documents([Document("一样", id="2")])[0] not in (first, second)
    assert store.add_documents([Document("一样", id="1", metadata={"渠道": "电话"})])[0] not in (first, second)


def test_one_object_given_for_several_tasks_is_one_document(store: Store) -> None:
    document = Document("一段")
    rows = store.add_documents([document, Document("一段"), document])
    assert rows[0] == rows[2] != rows[1]
    assert queries.count_documents(store.engine) == 2


def test_a_thousand_documents_are_stored_in_one_call(store: Store) -> None:
    documents = [Document(f"文档{n}") for n in range(1200)]
    ids = store.add_documents(documents)
    assert len(set(ids)) == 1200
    assert queries.get_document(store.engine, ids[700]) == documents[700]
    assert store.add_documents(documents) == ids


def test_a_schema_gets_a_new_version_only_when_it_changes(store: Store) -> None:
    first = store.save_schema("投诉", "ner", body={"人物": None, "产品": None})
    assert store.save_schema("投诉", "ner", body={"人物": None, "产品": None}) == first
    second = store.save_schema("投诉", "ner", body={"人物": None})
    store.save_schema("关系", "re", body={"人物": {"配偶(人物)": None}})
    latest = queries.latest_schemas(store.engine, "ner")
    assert [(s.id, s.name, s.version, s.body) for s in latest] == [(second, "投诉", 2, {"人物": None})]
    assert [s.name for s in queries.latest_schemas(store.engine)] == ["关系", "投诉"]
    assert [s.id for s in queries.schema_versions(store.engine, "投诉")] == [second, first]


def test_the_order_of_types_in_a_schema_survives(store: Store) -> None:
    store.save_schema("顺序", "ner", body={"b": None, "a": None})
    assert list(queries.latest_schemas(store.engine)[0].body) == ["b", "a"]


def test_a_schema_without_a_name_is_refused(store: Store) -> None:
    with pytest.raises(StorageError, match="名称为空"):
        store.save_schema("  ", "ner", body={"人物": None})


def test_runs_are_listed_newest_first_with_their_schema(store: Store) -> None:
    schema = store.save_schema("投诉", "re", body={"人物": None})
    first, second = start(store), start(store, schema_id=schema)
    store.finish_run(first, "failed", error="显存不足")
    runs = queries.list_runs(store.engine)
    assert [run.id for run in runs] == [second, first]
    assert (runs[0].schema_name, runs[0].schema_version, runs[0].state) == ("投诉", 1, "running")
    assert (runs[1].state, runs[1].error, runs[1].schema_name) == ("failed", "显存不足", None)
    assert queries.list_runs(store.engine, limit=1, offset=1) == runs[1:]
    assert queries.count_runs(store.engine) == 2


def test_times_are_utc(store: Store) -> None:
    run = start(store)
    store.finish_run(run, "done")
    info = queries.get_run(store.engine, run)
    assert info.started_at.tzinfo is UTC
    assert info.finished_at is not None
    assert abs(datetime.now(UTC) - info.finished_at) < timedelta(minutes=1)


def test_a_run_cannot_end_in_an_unknown_state(store: Store) -> None:
    run = start(store)
    with pytest.raises(StorageError):
        store.finish_run(run, "perhaps")
    with pytest.raises(StorageError, match="没有编号为 99"):
        store.finish_run(99, "done")
    assert queries.get_run(store.engine, run).state == "running"


def test_search_takes_wildcards_and_sql_literally(store: Store) -> None:
    store.add_documents([Document(NASTY), Document("另一条", name="报告.txt"), Document("第三条", id="X-7")])

    def texts(search: str) -> list[str]:
        return [document.preview for document in queries.list_documents(store.engine, search)]

    assert texts("100%_好") == [NASTY]
    assert texts("%") == [NASTY]
    assert texts("'); DROP TABLE") == [NASTY]
    assert texts("报告") == ["另一条"]
    assert texts("X-7") == ["第三条"]
    assert texts("不存在") == []
    assert queries.count_documents(store.engine, "条") == 2
    assert queries.count_documents(store.engine) == 3


def test_lists_show_the_beginning_and_length_of_a_document(store: Store) -> None:
    text = "😀" * 1000
    run = start(store)
    document = Document(text, metadata={"渠道": "电话"})
    row = store.add_documents([document])[0]
    store.save_result(run, row, result=AnnotatedDocument(document, "re", ()), duration_s=0.0)
    info = queries.list_documents(store.engine)[0]
    assert info.preview == "😀" * queries.PREVIEW_CHARACTERS
    assert (info.characters, info.runs, info.metadata) == (1000, 1, {"渠道": "电话"})


def test_types_are_counted_with_children(store: Store) -> None:
    result = relation(Document("张伟和李娜"))
    run = start(store)
    store.save_result(run, store.add_documents([result.document])[0], result=result, duration_s=0.0)
    assert queries.type_counts(store.engine, run) == {"人物": 2, "省": 1, "籍贯(地点)": 1, "类别": 1, "配偶(人物)": 1}
    assert next(iter(queries.type_counts(store.engine, run))) == "人物"


def test_deleting_a_run_keeps_its_documents(store: Store) -> None:
    result = relation(Document("张伟和李娜"))
    run = start(store)
    store.save_result(run, store.add_documents([result.document])[0], result=result, duration_s=0.0)
    store.delete_run(run)
    assert counts(store) == (0, 0)
    assert queries.count_documents(store.engine) == 1
    with pytest.raises(StorageError, match="没有编号为"):
        queries.load_results(store.engine, run)


def test_deleting_a_document_shrinks_its_runs(store: Store) -> None:
    documents = [Document("张伟和李娜"), Document("王芳和赵强")]
    ids = store.add_documents(documents)
    run = start(store, total=2)
    for row, document in zip(ids, documents, strict=True):
        store.save_result(run, row, result=relation(document), duration_s=0.0)
    store.delete_document(ids[0])
    info = queries.get_run(store.engine, run)
    assert (info.total, info.done, info.windows, info.annotations) == (1, 1, 2, 6)
    assert queries.load_results(store.engine, run) == [relation(documents[1])]
    with pytest.raises(StorageError, match="没有编号为"):
        queries.get_document(store.engine, ids[0])
