"""The parts of pages that need no screen: schema rows, questions, findings, words, presets."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import SchemaError
from core.polarity import polarity
from core.readers import read
from core.schemas.lint import lint_schema
from core.schemas.presets import PRESET_DIR, find_preset, list_presets
from core.schemas.schema import parse_schema
from core.tasks import TASKS, schema_for
from core.types import AnnotatedDocument, Annotation, Document, Span
from core.views.findings import base_name, class_paths, label_name, triples, walk
from streamlit_app.components.messages import plain
from streamlit_app.components.overview_schemas import overview_schemas, sample
from streamlit_app.components.question_editor import lines_of, questions_of
from streamlit_app.components.relation_graph import figure

ROOT = Path(__file__).resolve().parents[2]


def test_questions_are_lines_and_options_stand_behind_bars() -> None:
    schema = questions_of("铁路多长？\n小陈怎么去的？ | 坐火车｜自己开车\n\n")
    assert schema.to_dict() == {"铁路多长？": None, "小陈怎么去的？": {"坐火车": None, "自己开车": None}}
    assert questions_of(lines_of(schema.types)) == schema


@pytest.mark.parametrize("text", ["", " \n", "谁？\n谁？", "谁？ | 甲"])
def test_questions_with_faults_are_refused(text: str) -> None:
    with pytest.raises(SchemaError):
        questions_of(text)


def test_names_lose_their_notes_only() -> None:
    assert base_name("配偶(人物)") == "配偶"
    assert base_name("胜负（事件触发词）") == "胜负"
    assert base_name("(人物)") == "(人物)"
    assert base_name("人物") == "人物"
    assert label_name("文本匹配：不相似") == "不相似"
    assert polarity("正向情感(情感词)") == "positive"
    assert polarity("属性词") is None


def test_findings_keep_every_annotation() -> None:
    child = Annotation("配偶(人物)", 3, 5, "李四", 0.8)
    tree = (Annotation("人物", 0, 2, "张三", 0.9, (child,)), Annotation("人物", 3, 5, "李四", 0.7))
    found = AnnotatedDocument(Document("张三娶李四"), "re", tree)
    assert [node.annotation.text for node in walk(tree)] == ["张三", "李四", "李四"]
    assert [(one.subject.text, one.relation, one.object.text) for one in triples(found)] == [("张三", "配偶", "李四")]
    classes = (Annotation("体育", None, None, "", 0.9, (Annotation("足球", None, None, "", 0.8),)),)
    assert class_paths(classes) == [(("体育", "足球"), 0.8)]
    drawing = figure(triples(found)).to_dict()
    assert {name for trace in drawing["data"] for name in trace["text"]} == {"张三", "李四"}


def test_markup_is_shown_as_written() -> None:
    assert plain("![x](http://a.b) *<b>*") == r"\!\[x\]\(http\://a\.b\) \*\<b\>\*"


def test_presets_are_good_schemas_with_good_samples() -> None:
    names = []
    for task in (path.stem for path in PRESET_DIR.glob("*.json")):
        assert len(list_presets(task)) >= 3
        for preset in list_presets(task):
            names.append(preset.name)
            schema = schema_for(TASKS[task], None if preset.schema is None else parse_schema(preset.schema))
            assert lint_schema(schema, task) == []
            assert all(aspect in preset.sample.text for aspect in preset.sample.aspects)
            assert find_preset(preset.name) == preset
            assert find_preset(preset.name_en).name_en == preset.name_en
    assert len(names) == len(set(names))
    assert {path.stem for path in PRESET_DIR.glob("*.json")} == set(TASKS) - {"rex"}


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(SchemaError, match="人物关系"):
        find_preset("没有这个")


def test_the_overview_asks_every_task_that_has_its_inputs() -> None:
    assert set(overview_schemas(sample())) == set(TASKS) - {"rex", "matching", "nli", "coref"}
    span = Span(0, 1, "它")
    full = Document("它", text_pair="他", candidates=(span,), pronouns=(span,))
    assert set(overview_schemas(full)) == set(TASKS) - {"rex"}


@pytest.mark.parametrize(("name", "count"), [("complaints.csv", 20), ("news.txt", 8), ("pairs.jsonl", 6)])
def test_sample_files_are_read_without_a_problem(name: str, count: int) -> None:
    report = read(name, (ROOT / "data" / "samples" / name).read_bytes())
    assert len(report.documents) == count
    assert report.problems == ()
