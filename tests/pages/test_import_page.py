"""The documents page takes files of every kind and says what became of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.storage import queries
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
    page.button(key="documents-run").click().run()
    assert not page.exception


def test_good_and_bad_files_are_imported_and_reported(page: AppTest, tmp_path: Path) -> None:
    names = ("complaints.xlsx", "notice.docx", "report.pdf")
    upload(page, *((name, (SAMPLES / name).read_bytes()) for name in names), ("空.csv", b""))
    assert queries.count_documents(application().database) == 6
    assert "6" in page.warning[0].value
    assert list((tmp_path / "uploads").iterdir()) == []


def test_the_encoding_can_be_seen_and_chosen(page: AppTest) -> None:
    page.selectbox(key="documents-encoding").set_value("big5").run()
    upload(page, ("a.txt", "我要退貨\n".encode("big5")))
    (document,) = queries.list_documents(application().database)
    assert document.preview.strip() == "我要退貨"


def test_annotated_files_become_runs(page: AppTest) -> None:
    page.selectbox(key="documents-format").set_value("rex").run()
    upload(page, ("finetune_example.jsonl", (SAMPLES / "finetune_example.jsonl").read_bytes()))
    assert len(queries.list_runs(application().database)) == 2
