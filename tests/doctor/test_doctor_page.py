"""The doctor's page, run by Streamlit's own test driver over the real application."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.doctor import judge
from core.doctor.records import FACTS, OK
from streamlit_app.components.messages import plain
from streamlit_app.i18n import catalogue
from streamlit_app.resources import application

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120


@pytest.fixture
def page(tmp_path: Path, checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    monkeypatch.setenv("REX_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("REX_MODEL", str(checkpoint_dir))
    monkeypatch.setenv("REX_DEVICE", "cpu")
    application.clear()
    desk = AppTest.from_file(str(ROOT / "streamlit_app" / "app.py"), default_timeout=PATIENCE_S).run()
    yield desk.switch_page("../pages/doctor.py")
    application.clear()


def test_the_page_shows_every_check_and_reads_everything_when_asked(page: AppTest) -> None:
    page.run()
    assert not page.exception
    facts, kind = page.session_state["doctor-facts"]
    assert kind == "quick" and not facts.database.checked and not facts.model.checked
    shown = "\n".join(one.value for one in page.markdown)
    for check in judge(facts):
        assert catalogue("zh")[f"doctor.check.{check.name}"] in shown and plain(check.detail) in shown
    page.button(key="doctor-whole").click().run()
    assert not page.exception
    facts, kind = page.session_state["doctor-facts"]
    assert kind == "whole" and facts.database.checked and facts.model.checked


def test_problems_come_first_with_what_to_do(page: AppTest) -> None:
    facts = FACTS.validate_json((Path(__file__).parent / "driver-too-old.json").read_bytes())
    page.session_state["doctor-facts"] = (facts, "quick")
    page.run()
    (driver,) = [one for one in judge(facts) if one.level != OK]
    (told,) = page.error
    assert plain(driver.detail) in told.value and plain(driver.advice) in told.value
