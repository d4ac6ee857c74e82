"""The frame round every page: bar, keys, empty pages that teach, exports that can be stopped."""

from __future__ import annotations

import gc
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.export_job import STOPPED, ExportJob
from core.job_services import wait_for_jobs
from core.storage import queries
from streamlit_app.components import shortcuts, status_bar
from streamlit_app.i18n import LANGUAGES, catalogue
from streamlit_app.navigation import KEYS, PAGES
from streamlit_app.resources import application

ROOT = Path(__file__).resolve().parents[2]
EMPTY = {"documents": "documents", "jobs": "jobs", "review": "review", "explore": "explore", "exports": "exports"}
ALL = [name for group in PAGES.values() for name in group]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory, checkpoint_dir: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REX_DATA_DIR", str(tmp_path_factory.mktemp("shell")))
        patch.setenv("REX_MODEL", str(checkpoint_dir))
        patch.setenv("REX_DEVICE", "cpu")
        patch.setenv("REX_THRESHOLD", "0.9")
        application.clear()
        yield
        application.clear()


def open_page(page: str, *, language: str = "zh") -> AppTest:
    desk = AppTest.from_file(str(ROOT / "streamlit_app" / "app.py"), default_timeout=60)
    desk.session_state["language"] = language
    desk.switch_page(f"../pages/{page}.py").run()
    assert not desk.exception
    return desk


def test_every_page_has_a_key_of_its_own_and_no_key_is_left_over() -> None:
    assert len(set(KEYS.values())) == len(KEYS)
    assert set(ALL) <= set(KEYS)
    assert all((ROOT / "pages" / f"{name}.py").is_file() for name in ALL)


def test_what_all_pages_load_is_there_at_the_start_and_no_collection_of_garbage_goes_through_it(empty: None) -> None:
    application()
    components = [one.stem for one in (ROOT / "streamlit_app" / "components").glob("*.py") if one.stem != "__init__"]
    assert all(f"streamlit_app.components.{name}" in sys.modules for name in components)
    gc.collect()
    assert gc.get_freeze_count() > len(gc.get_objects())
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))
    assert settings["runner"]["postScriptGC"] is False


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", EMPTY)
def test_an_empty_page_says_what_it_is_for_and_offers_the_example(empty: None, page: str, language: str) -> None:
    if queries.count_runs(application().database):
        pytest.fail("this test wants an empty database")
    words = catalogue(language)
    desk = open_page(page, language=language)
    assert words[f"{page}.empty"] in [one.value for one in desk.info]
    assert desk.button(key=f"{page}-sample").label == words["sample.load"]


def test_an_empty_library_offers_a_preset_which_is_saved(empty: None) -> None:
    desk = open_page("schemas")
    desk.button(key="schemas-sample").click().run()
    assert not desk.exception
    assert len(queries.latest_schemas(application().database)) == 1
    assert not [one for one in desk.button if one.key == "schemas-sample"]


def test_the_example_fills_every_page_and_the_bar_shows_its_job(empty: None) -> None:
    database = application().database
    desk = open_page("explore")
    desk.button(key="explore-sample").click().run()
    assert not desk.exception
    [job] = queries.list_runs(database)
    assert wait_for_jobs(application(), [job.id], 120)
    for language in LANGUAGES:
        for page in EMPTY:
            filled = open_page(page, language=language)
            assert not filled.error
            assert not [one for one in filled.button if one.key == f"{page}-sample"], page
            [bar] = [one.value for one in filled.html if 'class="desk-facts"' in one.value]
            assert catalogue(language)["bar.idle"] in bar


def test_the_bar_counts_what_runs_and_waits(empty: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_bar, "t", lambda key, **values: f"{key}{values or ''}")
    assert status_bar.queue(0, 0) == "bar.idle"
    assert status_bar.queue(1, 3) == "bar.jobs{'running': 1, 'waiting': 2}"
    assert "GiB" in status_bar.memory(application().monitor.snapshot())


def test_the_list_of_keys_opens_and_names_every_page(empty: None) -> None:
    desk = open_page("settings")
    desk.session_state[shortcuts.HELP] = True
    desk.run()
    [shown] = [one.value for one in desk.html if "desk-keys" in one.value and "<kbd>" in one.value]
    for page in ALL:
        assert f"<kbd>G {KEYS[page].upper()}</kbd>" in shown
    assert shortcuts.HELP not in desk.session_state


def test_an_export_that_is_stopped_leaves_no_file(empty: None, tmp_path: Path) -> None:
    database = application().database
    [run] = queries.list_runs(database)
    job = ExportJob(database, run.id, "native", path=tmp_path / "whole.jsonl", which="current").start()
    assert job.wait(30) and not job.error and job.documents == run.done
    assert len((tmp_path / "whole.jsonl").read_text("utf-8").splitlines()) >= run.done
    stopped = ExportJob(database, run.id, "native", path=tmp_path / "none.jsonl", which="current")
    stopped.cancel()
    assert stopped.start().wait(30)
    assert stopped.error == STOPPED
    assert [path.name for path in tmp_path.iterdir()] == ["whole.jsonl"]
