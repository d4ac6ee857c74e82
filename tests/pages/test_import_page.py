"""The documents page takes files of every kind and says what became of each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.storage import queries, search_index
from core.tasks import TASKS
from core.types import AnnotatedDocument, Annotation, Document
from streamlit_app.components.task_pages import TASK_PAGES
from streamlit_app.resources import application

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "data" / "samples"


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    monkeypatch.setenv("REX_DATA_DIR", str(tmp_path))
    application.clear()
    desk = AppTest.from_file(str(ROOT / "streamlit_app" / "app.py"), default_timeout=60).run()
    desk.switch_page("../pages/documents.py").run()
    assert not desk.exception
    yield desk
    application.clear()


def upload(page: AppTest, *files: tuple[str, bytes]) -> None:
    uploader = page.file_uploader(key="documents-files-0")
    for name, data in files:
        uploader.upload(name, data)
    page.run()
    assert not page.exception


def press(page: AppTest) -> None:
    page.button(key="documents-run").click().run()
    deadline = time.monotonic() + 60
    while "documents-job" in page.session_state and time.monotonic() < deadline:
        page.session_state["documents-job"].wait(5)
        page.run()
    assert not page.exception


def test_good_and_bad_files_are_imported_and_reported(page: AppTest, tmp_path: Path) -> None:
    names = ("complaints.xlsx", "notice.docx", "report.pdf")
    upload(page, *((name, (SAMPLES / name).read_bytes()) for name in names), ("空.csv", b""))
    press(page)
    assert queries.count_documents(application().database) == 6
    assert "6" in page.warning[0].value
    assert list((tmp_path / "uploads").iterdir()) == []
    assert search_index.pending(application().database) == 0


def test_the_encoding_of_one_file_can_be_seen_and_chosen(page: AppTest) -> None:
    upload(page, ("a.txt", "我要退貨\n".encode("big5")), ("b.txt", "宽带断线\n".encode("gb18030")))
    page.selectbox(key="documents-0-encoding-a.txt").set_value("big5").run()
    assert [one.value["text"].tolist() for one in page.dataframe if "text" in one.value][0] == ["我要退貨\n"]
    press(page)
    found = queries.list_documents(application().database)
    assert [one.preview.strip() for one in found] == ["宽带断线", "我要退貨"]


def test_columns_are_chosen_by_name_and_shown_before_the_import(page: AppTest) -> None:
    upload(page, ("a.csv", "单号,问,答,备注\r\nK1,你好吗,我很好,无\r\n".encode("gb18030")))
    page.selectbox(key="documents-0-text").set_value("答").run()
    page.selectbox(key="documents-0-id").set_value("单号").run()
    page.multiselect(key="documents-0-metadata").set_value(["问"]).run()
    press(page)
    (document,) = queries.list_documents(application().database)
    assert (document.preview, document.external_id, dict(document.metadata)) == ("我很好", "K1", {"问": "你好吗"})


def test_two_files_of_one_name_are_both_imported(page: AppTest) -> None:
    upload(page, ("a.txt", "甲文\n".encode()), ("a.txt", "乙文\n".encode()))
    press(page)
    assert queries.count_documents(application().database) == 2


def test_annotated_files_become_runs(page: AppTest) -> None:
    page.selectbox(key="documents-format").set_value("rex").run()
    upload(page, ("finetune_example.jsonl", (SAMPLES / "finetune_example.jsonl").read_bytes()))
    press(page)
    runs = {run.task: run for run in queries.list_runs(application().database)}
    assert runs.keys() == {"ner", "classification"}
    found = set(queries.type_counts(application().database, runs["ner"].id))
    assert set(runs["ner"].schema) == found and found


# the list


def put(*documents: Document) -> list[int]:
    return application().store.add_documents(documents)


def test_documents_are_filtered_by_words_and_metadata(page: AppTest) -> None:
    put(
        Document("宽带经常断线", id="1", metadata={"渠道": "电话"}),
        Document("宽带很快", id="2", metadata={"渠道": "网页"}),
        Document("话费太贵", id="3", metadata={"渠道": "电话"}),
    )
    page.run()
    page.text_input(key="documents-search").set_value("宽带").run()
    assert page.dataframe[0].value["document"].tolist() == ["2", "1"]
    page.selectbox(key="documents-filter-key").set_value("渠道").run()
    page.multiselect(key="documents-filter-values-渠道").set_value(["电话"]).run()
    assert page.dataframe[0].value["document"].tolist() == ["1"]
    page.text_input(key="documents-search").set_value("没有这样的").run()
    assert page.info and not page.exception


def test_the_address_opens_a_document_with_what_its_runs_found(page: AppTest) -> None:
    document = Document("姚明去了<b>上海</b>", id="甲")
    (row,) = put(document)
    store = application().store
    run = store.start_run(
        task="ner", schema_id=None, schema={"人物": None}, model="模型", revision="", dtype="", device="",
        threshold=0.5, total=1,
    )  # fmt: skip
    result = AnnotatedDocument(document, "ner", (Annotation("人物", 0, 2, "姚明", 0.9),))
    store.save_result(run, row, result=result, duration_s=0.0)
    page.query_params["document"] = str(row)
    page.run()
    assert not page.exception
    assert page.selectbox(key=f"documents-run-{row}").value == run
    shown = "".join(one.value for one in page.get("html"))
    assert "姚明" in shown and "<b>上海" not in shown
    page.button(key=f"documents-delete-{row}").click().run()
    assert queries.count_documents(application().database) == 0 and not page.exception
    page.query_params["document"] = "99"
    page.run()
    assert "99" in page.error[0].value or "0" in page.error[0].value


def test_the_next_and_the_previous_document_are_those_of_the_list_that_is_shown(page: AppTest) -> None:
    texts = ("宽带断线", "话费太贵", "宽带很快", "宽带<b>慢")
    ids = put(*(Document(text) for text in texts))
    page.run()
    page.text_input(key="documents-search").set_value("宽带").run()
    page.session_state["documents-open"] = str(ids[3])
    page.run()
    assert page.button(key="documents-previous").disabled
    page.button(key="documents-next").click().run()
    assert page.session_state["documents-open"] == str(ids[2])
    assert page.session_state["documents-table"]["selection"]["rows"] == [1]
    page.button(key="documents-next").click().run()
    # The one between holds other words and is not in the list.
    assert page.session_state["documents-open"] == str(ids[0]) and page.button(key="documents-next").disabled
    page.button(key="documents-previous").click().run()
    assert str(ids[2]) in page.query_params["document"] and not page.exception
    page.button(key="documents-close").click().run()
    assert page.session_state["documents-table"]["selection"]["rows"] == [] and not page.exception


def test_what_was_found_can_be_given_to_every_task(page: AppTest) -> None:
    put(Document("张伟说他病了。"))
    page.run()
    assert page.selectbox(key="documents-many-task").options == [TASKS[name].title_zh for name in TASK_PAGES]


def test_an_address_that_is_no_number_is_refused_in_words(page: AppTest) -> None:
    page.query_params["document"] = "x'; DROP TABLE"
    page.run()
    assert page.error and not page.exception
