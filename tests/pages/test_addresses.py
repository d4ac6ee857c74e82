"""Addresses: what they open, and that they say what the page shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import job_services, services
from core.schemas.presets import list_presets
from core.storage.review_queries import QueueFilter, queue_ids
from core.types import Document
from streamlit_app.components import address
from streamlit_app.resources import application

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60
TEXT = "周敏昨天到了苏州。"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, checkpoint_dir: Path) -> Iterator[dict[str, int]]:
    """The numbers of a stored document and of a job that read it, and a schema of two versions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REX_DATA_DIR", str(tmp_path_factory.mktemp("addresses")))
        patch.setenv("REX_MODEL", str(checkpoint_dir))
        patch.setenv("REX_DEVICE", "cpu")
        patch.setenv("REX_THRESHOLD", "0.9")
        application.clear()
        app = application()
        services.save_schema(app, "我的", task="ner", schema={"旧": None})
        services.save_schema(app, "我的", task="ner", schema={"新": None})
        job = job_services.start_job(app, [Document(TEXT)], task="ner", schema={"人名": None}, threshold=0.9)
        pair = Document("怎么改密码？", text_pair="密码在哪里改？")
        nli = job_services.start_job(app, [pair], task="nli", schema=None, threshold=0.5)
        assert job_services.wait_for_jobs(app, [job, nli], PATIENCE_S)
        [document] = app.store.add_documents([Document("吴强在成都。")])
        [read] = queue_ids(app.database, job, QueueFilter())
        yield {"document": document, "job": job, "nli": nli, "read": read}
        application.clear()


@pytest.fixture
def desk(filled: dict[str, int]) -> AppTest:
    return AppTest.from_file(str(ROOT / "streamlit_app" / "app.py"), default_timeout=PATIENCE_S)


def go(desk: AppTest, page: str, **parameters: object) -> AppTest:
    """Open a page with an address as a link does it: without any but the parameters given."""
    desk.query_params.clear()
    for name, value in parameters.items():
        desk.query_params[name] = str(value)
    desk.switch_page(f"../pages/{page}.py").run()
    assert not desk.exception
    return desk


def said(desk: AppTest) -> dict[str, str]:
    """What the address says now."""
    return {name: value if isinstance(value, str) else value[0] for name, value in desk.query_params.items()}


def test_a_stored_text_and_a_version_of_a_schema_are_brought_to_a_task_page(desk: AppTest, filled: dict[str, int]):
    go(desk, "entities", document=filled["document"], schema="我的@1")
    assert not desk.error
    assert desk.text_area(key="ner-text").value == "吴强在成都。"
    assert list(desk.session_state["ner-schema"].to_dict()) == ["旧"]
    assert said(desk) == {"document": str(filled["document"]), "schema": "我的@1"}
    desk.text_area(key="ner-text").set_value("另一段。").run()
    assert said(desk) == {"schema": "我的@1"}, "the text is no longer that document's"


def test_a_preset_is_brought_by_its_name(desk: AppTest):
    preset = list_presets("re")[1]
    go(desk, "relations", schema=preset.name)
    assert desk.session_state["re-schema"].to_dict() == preset.schema
    assert desk.selectbox(key="re-preset").value == preset.name


def test_a_job_is_shown_on_the_page_of_its_task_with_what_it_read(desk: AppTest, filled: dict[str, int]):
    go(desk, "entities", job=filled["job"])
    assert desk.text_area(key="ner-text").value == TEXT
    assert list(desk.session_state["ner-schema"].to_dict()) == ["人名"]
    assert desk.get("download_button")
    assert said(desk) == {"job": str(filled["job"])}
    go(desk, "gpu")
    go(desk, "entities")
    assert said(desk) == {"job": str(filled["job"])}, "the page comes back as it was left"


def test_the_second_task_of_a_page_is_opened_by_its_name(desk: AppTest, filled: dict[str, int]):
    go(desk, "matching", task="nli", job=filled["nli"])
    assert desk.text_area(key="nli-text-pair").value == "密码在哪里改？"
    assert said(desk) == {"task": "nli", "job": str(filled["nli"])}


@pytest.mark.parametrize(
    "wrong", [{"document": "99"}, {"document": "'; --"}, {"schema": "没有"}, {"schema": "我的@7"}, {"job": "²"}]
)
def test_an_address_that_names_nothing_says_so_and_the_page_works(desk: AppTest, wrong: dict[str, str]):
    go(desk, "entities", **wrong)
    assert len(desk.error) == 1
    assert desk.text_area(key="ner-text").value
    assert not said(desk)


@pytest.mark.parametrize(("given", "number"), [("7", 7), ("²", None), ("-1", None), ("", None), ("9" * 40, None)])
def test_only_plain_numbers_are_taken_from_an_address(given: str, number: int | None):
    assert address.number(given) == number


@pytest.mark.parametrize(
    ("page", "parameters"),
    [
        ("documents", {"document": "document"}),
        ("jobs", {"job": "job"}),
        ("review", {"run": "job", "document": "read"}),
        ("explore", {"run": "job"}),
        ("exports", {"run": "job", "format": "=brat"}),
        ("schemas", {"schema": "=我的"}),
    ],
)
def test_an_address_opens_its_view_and_the_page_comes_back_as_it_was_left(
    desk: AppTest, filled: dict[str, int], page: str, parameters: dict[str, str]
):
    wanted = {name: value[1:] if value[0] == "=" else str(filled[value]) for name, value in parameters.items()}
    go(desk, page, **wanted)
    assert not desk.error and not desk.warning
    assert said(desk) == wanted
    go(desk, "settings")
    go(desk, page)
    assert said(desk) == wanted


@pytest.mark.parametrize(
    "page",
    ["documents", "jobs", "review", "explore", "exports", "schemas", "entities", "overview"],
)
def test_any_address_leaves_a_page_that_works(desk: AppTest, page: str):
    hostile = "<script>alert(1)</script>' OR 1=1 --"
    go(desk, page, **dict.fromkeys(("document", "job", "run", "schema", "format", "view", "task"), hostile))
    assert not any("<script>" in one.value for one in (*desk.html, *desk.markdown))


def test_filters_are_remembered_when_a_page_is_left(desk: AppTest):
    go(desk, "documents")
    desk.text_input(key="documents-search").set_value("成都").run()
    go(desk, "exports")
    desk.selectbox(key="exports-format").set_value("conll").run()
    go(desk, "review")
    desk.number_input(key="review-below").set_value(0.7).run()
    go(desk, "jobs")
    desk.get_by_key("jobs-filter").set_value("ended").run()
    for page, read, value in (
        ("documents", lambda: desk.text_input(key="documents-search").value, "成都"),
        ("exports", lambda: desk.selectbox(key="exports-format").value, "conll"),
        ("review", lambda: desk.number_input(key="review-below").value, 0.7),
        ("jobs", lambda: desk.get_by_key("jobs-filter").value, "ended"),
    ):
        go(desk, page)
        assert read() == value, page


def pages_address() -> None:
    """A page that counts what its address brings it (run by Streamlit's test driver)."""
    import streamlit as st

    from streamlit_app.components import address

    st.session_state.setdefault("brought", []).append(address.arrived("x"))
    address.keep("x", document=st.session_state.get("shown", 1))


def test_a_run_that_began_before_the_address_changed_brings_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    page = AppTest.from_function(pages_address, default_timeout=PATIENCE_S)
    page.query_params["document"] = "1"
    page.run()
    page.session_state["shown"] = 2
    page.run()
    assert said(page) == {"document": "2"}
    page.query_params["document"] = "1"  # the browser had not been told yet
    page.run()
    assert page.session_state["brought"] == [{"document": "1"}, {}, {}]
    monkeypatch.setattr(address, "OVERTAKEN_S", 0.0)
    page.query_params["document"] = "1"  # much later: the way back in the browser
    page.run()
    assert page.session_state["brought"][-1] == {"document": "1"}
