"""The library of schemas on the screen and behind it, over a real database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import reviews, schema_library
from core.config import ROOT
from core.errors import ConflictError, SchemaError, StorageError
from core.review.actions import Action
from core.review.nodes import machine_annotations
from core.schemas.changes import DELETE, MERGE, RENAME, SPLIT, Change
from core.schemas.sharing import write_shared
from core.services import judge_runs
from core.storage import queries, schema_store
from core.storage.review_queries import get_review, history
from core.storage.review_results import current_results
from core.types import AnnotatedDocument, Annotation, Document
from streamlit_app.resources import application

NAME = "投诉<b>要素"
TEXT = "张伟和李娜在法国与合肥。"


@pytest.fixture
def page(tmp_path: Path, checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    monkeypatch.setenv("REX_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("REX_MODEL", str(checkpoint_dir))
    monkeypatch.setenv("REX_DEVICE", "cpu")
    application.clear()
    yield AppTest.from_file(str(ROOT / "pages" / "schemas.py"), default_timeout=60)
    application.clear()


def spot(words: str, type: str, children: tuple[Annotation, ...] = ()) -> Annotation:
    start = TEXT.index(words)
    return Annotation(type, start, start + len(words), words, 0.9, children)


FOUND = (
    spot("张伟", "人名", (spot("李娜", "配偶"),)),
    spot("李娜", "人名"),
    spot("法国", "地点"),
    spot("合肥", "地点"),
)
BODY = {"人名": {"配偶": None}, "地点": None}


def store(documents: int = 2) -> tuple[int, list[int]]:
    """A run over two documents that used the first version of a schema."""
    kept = application().store
    schema_id = kept.save_schema(NAME, "re", body=BODY)
    facts = {"model": "m", "revision": "", "dtype": "float32", "device": "cpu", "threshold": 0.5}
    run = kept.start_run(task="re", schema_id=schema_id, schema=BODY, total=documents, **facts)
    ids = kept.add_documents([Document(TEXT, id=f"T{n}") for n in range(documents)])
    for place, number in enumerate(ids):
        result = AnnotatedDocument(Document(TEXT, id=f"T{place}"), "re", FOUND)
        kept.save_result(run, number, result=result, duration_s=0.1, position=place)
    kept.finish_run(run, "done")
    return run, ids


def newest() -> schema_store.Version:
    return schema_store.versions(application().database, NAME)[0]


def change(one: Change) -> schema_store.Recorded:
    database = application().database
    schema_library.apply(database, newest(), one, author="王芳")
    return schema_store.changes(database, NAME)[0]


def types(run: int) -> list[list[str]]:
    return [[one.type for one in result.annotations] for result in current_results(application().database, run)]


@pytest.fixture
def ready(page: AppTest) -> AppTest:
    """The page with its application built."""
    page.run()
    return page


def test_versions_say_which_runs_used_them(ready: AppTest) -> None:
    run, _ = store()
    application().store.save_schema(NAME, "re", body=BODY | {"时间": None}, note="加时间")
    new, old = schema_store.versions(application().database, NAME)
    assert (new.number, new.runs, new.note, old.runs) == (2, (), "加时间", (run,))
    with pytest.raises(StorageError, match="没有名为"):
        schema_store.versions(application().database, "无")


def test_a_preview_counts_what_the_machine_found_at_that_very_path(ready: AppTest) -> None:
    run, _ = store()
    [top] = schema_library.preview(application().database, newest(), Change(RENAME, (("人名",),), ("人物",)))
    assert (top.findings, top.documents, top.runs) == (4, 2, (run,))
    assert dict(top.examples) == {"张伟": 2, "李娜": 2}
    [below] = schema_library.preview(application().database, newest(), Change(DELETE, (("人名", "配偶"),)))
    assert (below.findings, below.examples) == (2, (("李娜", 2),))
    with pytest.raises(SchemaError):
        schema_library.preview(application().database, newest(), Change(DELETE, (("没有",),)))


def test_a_change_makes_a_version_and_leaves_every_finding_alone(ready: AppTest) -> None:
    run, _ = store()
    before = newest()
    recorded = change(Change(RENAME, (("人名",),), ("人物",)))
    assert (newest().number, list(newest().schema.to_dict()), recorded.author) == (2, ["人物", "地点"], "王芳")
    assert types(run) == [["人名", "人名", "地点", "地点"]] * 2
    with pytest.raises(ConflictError, match="第 2 版"):
        schema_library.apply(application().database, before, Change(DELETE, (("地点",),)), author="李")


def test_corrections_follow_and_are_taken_back_and_the_machine_s_findings_stay(ready: AppTest) -> None:
    run, ids = store()
    database = application().database
    recorded = change(Change(SPLIT, (("地点",),), ("城市", "国家"), {"法国": "国家"}))
    last = list(schema_library.rewrite(database, NAME, recorded, task="re", author="王芳"))[-1]
    assert (last.done, last.changed, last.conflicts) == (2, 2, 0)
    assert types(run) == [["人名", "人名", "国家", "城市"]] * 2
    assert [one.type for one in queries.load_results(database, run)[0].annotations] == ["人名", "人名", "地点", "地点"]
    review = get_review(database, run, ids[0])
    assert machine_annotations(review.nodes) == FOUND and review.state == "unreviewed"
    assert (history(database, run, ids[0])[0].action, history(database, run, ids[0])[0].author) == ("schema", "王芳")
    recorded = schema_store.changes(database, NAME)[0]
    assert (recorded.documents, recorded.runs) == (2, (run,))
    reviews.perform(database, get_review(database, run, ids[1]), Action("accept", id=0), author="李")
    list(schema_library.undo(database, recorded, author="王芳"))
    assert types(run) == [["人名", "人名", "地点", "地点"], ["人名", "人名", "国家", "城市"]]
    assert schema_store.changes(database, NAME)[0].undone_at is not None


def test_only_documents_that_people_worked_on_follow_when_that_is_asked(ready: AppTest) -> None:
    run, ids = store()
    database = application().database
    reviews.perform(database, get_review(database, run, ids[1]), Action("finish"), author="李")
    recorded = change(Change(RENAME, (("人名",),), ("人物",)))
    list(schema_library.rewrite(database, NAME, recorded, task="re", author="王芳", corrected_only=True))
    assert [row[0] for row in types(run)] == ["人名", "人物"]
    assert get_review(database, run, ids[1]).state == "corrected"


def test_stopping_half_way_keeps_and_records_what_was_done_and_going_on_joins_it(ready: AppTest) -> None:
    run, _ = store()
    database = application().database
    recorded = change(Change(MERGE, (("人名",), ("地点",)), ("名称",)))
    work = schema_library.rewrite(database, NAME, recorded, task="re", author="王芳")
    next(work)
    work.close()
    recorded = schema_store.changes(database, NAME)[0]
    assert recorded.documents == 1
    list(schema_library.rewrite(database, NAME, recorded, task="re", author="王芳"))
    recorded = schema_store.changes(database, NAME)[0]
    assert recorded.documents == 2 and types(run) == [["名称"] * 4] * 2
    list(schema_library.undo(database, recorded, author="王芳"))
    assert types(run) == [["人名", "人名", "地点", "地点"]] * 2


def test_a_renamed_type_is_no_mistake_of_the_machine_s(ready: AppTest) -> None:
    run, ids = store()
    database = application().database
    recorded = change(Change(RENAME, (("人名",),), ("人物",)))
    list(schema_library.rewrite(database, NAME, recorded, task="re", author="王芳"))
    review = reviews.perform(database, get_review(database, run, ids[0]), Action("reject", id=3), author="李")
    reviews.perform(database, review, Action("finish"), author="李")
    quality = judge_runs(application(), [run])
    assert quality.by_type["人物"].f1 == 1 and "人名" not in quality.by_type
    assert quality.by_type["地点"].precision == 0.5


def test_an_old_version_is_restored_as_a_new_one(ready: AppTest) -> None:
    store()
    change(Change(DELETE, (("地点",),)))
    ready.run()
    ready.selectbox(key=f"schemas-version-{NAME}").set_value(1).run()
    ready.button(key="schemas-restore").click().run()
    assert not ready.exception and not ready.error
    assert (newest().number, newest().schema.to_dict(), newest().note) == (3, BODY, "恢复第 1 版")


def test_two_versions_are_compared_without_markup(ready: AppTest) -> None:
    store()
    change(Change(RENAME, (("地点",),), ("<i>地",)))
    ready.run()
    [shown] = [part.value for part in ready.html if "desk-diff" in part.value]
    assert 'class="added"' in shown and 'class="removed"' in shown and "<i>" not in shown and "&lt;i&gt;地" in shown


def test_a_type_is_renamed_on_the_screen_and_corrections_follow_and_return(ready: AppTest) -> None:
    run, _ = store()
    ready.session_state["schemas-view"] = "change"
    ready.run()
    key = f"{NAME}-1-rename"
    ready.selectbox(key=f"schemas-path-{key}").set_value(("人名",)).run()
    ready.text_input(key=f"schemas-names-{key}").set_value("人物").run()
    assert any("机器结果 4 个" in part.value for part in ready.caption)
    ready.button(key="schemas-apply").click().run()
    assert not ready.exception and "第 2 版" in ready.success[0].value
    [recorded] = schema_store.changes(application().database, NAME)
    ready.button(key=f"schemas-rewrite-{recorded.id}").click().run()
    assert not ready.exception and "2 篇" in ready.success[0].value
    assert types(run)[0][0] == "人物"
    ready.button(key=f"schemas-undo-{recorded.id}").click().run()
    assert not ready.exception and types(run)[0][0] == "人名"


def test_a_split_offers_the_frequent_words(ready: AppTest) -> None:
    store()
    ready.session_state["schemas-view"] = "change"
    ready.run()
    ready.get_by_key("schemas-kind").set_value("split").run()
    key = f"{NAME}-1-split"
    ready.selectbox(key=f"schemas-path-{key}").set_value(("地点",)).run()
    ready.text_input(key=f"schemas-names-{key}").set_value("城市、国家").run()
    assert not ready.exception
    assert ready.data_editor[0].value["words"].tolist() == ["合肥", "法国"]
    ready.session_state[f"schemas-words-{key}-城市-国家"] = {
        "edited_rows": {1: {"to": "国家"}}, "added_rows": [], "deleted_rows": [],
    }  # fmt: skip
    ready.run()
    ready.button(key="schemas-apply").click().run()
    [recorded] = schema_store.changes(application().database, NAME)
    assert recorded.change == Change(SPLIT, (("地点",),), ("城市", "国家"), {"法国": "国家"})


def test_pasted_json_is_mended_explained_and_saved(ready: AppTest) -> None:
    ready.text_input(key="schemas-name").set_value("粘贴")
    ready.text_area(key="schemas-body").set_value('{"人物": "",}').run()
    assert any("逗号" in one.value and "null" in one.value for one in ready.info)
    ready.button(key="schemas-save").click().run()
    assert not ready.exception
    assert queries.latest_schemas(application().database)[0].body == {"人物": None}


def test_a_file_brings_its_name_task_and_note(ready: AppTest) -> None:
    text = write_shared({"甲": {"乙": None}}, name="来自别处", task="re", version=3, note="注")
    ready.file_uploader(key="schemas-file").upload("x.json", text.encode()).run()
    assert (ready.text_input(key="schemas-name").value, ready.selectbox(key="schemas-task").value) == ("来自别处", "re")
    ready.button(key="schemas-save").click().run()
    [version] = schema_store.versions(application().database, "来自别处")
    assert version.note == "注" and version.schema.depth == 2


def test_a_preset_fills_the_form(ready: AppTest) -> None:
    options = ready.selectbox(key="schemas-preset").options
    assert options
    ready.selectbox(key="schemas-preset").select_index(0).run()
    assert ready.text_input(key="schemas-name").value and ready.text_area(key="schemas-body").value
    assert not ready.button(key="schemas-save").disabled
