"""Every task page, in English and with the included model, does all that a task page should: a table, page by page.

Each page is opened once, its example is run, and the other tests look at what came of it. Texts of many documents and
of files are read on one page of each shape of input; on the others too in the slow tests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.config import EMBEDDED_MODEL
from core.explanations import EXPLAINED
from core.exporters import FORMATS
from core.job_services import wait_for_jobs
from core.schemas.presets import list_presets
from core.storage import queries
from core.tasks import TASKS
from core.thresholds import CHOICES, PART_CHOICES, at_threshold
from streamlit_app.components.task_pages import TASK_PAGES
from streamlit_app.i18n import LANGUAGE_KEY, catalogue
from streamlit_app.navigation import PAGES
from streamlit_app.resources import application

ROOT = Path(__file__).resolve().parents[2]
ENGLISH = catalogue("en")
WITH_SCHEMA = [task for task in TASK_PAGES if TASKS[task].schema_kind != "none" and task != "mrc"]


def some(*shapes: str) -> list[Any]:
    """All tasks, of which only `shapes` are not slow: pages share the code of their inputs."""
    return [task if task in shapes else pytest.param(task, marks=pytest.mark.slow) for task in TASK_PAGES]


PAIRED = ("matching", "nli")
HAN = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True)
class Opened:
    """A task's page after its example was run."""

    desk: AppTest
    task: str
    job: int

    def key(self, rest: str) -> str:
        return f"{self.task}-{self.job}-{rest}"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One application for all tests of this file."""
    if not (EMBEDDED_MODEL / "config.json").is_file():
        pytest.skip(f"no checkpoint in {EMBEDDED_MODEL}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REX_DATA_DIR", str(tmp_path_factory.mktemp("desk")))
        patch.setenv("REX_MODEL", str(EMBEDDED_MODEL))
        patch.setenv("REX_DEVICE", "cpu")
        application.clear()
        yield
        application.clear()


def session(language: str) -> AppTest:
    running = AppTest.from_file(str(ROOT / "streamlit_app" / "app.py"), default_timeout=120)
    running.session_state[LANGUAGE_KEY] = language
    return running.run()


@pytest.fixture(scope="module")
def desk(house: None) -> AppTest:
    return session("en")


@pytest.fixture(scope="module")
def chinese(house: None) -> AppTest:
    return session("zh")


@pytest.fixture(scope="module", params=list(TASK_PAGES))
def page(request: pytest.FixtureRequest, desk: AppTest) -> Opened:
    return opened(desk, request.param)


def opened(desk: AppTest, task: str) -> Opened:
    """Open a page for the first time and run what it brings."""
    show(desk, task)
    return Opened(desk, task, run(desk, task))


def show(desk: AppTest, task: str) -> None:
    desk.session_state[f"{TASK_PAGES[task]}-task"] = task
    desk.switch_page(f"../pages/{TASK_PAGES[task]}.py").run()
    assert not desk.exception


def run(desk: AppTest, task: str) -> int:
    desk.button(key=f"{task}-run").click().run()
    job = int(desk.session_state[f"{task}-job"])
    assert wait_for_jobs(application(), [job], 120)
    desk.run()
    assert not desk.exception and not desk.error
    return job


def words_of(node: Any) -> Iterator[str]:
    """Every piece of text of a screen, without the tags of what is HTML."""
    for one in strings(node):
        pieces = re.split(r"<style>.*?</style>|<[^>]*>", one, flags=re.DOTALL)
        yield from (piece.strip() for piece in pieces if piece.strip())


def strings(node: Any) -> Iterator[str]:
    """Every string of a screen, as it is sent to the browser, but for names and addresses of its parts."""
    for child in getattr(node, "children", {}).values():
        yield from strings(child)
    if (proto := getattr(node, "proto", None)) is not None:
        yield from _strings(proto)


def _strings(proto: Any) -> Iterator[str]:
    for field, value in proto.ListFields():
        if field.type == field.TYPE_STRING and not field.name.endswith(
            ("id", "key", "url", "css_content", "js_content")
        ):
            yield from value if field.is_repeated else [value]
        elif field.type == field.TYPE_MESSAGE and not field.message_type.GetOptions().map_entry:
            for one in value if field.is_repeated else [value]:
                yield from _strings(one)


CHINESE = {
    key: word
    for key, word in catalogue("zh").items()
    if HAN.search(word) and word != ENGLISH[key] and key[:9] != "language."
}
WHOLE = {word: key for key, word in CHINESE.items() if "{" not in word}
PARTS = {
    part: key
    for key, word in CHINESE.items()
    for part in re.split(r"\{[^}]*\}|[*`\n]", word)
    if len(HAN.findall(part)) >= 5
}


def chinese_left(words: set[str], given: str) -> dict[str, str]:
    """Words of the Chinese catalogue on a screen that is English, and their keys; what is `given` is the user's."""
    left = {word: WHOLE[word] for word in words if word in WHOLE and word not in given}
    for word in words:
        left |= {part: key for part, key in PARTS.items() if part in word and part not in given}
    return left


CONTROLS = (
    "button", "download_button", "page_link", "selectbox", "multiselect", "text_input", "text_area", "number_input",
    "slider", "checkbox", "toggle", "radio", "button_group", "file_uploader", "expander", "popover", "tab", "metric",
    "progress", "date_input", "time_input", "link_button",
)  # fmt: skip
NAMELESS = re.compile(r"<svg(?![^>]*(?:aria-label|aria-hidden))[^>]*>(?!<title>)|<img(?![^>]* alt=)", re.DOTALL)


def unnamed(desk: AppTest) -> list[str]:
    """Controls without a label, charts without a description, and pictures in HTML without a name."""
    bad = []
    for kind in CONTROLS:
        for one in desk.get(kind):
            own = one.proto.popover if kind == "popover" else one.proto
            words = getattr(own, "label", "") or getattr(own, "text", "") or getattr(one, "label", "")
            if not words.strip():
                bad.append(f"{kind} {own}")
    bad += [f"plotly_chart {one.proto.id}" for one in desk.get("plotly_chart") if not one.proto.alt]
    bad += [found for words in strings(desk.main) for found in NAMELESS.findall(words)]
    return bad


def given(task: str) -> str:
    """All that the presets of a task bring: texts, types, and the labels that the task itself asks with."""
    written = (ROOT / "data" / "presets" / f"{task}.json").read_text("utf-8")
    return written + json.dumps(
        TASKS[task].default_schema.to_dict() if TASKS[task].default_schema else {}, ensure_ascii=False
    )


def test_its_example_runs_at_once_and_is_stored(page: Opened) -> None:
    (result,) = queries.load_results(application().database, page.job)
    sample = list_presets(page.task)[0].sample
    assert (result.document.text, result.document.text_pair or None) == (sample.text, sample.text_pair or None)
    assert result.annotations, "an example that finds nothing shows nothing"
    words = "".join(words_of(page.desk.main))
    assert all(one.text in words for one in result.annotations)


def test_filled_with_results_it_has_no_chinese_word_of_the_desk(page: Opened) -> None:
    words = set(words_of(page.desk.main))
    assert len(words) > 60 and ENGLISH["task.run"] in words
    assert not chinese_left(words, given(page.task))


def test_every_control_has_a_label_and_every_picture_a_description(page: Opened) -> None:
    assert not unnamed(page.desk)
    drawn = {"re": 1, "ee": 1, "hierarchy": 1}
    assert len(page.desk.get("plotly_chart")) == drawn.get(page.task, 0)


def test_it_offers_presets_with_english_names(page: Opened) -> None:
    box = page.desk.selectbox(key=f"{page.task}-preset")
    names = [one.name_en for one in list_presets(page.task)]
    assert len(names) >= 3 and box.options[: len(names)] == names


def test_moving_the_slider_filters_without_another_run(page: Opened) -> None:
    desk, database = page.desk, application().database
    before = queries.count_runs(database)
    (result,) = queries.load_results(database, page.job)
    desk.slider(key=f"{page.task}-threshold").set_value(0.99).run()
    assert not desk.exception
    assert queries.count_runs(database) == before
    left = at_threshold(result, 0.99)
    said = [part.value for part in desk.caption]
    assert any("0.99" in one for one in said), "that another threshold is shown is said"
    weakest = min((one.score for part in result.annotations for one in (part, *part.children)), default=0.0)
    if page.task not in (*CHOICES, *PART_CHOICES):  # what is above goes nowhere, what is not goes
        assert (left != result) == (weakest <= 0.99)
    if page.task in EXPLAINED and not left.annotations:
        labels = [one.label for one in desk.expander]
        assert ENGLISH["why.nothing"] in labels, "it does not say why it is empty"
    assert not chinese_left(set(words_of(desk.main)), given(page.task))
    desk.slider(key=f"{page.task}-threshold").set_value(0.5).run()


def test_its_run_is_offered_as_code_as_files_for_review_and_as_a_job(page: Opened) -> None:
    command, script = (part.value for part in page.desk.code[:2])
    assert command.startswith(f"python -m core annotate --task {page.task} ")
    assert f"task='{page.task}'" in script
    assert len(page.desk.selectbox(key=page.key("download-format")).options) == len(FORMATS)
    keys = [str(one.proto.id) for one in page.desk.get("download_button")]
    assert all(any(page.key(f"download-{form}") in key for key in keys) for form in ("csv", "jsonl", "rex", "any"))
    links = [(one.proto.page, one.proto.query_string) for one in page.desk.get("page_link")]
    for name, query in (("review", "run"), ("exports", "run"), ("jobs", "job")):
        assert any(name in place and f"{query}={page.job}" in asked for place, asked in links), (name, links)


@pytest.mark.parametrize("task", some("matching", "coref"))
def test_many_texts_are_read_a_line_each(desk: AppTest, task: str) -> None:
    show(desk, task)
    one, other = (preset.sample for preset in list_presets(task)[:2])
    lines = [f"{one.text}\t{one.text_pair}" if one.text_pair else one.text for one in (one, other)]
    desk.get_by_key(f"{task}-source").set_value("lines").run()
    desk.text_area(key=f"{task}-lines").set_value("\n\n".join(line.replace("\n", " ") for line in lines)).run()
    results = queries.load_results(application().database, run(desk, task))
    assert [result.document.text for result in results] == [one.text.replace("\n", " "), other.text.replace("\n", " ")]
    assert not any(result.error for result in results) and any(result.annotations for result in results)
    assert all(result.document.text_pair for result in results) is (task in PAIRED)
    assert not chinese_left(set(words_of(desk.main)), given(task))


@pytest.mark.parametrize("task", some("ner"))
def test_documents_of_a_file_are_read(desk: AppTest, task: str) -> None:
    show(desk, task)
    samples = [preset.sample for preset in list_presets(task)[:2]]
    rows = [{"text": one.text} | ({"text_pair": one.text_pair} if one.text_pair else {}) for one in samples]
    file = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()
    desk.get_by_key(f"{task}-source").set_value("file").run()
    desk.file_uploader(key=f"{task}-upload").upload("my file.jsonl", file).run()
    results = queries.load_results(application().database, run(desk, task))
    assert [result.document.text for result in results] == [one.text for one in samples]
    assert not any(result.error for result in results) and any(result.annotations for result in results)
    assert not chinese_left(set(words_of(desk.main)), given(task))


@pytest.mark.parametrize(
    "task", WITH_SCHEMA[:1] + [pytest.param(one, marks=pytest.mark.slow) for one in WITH_SCHEMA[1:]]
)
def test_its_schema_is_edited_and_saved_under_a_name(desk: AppTest, task: str) -> None:
    show(desk, task)
    desk.get_by_key(f"{task}-source").set_value("text").run()
    changed = {"甲": None, "乙": None}
    desk.text_area(key=f"{task}-schema-paste").set_value(json.dumps(changed, ensure_ascii=False))
    desk.button(key=f"{task}-schema-paste-take").click().run()
    assert desk.session_state[f"{task}-schema"].to_dict() == changed
    job = run(desk, task)
    desk.text_input(key=f"{task}-{job}-actions-save-name").set_value(f"my {task}").run()
    desk.button(key=f"{task}-{job}-actions-save-do").click().run()
    assert queries.schema_versions(application().database, f"my {task}")[0].body == changed


@pytest.mark.parametrize(
    "name", [name for names in PAGES.values() for name in names if name not in TASK_PAGES.values()]
)
def test_every_other_page_names_its_controls_and_pictures(chinese: AppTest, name: str) -> None:
    chinese.switch_page(f"../pages/{name}.py").run()
    assert not chinese.exception
    assert not unnamed(chinese)


def test_the_search_for_chinese_words_finds_them_on_a_chinese_page(chinese: AppTest) -> None:
    show(chinese, "sentiment")
    left = chinese_left(set(words_of(chinese.main)), given("sentiment"))
    assert len(left) > 15 and {"input.text", "task.threshold.help"} <= set(left.values())
