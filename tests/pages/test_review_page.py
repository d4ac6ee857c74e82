"""The review page: its queue, its links, what its buttons do, and a second person at the same document."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import reviews
from core.review.actions import Action
from core.storage.review_queries import get_review, history
from core.types import AnnotatedDocument, Annotation, Document
from streamlit_app.components.review_session import PLACE, PREVIEW
from streamlit_app.i18n import catalogue
from streamlit_app.resources import application

ROOT = Path(__file__).resolve().parents[2]
WORDS = catalogue("zh")
TEXTS = ("😀云翼创新公司由王涛创立，总部在深圳市。", "王涛昨天到了深圳市。", "天气很好<b>。")


@pytest.fixture
def desk(tmp_path: Path, checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    monkeypatch.setenv("REX_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("REX_MODEL", str(checkpoint_dir))
    monkeypatch.setenv("REX_DEVICE", "cpu")
    application.clear()
    yield AppTest.from_file(str(ROOT / "streamlit_app" / "app.py"), default_timeout=60).run()
    application.clear()


def store_run() -> tuple[int, list[int]]:
    """A finished run over three documents with three, one and no findings."""
    founder = Annotation("创始人(人物)", 8, 10, "王涛", 0.6)
    found = (
        (Annotation("组织机构", 1, 7, "云翼创新公司", 0.98, (founder,)), Annotation("地点", 16, 19, "深圳市", 0.9)),
        (Annotation("人物", 0, 2, "王涛", 0.7),),
        (),
    )
    store = application().store
    documents = [Document(text, id=f"d{n}") for n, text in enumerate(TEXTS)]
    rows = store.add_documents(documents)
    run = store.start_run(
        task="re", schema_id=None, schema={"组织机构": {"创始人(人物)": None}, "地点": None}, model="m", revision="",
        dtype="", device="", threshold=0.5, total=3,
    )  # fmt: skip
    for position, (row, document, trees) in enumerate(zip(rows, documents, found, strict=True)):
        result = AnnotatedDocument(document, "re", trees)
        store.save_result(run, row, result=result, duration_s=0.0, position=position)
    store.finish_run(run, "done")
    return run, rows


def open_review(desk: AppTest, **query: object) -> AppTest:
    for name, value in query.items():
        desk.query_params[name] = str(value)
    desk.switch_page("../pages/review.py").run()
    assert not desk.exception
    return desk


def press(desk: AppTest, key: str) -> AppTest:
    desk.button(key=key).click().run()
    assert not desk.exception
    return desk


def stored(run: int, document: int):
    return get_review(application().database, run, document)


def test_without_runs_the_page_says_what_to_do(desk: AppTest) -> None:
    assert WORDS["review.empty"] in [one.value for one in open_review(desk).info]


def test_a_link_opens_its_document_and_a_dead_one_says_so(desk: AppTest) -> None:
    run, rows = store_run()
    store_run()
    open_review(desk, job=run, document=rows[1])
    assert desk.session_state[PLACE] == (run, rows[1])
    assert any("d1" in one.value for one in desk.markdown)
    desk.query_params["document"] = "9999"
    desk.run()
    assert any("9999" in one.value for one in desk.warning)
    desk.query_params["run"] = "777"
    desk.run()
    assert any("777" in one.value for one in desk.error) and not desk.exception


def test_finishing_leads_through_the_queue_and_every_step_has_an_author(desk: AppTest) -> None:
    run, rows = store_run()
    open_review(desk)
    desk.text_input(key="review-author").set_value("李雷").run()
    press(desk, "review-finish")
    assert desk.session_state[PLACE] == (run, rows[1])
    press(desk, "review-dismiss")
    press(desk, "review-skip")
    assert [stored(run, one).state for one in rows] == ["approved", "rejected", "skipped"]
    assert {stored(run, one).author for one in rows} == {"李雷"}
    press(desk, "review-previous")
    press(desk, "review-resume")
    assert stored(run, rows[1]).state == "unreviewed"
    press(desk, "review-undo")
    press(desk, "review-redo")
    assert [one.action for one in history(application().database, run, rows[1])] == [
        "redo", "undo", "resume", "dismiss",
    ]  # fmt: skip


def test_the_queue_can_be_narrowed_and_ordered(desk: AppTest) -> None:
    run, rows = store_run()
    open_review(desk)
    desk.selectbox(key="review-order").set_value("certainty").run()
    desk.selectbox(key=f"review-type-{run}").set_value("人物").run()
    assert any("1 / 1" in one.value or "— / 1" in one.value for one in desk.markdown)
    desk.selectbox(key=f"review-type-{run}").set_value("all").run()
    desk.selectbox(key="review-state").set_value("skipped").run()
    assert not desk.exception
    for view in ("changes", "history", "queue", "scores", "table"):
        desk.get_by_key("review-view").set_value(view).run()
        assert not desk.exception


def test_what_somebody_else_changed_meanwhile_is_shown_and_not_overwritten(desk: AppTest) -> None:
    run, rows = store_run()
    open_review(desk)
    other = reviews.perform(application().database, stored(run, rows[0]), Action("retype", 0, "公司"), author="韩梅梅")
    press(desk, "review-finish")
    assert desk.session_state[PLACE] == (run, rows[0])
    assert any("韩梅梅" in one.value for one in desk.warning)
    assert stored(run, rows[0]).nodes == other.nodes
    assert any("公司" in str(frame.value.to_dict()) for frame in desk.dataframe)
    press(desk, "review-conflict-again")
    assert (stored(run, rows[0]).state, stored(run, rows[0]).nodes[0].type) == ("corrected", "公司")
    assert not desk.warning


def test_an_earlier_version_can_be_let_go(desk: AppTest) -> None:
    run, rows = store_run()
    open_review(desk)
    reviews.perform(application().database, stored(run, rows[0]), Action("accept", 0), author="韩梅梅")
    press(desk, "review-skip")
    press(desk, "review-conflict-theirs")
    assert not desk.warning and stored(run, rows[0]).version == 1


def test_scores_are_accepted_here_and_in_the_run(desk: AppTest) -> None:
    run, rows = store_run()
    open_review(desk)
    desk.get_by_key("review-view").set_value("scores").run()
    press(desk, "review-score-document")
    assert [node.decision for node in stored(run, rows[0]).nodes] == ["accepted", "open", "open"]
    desk.slider(key="review-score").set_value(0.65).run()
    press(desk, "review-score-preview")
    press(desk, "review-score-run")
    assert [node.decision for node in stored(run, rows[0]).nodes] == ["accepted", "open", "accepted"]
    assert stored(run, rows[1]).nodes[0].decision == "accepted"
    press(desk, "review-batch-undo")
    assert stored(run, rows[1]).nodes[0].decision == "open"


def test_every_occurrence_is_previewed_and_labelled_in_the_run(desk: AppTest) -> None:
    run, rows = store_run()
    open_review(desk)
    desk.session_state[PREVIEW] = Action("preview", id=2)
    desk.run()
    assert any("深圳市" in one.value for one in desk.markdown)
    press(desk, "review-all-run")
    assert [node.text for node in stored(run, rows[1]).nodes if node.type == "地点"] == ["深圳市"]
