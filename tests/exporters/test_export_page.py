"""The page that exports, and the table of formats that the documentation shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.config import ROOT
from core.exporters import FORMATS
from core.exporters.table import format_table, short_table
from core.types import AnnotatedDocument, Annotation, Document
from streamlit_app.resources import application

FOUND = AnnotatedDocument(Document("张伟[甲](http://x)", id="1"), "ner", (Annotation("人物", 0, 2, "张伟", 0.5),))


@pytest.fixture
def page(tmp_path: Path, checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    monkeypatch.setenv("REX_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("REX_MODEL", str(checkpoint_dir))
    monkeypatch.setenv("REX_DEVICE", "cpu")
    application.clear()
    yield AppTest.from_file(str(ROOT / "pages" / "exports.py"), default_timeout=60)
    application.clear()


def store(*results: AnnotatedDocument) -> int:
    kept = application().store
    facts = {"model": "m", "revision": "", "dtype": "float32", "device": "cpu", "threshold": 0.5}
    run_id = kept.start_run(task="ner", schema_id=None, schema={"人物": None}, total=len(results), **facts)
    for number, row in enumerate(kept.add_documents([result.document for result in results])):
        kept.save_result(run_id, row, result=results[number], duration_s=0.1, position=number)
    kept.finish_run(run_id, "done")
    return run_id


def test_without_runs_the_page_says_what_to_do(page: AppTest) -> None:
    page.run()
    assert not page.exception and "还没有运行记录" in page.info[0].value


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_made_and_offered(page: AppTest, format: str, tmp_path: Path) -> None:
    run_id = store(FOUND)
    page.run()
    page.selectbox(key="exports-format").set_value(format).run()
    page.button(key="exports-make").click().run()
    assert not page.exception and not page.error
    assert page.get("download_button")
    [made] = (tmp_path / "exports").iterdir()
    assert made.name == f"annotations-ner-{run_id}{FORMATS[format].suffix}"
    assert bool(page.warning) != bool(page.success)


def test_losses_are_shown_with_counts_and_without_markup(page: AppTest) -> None:
    store(FOUND, AnnotatedDocument(Document("x", id="*<b>*", metadata={"a": "b"}), "ner", ()))
    page.run()
    page.selectbox(key="exports-format").set_value("conll").run()
    page.button(key="exports-make").click().run()
    [warning] = page.warning
    assert r"\*\<b\>\*" in warning.value and "得分没有写入（1 处）" in warning.value


def test_the_beginning_of_the_file_is_shown_and_nothing_in_it_obeyed(page: AppTest) -> None:
    evil = '张伟<script>alert(1)</script>"></iframe>'
    store(AnnotatedDocument(Document(evil, id="1"), "ner", (Annotation("人物", 0, 2, "张伟", 0.5),)))
    page.run()

    def made(format: str) -> AppTest:
        page.selectbox(key="exports-format").set_value(format).run()
        page.button(key="exports-make").click().run()
        assert not page.exception and not page.error
        return page

    [line] = made("native").code[0].value.splitlines()
    assert "张伟<script>" in line
    assert made("csv").dataframe[0].value.iloc[0].tolist()[3:5] == ["人物", "张伟"]
    assert [one.label for one in made("xlsx").tabs][:2] == ["文档", "实体"]
    # A frame without rights, in which the page is one escaped value.
    [frame] = made("html").get("iframe")
    shown = frame.proto.srcdoc
    assert shown.startswith('<iframe sandbox=""') and shown.count("<") == 2 and "张伟" in shown


def test_a_run_without_documents_is_explained(page: AppTest) -> None:
    store()
    page.run()
    page.button(key="exports-make").click().run()
    assert "没有已完成的文档" in page.error[0].value and not page.exception


def test_the_table_of_formats_stands_in_the_documentation() -> None:
    assert format_table() in (ROOT / "docs" / "formats.md").read_text("utf-8")
    assert short_table() in (ROOT / "README.md").read_text("utf-8")
