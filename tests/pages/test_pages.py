"""Every page, run by Streamlit's own test driver over the real application and a small network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.job_services import wait_for_jobs
from core.schemas.presets import list_presets
from core.schemas.schema import SchemaType, parse_schema
from core.storage import queries
from core.tasks import TASKS, schema_for
from core.types import AnnotatedDocument, Annotation, Document
from core.views.findings import walk
from streamlit_app.i18n import catalogue
from streamlit_app.navigation import PAGES
from streamlit_app.resources import application

ROOT = Path(__file__).resolve().parents[2]
TASK_PAGES = {
    "entities": "ner",
    "relations": "re",
    "events": "ee",
    "aspects": "absa",
    "aspect_sentiment": "atsc",
    "sentiment": "sentiment",
    "classification": "classification",
    "hierarchy": "hierarchy",
    "matching": "matching",
    "coreference": "coref",
    "reading": "mrc",
}
CLASS_TASKS = ("sentiment", "classification", "multilabel", "hierarchy", "matching", "nli")
PATIENCE_S = 60


@pytest.fixture
def desk(tmp_path: Path, checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    """The dashboard on its first page, with a database of its own."""
    monkeypatch.setenv("REX_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("REX_MODEL", str(checkpoint_dir))
    monkeypatch.setenv("REX_DEVICE", "cpu")
    # Untrained scores crowd round one half: at the usual threshold half of all spans would be found.
    monkeypatch.setenv("REX_THRESHOLD", "0.9")
    application.clear()
    yield AppTest.from_file(str(ROOT / "streamlit_app" / "app.py"), default_timeout=PATIENCE_S).run()
    application.clear()


def go(desk: AppTest, page: str) -> AppTest:
    for key in list(desk.query_params):  # as the menu of the sidebar does
        del desk.query_params[key]
    desk.switch_page(f"../pages/{page}.py").run()
    assert not desk.exception
    return desk


def press_run(desk: AppTest, task: str) -> AppTest:
    """Press Run and run the page again until the job has ended."""
    desk.button(key=f"{task}-run").click().run()
    jobs = desk.session_state[f"{task}-job"]
    assert wait_for_jobs(application(), jobs if isinstance(jobs, tuple) else [jobs], PATIENCE_S)
    desk.run()
    assert not desk.exception
    return desk


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_opens_in_both_languages(desk: AppTest, language: str) -> None:
    desk.session_state["language"] = language
    words = catalogue(language)
    for page in (name for group in PAGES.values() for name in group):
        go(desk, page)
        assert not desk.error
        assert words[f"page.{page}"] in [header.value for header in desk.header]


@pytest.mark.parametrize(("page", "task"), TASK_PAGES.items())
def test_a_task_page_reads_its_sample_and_stores_the_run(desk: AppTest, page: str, task: str) -> None:
    go(desk, page)
    assert desk.text_area(key=f"{task}-text").value == list_presets(task)[0].sample.text
    press_run(desk, task)
    assert not desk.error
    database = application().database
    [run] = queries.list_runs(database)
    assert (run.task, run.state, run.done) == (task, "done", 1)
    assert queries.count_documents(database) == 1
    [result] = queries.load_results(database, run.id)
    found = sum(1 for _ in walk(result.annotations))
    assert any(f"**{found}**" in part.value for part in desk.markdown)
    assert any("下载" in button.proto.help for button in desk.get("download_button"))


def store_two_results(task: str) -> int:
    """A stored run of `task` over two documents in each of which everything asked for was found."""
    preset = list_presets(task)[-1]
    schema = schema_for(TASKS[task], None if preset.schema is None else parse_schema(preset.schema))
    spans = task not in CLASS_TASKS

    def found(kind: SchemaType, text: str) -> Annotation:
        place = (0, 2, text[:2]) if spans else (None, None, "")
        return Annotation(kind.name, *place, 0.75, tuple(found(child, text) for child in kind.children))

    store = application().store
    documents = [preset.sample, Document("另一篇<b>", text_pair="一对")]
    numbers = store.add_documents(documents)
    saved = store.save_schema(preset.name, task, body=schema.to_dict()) if schema.types else None
    run = store.start_run(
        schema={"人物": None},
        task=task,
        schema_id=saved,
        model="m",
        revision="",
        dtype="",
        device="",
        threshold=0.5,
        total=2,
    )
    for position, (number, document) in enumerate(zip(numbers, documents, strict=True)):
        annotations = tuple(found(kind, document.text) for kind in schema.types)
        result = AnnotatedDocument(document, task, annotations, notes=("*留意*",))
        store.save_result(run, number, result=result, duration_s=0.1, position=position)
    store.finish_run(run, "done")
    return run


@pytest.mark.parametrize("task", [name for name in TASKS if name != "rex"])
def test_findings_of_every_task_are_drawn_for_each_document_and_for_all(desk: AppTest, task: str) -> None:
    run = store_two_results(task)
    go(desk, "jobs")
    desk.session_state["jobs-open"] = str(run)
    desk.run()
    assert not desk.exception
    assert r"\*留意\*" in desk.info[0].value
    desk.get_by_key(f"job-{run}-results-page").set_value(2).run()
    assert not desk.exception
    assert not any("另一篇<b>" in part.value for part in desk.html)
    for view in ("all", "summary"):
        desk.get_by_key(f"job-{run}-results-view").set_value(view).run()
        assert not desk.exception


def test_every_preset_of_every_task_can_be_asked(desk: AppTest) -> None:
    for page, task in TASK_PAGES.items():
        go(desk, page)
        for preset in list_presets(task):
            desk.selectbox(key=f"{task}-preset").set_value(preset.name).run()
            assert not desk.exception
            assert not desk.error
            assert desk.text_area(key=f"{task}-text").value == preset.sample.text


def test_a_text_of_ones_own_survives_another_preset_and_another_page(desk: AppTest) -> None:
    go(desk, "entities")
    desk.text_area(key="ner-text").set_value("我自己的一段文字").run()
    desk.selectbox(key="ner-preset").set_value(list_presets("ner")[1].name).run()
    assert desk.text_area(key="ner-text").value == "我自己的一段文字"
    go(desk, "jobs")
    go(desk, "entities")
    assert desk.text_area(key="ner-text").value == "我自己的一段文字"
    assert desk.selectbox(key="ner-preset").value == list_presets("ner")[1].name


def test_json_typed_in_becomes_the_schema_and_keeps_its_layout(desk: AppTest) -> None:
    go(desk, "relations")
    desk.get_by_key("re-schema-view").set_value("json").run()
    written = '{"药物": {"适应症(疾病)": null}}'
    desk.text_area(key="re-schema-json").set_value(written).run()
    assert desk.session_state["re-schema"].to_dict() == json.loads(written)
    assert desk.text_area(key="re-schema-json").value == written
    desk.get_by_key("re-schema-view").set_value("tree").run()
    assert not desk.exception and not desk.error


def test_faulty_json_is_explained_and_run_is_closed(desk: AppTest) -> None:
    go(desk, "entities")
    desk.get_by_key("ner-schema-view").set_value("json").run()
    desk.text_area(key="ner-schema-json").set_value('{"人物": null').run()
    assert "JSON" in desk.error[0].value
    assert desk.button(key="ner-run").disabled


def test_a_table_of_documents_is_read_row_by_row(desk: AppTest) -> None:
    go(desk, "entities")
    desk.get_by_key("ner-source").set_value("file").run()
    table = "编号,内容\nA1,张三在北京。\nA2,李四去了上海。\nA3,王五住在广州。\n"
    desk.file_uploader(key="ner-upload").upload("三行.csv", table.encode("gb18030")).run()
    press_run(desk, "ner")
    [run] = queries.list_runs(application().database)
    assert run.done == 3
    assert {one.external_id for one in queries.list_documents(application().database)} == {"A1", "A2", "A3"}
    desk.get_by_key(f"ner-{desk.session_state['ner-job']}-view").set_value("all").run()
    assert not desk.exception


def test_an_unreadable_file_is_named(desk: AppTest) -> None:
    go(desk, "entities")
    desk.get_by_key("ner-source").set_value("file").run()
    desk.file_uploader(key="ner-upload").upload("空.txt", b"").run()
    assert "空" in desk.error[0].value
    assert not desk.exception


def test_markup_in_a_text_is_shown_not_obeyed(desk: AppTest) -> None:
    go(desk, "sentiment")
    desk.text_area(key="sentiment-text").set_value("<img src=x onerror=alert(1)> 很好").run()
    press_run(desk, "sentiment")
    shown = "".join(part.value for part in desk.html)
    assert "&lt;img" in shown
    assert "<img" not in shown


def test_a_run_can_be_opened_again_and_deleted(desk: AppTest) -> None:
    press_run(go(desk, "sentiment"), "sentiment")
    go(desk, "jobs")
    [run] = queries.list_runs(application().database)
    desk.session_state["jobs-open"] = str(run.id)
    desk.run()
    assert not desk.exception
    desk.button(key=f"job-{run.id}-delete").click().run()
    assert queries.count_runs(application().database) == 0


def test_documents_can_be_searched(desk: AppTest) -> None:
    application().store.add_documents([Document("南京的梧桐树", id="甲"), Document("成都的火锅", id="乙")])
    go(desk, "documents")
    assert len(desk.dataframe[0].value) == 2
    desk.text_input(key="documents-search").set_value("火锅").run()
    assert desk.dataframe[0].value["document"].tolist() == ["乙"]


def test_a_saved_schema_becomes_a_preset(desk: AppTest) -> None:
    go(desk, "schemas")
    desk.text_input(key="schemas-name").set_value("我的药品")
    desk.selectbox(key="schemas-task").set_value("ner")
    desk.text_area(key="schemas-body").set_value('{"药物": null}').run()
    desk.button(key="schemas-save").click().run()
    assert not desk.error
    go(desk, "entities")
    desk.selectbox(key="ner-preset").set_value("saved:我的药品").run()
    assert list(desk.session_state["ner-schema"].to_dict()) == ["药物"]


def test_the_overview_reads_one_text_with_every_task(desk: AppTest) -> None:
    go(desk, "overview")
    press_run(desk, "overview")
    assert not desk.error
    tasks = {run.task for run in queries.list_runs(application().database)}
    assert {"ner", "re", "ee", "absa", "atsc", "sentiment", "classification", "multilabel", "mrc"} <= tasks
