"""Texts of users are shown as they are written, on every page: no markup, no picture, no link, no formula is obeyed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from scripts.hostile_text import ADDRESS, Hostile, store_hostile
from streamlit_app.components.task_pages import TASK_PAGES
from streamlit_app.resources import application

ROOT = Path(__file__).resolve().parents[2]
TASKS = {
    "ner": ("甲",),
    "re": ("甲", "乙(甲)"),
    "ee": ("甲(事件触发词)", "乙"),
    "absa": ("属性词", "正向情感(情感词)"),
    "sentiment": ("正向情感",),
    "hierarchy": ("甲", "乙"),
    "matching": ("文本匹配：相似",),
    "mrc": ("谁？",),
    "atsc": ("属性词", "正向情感"),
    "classification": ("甲",),
    "coref": ("指代", "候选词"),
}
# What Markdown would act on: a picture, a link, a colour, a formula, none of them behind a backslash.
OBEYED = re.compile(r"(?<!\\)!\[图\]\(|(?<!\\)\[链接\]\(|(?<!\\):red\[|(?<!\\)\$x\^2\$|(?<!\\)\*\*粗")
MARKDOWN = (
    "markdown", "caption", "info", "warning", "error", "success", "header", "subheader", "title", "toast",
)  # fmt: skip
LABELLED = (
    "button", "download_button", "page_link", "expander", "selectbox", "multiselect", "text_input", "text_area",
    "button_group", "checkbox", "toggle", "popover", "slider", "progress", "metric", "radio", "tab",
)  # fmt: skip


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, checkpoint_dir: Path) -> Iterator[Hostile]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REX_DATA_DIR", str(tmp_path_factory.mktemp("hostile")))
        patch.setenv("REX_MODEL", str(checkpoint_dir))
        patch.setenv("REX_DEVICE", "cpu")
        application.clear()
        yield store_hostile(application().database, TASKS)
        application.clear()


def addresses(stored: Hostile) -> dict[str, tuple[str, dict[str, int]]]:
    """Page and parameters of every view of what was stored."""
    ner = stored.runs["ner"]
    shown = {f"{TASK_PAGES[task]}": (TASK_PAGES[task], {"job": run}) for task, run in stored.runs.items()}
    shown |= {f"job of {task}": ("jobs", {"job": run}) for task, run in stored.runs.items()}
    return shown | {
        "documents": ("documents", {}),
        "document": ("documents", {"document": stored.document}),
        "jobs": ("jobs", {}),
        "review": ("review", {"run": ner, "document": stored.document}),
        "explore": ("explore", {"run": ner}),
        "schemas": ("schemas", {}),
        "exports": ("exports", {"run": ner}),
    }


VIEWS = {
    "review": ("review-view", ("changes", "history", "queue", "scores")),
    "explore": ("explore-view", ("scores", "together", "relations", "polarity", "context", "documents", "quality")),
}
NAMES = [*dict.fromkeys(TASK_PAGES[task] for task in TASKS), "job of ner", "job of hierarchy"]
NAMES += ["documents", "document", "jobs", "review", "explore", "schemas", "exports"]


def obeyed(desk: AppTest) -> list[str]:
    """Everything on the screen that would be obeyed rather than shown."""
    bad = [
        one.value for one in desk.html if f'<img src="http://{ADDRESS}' in one.value or "<script>window" in one.value
    ]
    for kind in MARKDOWN:
        bad += [value for one in desk.get(kind) if OBEYED.search(value := str(getattr(one, "value", "")))]
    for kind in LABELLED:
        for one in desk.get(kind):
            label = str(getattr(getattr(one, "proto", one), "label", "") or "")
            bad += [label] if OBEYED.search(label) else []
    return bad


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_a_user_wrote_is_obeyed(stored: Hostile, name: str) -> None:
    page, parameters = addresses(stored)[name]
    desk = AppTest.from_file(str(ROOT / "streamlit_app" / "app.py"), default_timeout=60)
    for key, value in parameters.items():
        desk.query_params[key] = str(value)
    desk.switch_page(f"../pages/{page}.py").run()
    assert not desk.exception
    assert not obeyed(desk)
    values = [str(getattr(one, "value", "")) for kind in ("html", *MARKDOWN) for one in desk.get(kind)]
    tables = [one.value.to_string() for one in desk.dataframe]
    labels = [option for one in desk.selectbox for option in one.options]
    # Components get texts as data, and never write markup (below).
    labels += [one.proto.json for one in desk.get("bidi_component")]
    # The page of exports shows runs by number and task only.
    assert name == "exports" or any(ADDRESS in one.replace("\\", "") for one in (*values, *tables, *labels)), (
        "nothing hostile is shown"
    )
    key, views = VIEWS.get(name, ("", ()))
    for view in views:
        desk.get_by_key(key).set_value(view).run()
        assert not desk.exception, view
        assert not obeyed(desk), view


def test_no_component_makes_markup_of_text() -> None:
    writes = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function")
    scripts = sorted((ROOT / "streamlit_app" / "frontend").glob("*.js"))
    assert scripts and not [path.name for path in scripts if writes.search(path.read_text("utf-8"))]
