"""From the annotated files of other tools to trees whose spans are true."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from core.errors import FormatError
from core.readers import ANNOTATED_FORMATS, ImportReport, read_annotated
from core.types import AnnotatedDocument, Annotation, Link

TEXT = "😀张伟\n和李娜在𠮷野家"
SPANS = {"张伟": (1, 3), "李娜": (5, 7), "𠮷野家": (8, 11)}


def utf16(offset: int, text: str = TEXT) -> int:
    return len(text[:offset].encode("utf-16-le")) // 2


def utf8(offset: int, text: str = TEXT) -> int:
    return len(text[:offset].encode())


def crlf(offset: int, text: str = TEXT) -> int:
    return offset + text[:offset].count("\n")


def lines(path: Path, *values: Any) -> Path:
    path.write_text("\n".join(json.dumps(value, ensure_ascii=False) for value in values), "utf-8")
    return path


def read(path: Path, format: str, **options: Any) -> tuple[list[AnnotatedDocument], ImportReport]:
    documents, report = read_annotated(path, format, **options)
    for one in documents:
        check(one.document.text, one.annotations)
    return documents, report


def check(text: str, annotations: tuple[Annotation, ...]) -> None:
    for one in annotations:
        assert one.start is None or text[one.start : one.end] == one.text
        check(text, one.children)


def flat(document: AnnotatedDocument) -> list[tuple[str, str]]:
    return [(one.type, one.text) for one in document.annotations]


def record(count: Any) -> dict[str, Any]:
    paths = [[{"type": "名", "span": word, "offset": [count(s), count(e)]}] for word, (s, e) in SPANS.items()]
    return {"text": TEXT, "info_list": paths, "schema": {"名": None}}


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (lambda offset: offset, ""),
        (utf16, "UTF-16"),
        (utf8, "UTF-8 字节"),
        (crlf, "CRLF"),
        (lambda offset: crlf(offset) + utf16(offset) - offset, "UTF-16、换行为两个字符"),
        (lambda offset: offset + 1, "字节顺序标记"),
    ],
)
def test_offsets_of_every_unit_are_repaired_and_told(count: Any, said: str, tmp_path: Path) -> None:
    (document,), report = read(lines(tmp_path / "a.jsonl", record(count)), "rex")
    assert flat(document) == [("名", word) for word in SPANS]
    assert (report.repaired == ()) == (said == "")
    assert said in " ".join(report.repaired)
    assert report.problems == ()


def test_offsets_over_line_feeds_are_moved_into_a_text_with_crlf(tmp_path: Path) -> None:
    text = "一\r\n二\r\n张伟来了"
    value = {"text": text, "info_list": [[{"type": "人物", "span": "张伟", "offset": [4, 6]}]]}
    (document,), report = read(lines(tmp_path / "a.jsonl", value), "rex")
    assert (document.annotations[0].start, document.document.text) == (6, text)
    assert "CRLF" in report.repaired[0]


def test_a_span_at_a_wrong_place_is_found_nearby_and_one_that_is_nowhere_is_dropped_and_told(tmp_path: Path) -> None:
    value = {
        "text": "张伟说张伟来了",
        "info_list": [
            [{"type": "人物", "span": "张伟", "offset": [5, 7]}],
            [{"type": "人物", "span": "王芳", "offset": [0, 2]}],
        ],
    }
    (document,), report = read(lines(tmp_path / "a.jsonl", value), "rex")
    assert [(one.start, one.text) for one in document.annotations] == [(3, "张伟")]
    assert "重新定位" in report.repaired[0]
    assert "王芳" in report.problems[0] and "已丢弃" in report.problems[0]


def test_the_unit_can_be_told_where_the_file_brings_no_text(tmp_path: Path) -> None:
    value = {"text": TEXT, "label": [[utf16(5), utf16(7), "人物"]]}
    path = lines(tmp_path / "a.jsonl", value)
    assert flat(read(path, "doccano", offsets="utf16")[0][0]) == [("人物", "李娜")]
    # as code points the place is another, but a possible one
    assert flat(read(path, "doccano")[0][0]) != [("人物", "李娜")]


def test_rex_classes_pairs_and_implicit_aspects_lose_their_marks(tmp_path: Path) -> None:
    mark = {"span": "[CLASSIFY]", "offset": [0, 10]}
    path = lines(
        tmp_path / "a.jsonl",
        {"task": "classification", "text": "[CLASSIFY]快递没动", "info_list": [[{"type": "物流问题", **mark}]]},
        {"text": "[CLASSIFY]段落1：甲；段落2：乙", "info_list": [[{"type": "文本匹配：相似", **mark}]]},
        {"task": "absa", "text": "#很好吃", "info_list": [
            [{"type": "属性词", "span": "#", "offset": [0, 1]}, {"type": "情感词", "span": "好吃", "offset": [2, 4]}]]},
    )  # fmt: skip
    (first, second, third), _ = read(path, "rex")
    assert first.document.text == "快递没动"
    assert first.annotations == (Annotation("物流问题", None, None, "", 1.0),)
    assert first.paths == ((Link("物流问题", 0, 10, "[CLASSIFY]", 1.0, 1.0),),)
    assert (second.document.text, second.document.text_pair) == ("甲", "乙")
    assert third.document.text == "很好吃"
    assert third.annotations == (Annotation("属性词", None, None, "", 1.0, (Annotation("情感词", 1, 3, "好吃", 1.0),)),)


def test_doccano_relations_between_entities_become_children_and_the_entities_stay(tmp_path: Path) -> None:
    value = {
        "id": 7,
        "text": "张伟创立了蓝桥公司",
        "entities": [
            {"id": 1, "label": "公司", "start_offset": 5, "end_offset": 9},
            {"id": 2, "label": "人物", "start_offset": 0, "end_offset": 2},
        ],
        "relations": [{"id": 1, "from_id": 1, "to_id": 2, "type": "创始人"}],
        "来源": "新闻",
        "Comments": [],
    }
    (document,), _ = read(lines(tmp_path / "a.jsonl", value), "doccano")
    assert document.task == "re"
    assert document.document.id == "7" and document.document.metadata == {"来源": "新闻"}
    company, person = document.annotations
    assert company.children == (Annotation("创始人(人物)", 0, 2, "张伟", 1.0),)
    assert person == Annotation("人物", 0, 2, "张伟", 1.0)


def test_doccano_spans_and_classes_of_its_plain_projects_are_read(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "a.jsonl",
        {"text": "张伟来了", "label": [[0, 2, "人物"]]},
        {"text": "真好", "label": ["正面", "短"]},
        {"text": "真好", "cats": [["情感", "正面"], ["情感", "喜"]]},
    )
    (spans, classes, nested), _ = read(path, "doccano")
    assert flat(spans) == [("人物", "张伟")]
    assert [one.type for one in classes.annotations] == ["正面", "短"]
    assert [one.type for one in nested.annotations[0].children] == ["正面", "喜"]


def label_studio_task() -> dict[str, Any]:
    region = {"from_name": "label", "to_name": "text", "type": "labels"}

    def value(word: str) -> dict[str, Any]:
        return {"start": utf16(SPANS[word][0]), "end": utf16(SPANS[word][1]), "text": word, "labels": ["人物"]}

    return {
        "id": 3,
        "data": {"text": TEXT, "渠道": "电话"},
        "annotations": [
            {"was_cancelled": True, "result": []},
            {
                "result": [
                    {**region, "id": "a", "value": value("张伟")},
                    {**region, "id": "b", "value": value("李娜")},
                    {"type": "relation", "from_id": "b", "to_id": "a", "direction": "left", "labels": ["朋友"]},
                    {"id": "c", "type": "choices", "value": {"choices": ["生活"]}},
                    {"id": "d", "type": "textarea", "value": {"text": ["注"]}},
                ]
            },
        ],
    }  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
def test_label_studio_tasks_are_read_from_json_and_zip_with_utf16_offsets_repaired(
    packed: bool, tmp_path: Path
) -> None:
    path = tmp_path / ("a.zip" if packed else "a.json")
    data = json.dumps([label_studio_task()], ensure_ascii=False)
    if packed:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("tasks.json", data)
            archive.writestr("config.xml", "<View/>")
    else:
        path.write_text(data, "utf-8")
    (document,), report = read(path, "label-studio")
    assert document.document.id == "3" and document.document.metadata == {"渠道": "电话"}
    assert flat(document) == [("生活", ""), ("人物", "张伟"), ("人物", "李娜")]
    assert document.annotations[1].children == (Annotation("朋友(人物)", 5, 7, "李娜", 1.0),)
    assert report.repaired == ("2 个位置：原按 UTF-16 计，已换算为字符",)
    assert "textarea" in report.notes[0]


@pytest.mark.parametrize(
    "tags",
    [
        ["B-人物", "I-人物", "O", "O", "B-地点", "I-地点"],
        ["I-人物", "I-人物", "O", "O", "I-地点", "I-地点"],
        ["B-人物", "E-人物", "O", "O", "B-地点", "E-地点"],
        ["B-人物", "L-人物", "O", "O", "B-地点", "L-地点"],
    ],
)
def test_every_scheme_of_tags_spells_the_same_entities(tags: list[str], tmp_path: Path) -> None:
    path = tmp_path / "a.bio"
    path.write_text(
        "".join(f"{c}\t{tag}\n" for c, tag in zip("张伟去了北京", tags, strict=True)) + "\n好 S-评价\n", "utf-8"
    )
    (first, second), report = read(path, "conll")
    assert flat(first) == [("人物", "张伟"), ("地点", "北京")]
    assert flat(second) == [("评价", "好")]
    assert report.problems == ()


def test_words_of_latin_letters_are_parted_and_bad_tags_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text(
        "-DOCSTART- -X- _ O\n\nJohn _ _ B-PER\nSmith _ _ I-PER\n在 _ _ O\n北京 _ _ ??\n。 _ _ O\n\n好 _ _ O\n", "utf-8"
    )
    (document,), report = read(path, "conll")
    assert document.document.text == "John Smith在北京。好"
    assert flat(document) == [("PER", "John Smith")]
    assert "??" in report.problems[0]


def brat_folder(folder: Path) -> Path:
    (folder / "a.txt").write_bytes("😀击败\r\n伊拉克 国足".encode())
    (folder / "a.ann").write_text(
        "T1\tLose 1 3\t击败\nT2\tTeam 5 8\t伊拉克\nT3\tTeam 9 11\t国足\nT4\tTeam 1 3;5 8\t击败 伊拉克\n"
        "E1\tLose:T1 Loser:T2 Winner:T3 Winner2:T2\nE2\tLose:T1 Winner:T2\nR1\tRival Arg1:T2 Arg2:T3\nA1\tCertain E1\n"
        "A2\tMood T3 Happy\n#1\tAnnotatorNotes T2\tscore=0.5\n#2\tAnnotatorNotes T2\t说明\n*\tEquiv T2 T3\n坏行\n",
        "utf-8",
    )
    (folder / "b.txt").write_text("没有标注", "utf-8")
    (folder / "visual.conf").write_text("[labels]\nTeam | 球队 | 队\nLose | 落败\n[drawing]\nx\n", "utf-8")
    return folder


@pytest.mark.parametrize("packed", ["folder", "pair", "zip"])
def test_brat_pairs_are_read_with_events_relations_attributes_and_their_chinese_names(
    packed: str, tmp_path: Path
) -> None:
    path = brat_folder(tmp_path)
    if packed == "pair":
        path = tmp_path / "a.ann"
    elif packed == "zip":
        path = tmp_path.parent / f"{tmp_path.name}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for one in tmp_path.iterdir():
                archive.write(one, f"文件夹/{one.name}")
    (document,), report = read(path, "brat")
    assert document.document.text == "😀击败\r\n伊拉克 国足"
    trigger, iraq, china, joined, again = document.annotations
    assert trigger == Annotation("落败", 1, 3, "击败", 1.0, (
        Annotation("Certain", None, None, "", 1.0),
        Annotation("Loser", 5, 8, "伊拉克", 0.5), Annotation("Winner", 9, 11, "国足", 1.0),
        Annotation("Winner", 5, 8, "伊拉克", 0.5)))  # fmt: skip
    assert iraq == Annotation("球队", 5, 8, "伊拉克", 0.5, (Annotation("Rival(球队)", 9, 11, "国足", 1.0),))
    assert china.children == (Annotation("Mood", None, None, "", 1.0, (Annotation("Happy", None, None, "", 1.0),)),)
    assert joined.text == "击败\r\n伊拉克"
    assert again == Annotation("落败", 1, 3, "击败", 1.0, (Annotation("Winner", 5, 8, "伊拉克", 0.5),))
    assert document.task == "ee"
    said = " ".join((*report.problems, *report.notes))
    for word in ("坏行", "不连续", "批注", "等价"):
        assert word in said


def test_uie_questions_about_one_text_become_one_document(tmp_path: Path) -> None:
    content = "苹果的创始人是乔布斯，味道好"
    path = lines(
        tmp_path / "a.jsonl",
        {"content": content, "prompt": "苹果的创始人", "result_list": [{"text": "乔布斯", "start": 7, "end": 10}]},
        {"content": content, "prompt": "公司", "result_list": [{"text": "苹果", "start": 0, "end": 2}]},
        {"content": content, "prompt": "地点", "result_list": []},
        {
            "content": content,
            "prompt": "情感倾向[正向,负向]",
            "result_list": [{"text": "正向", "start": -7, "end": -5}],
        },
        {"content": "另一段", "prompt": "公司", "result_list": []},
    )
    (first, second), report = read(path, "uie")
    assert first.annotations == (
        Annotation("正向", None, None, "", 1.0),
        Annotation("公司", 0, 2, "苹果", 1.0, (Annotation("创始人", 7, 10, "乔布斯", 1.0),)),
    )
    assert second.annotations == () and report.documents == 2


def test_relations_in_a_circle_end_and_lose_no_entity(tmp_path: Path) -> None:
    entities = [{"id": n, "label": "甲", "start_offset": n, "end_offset": n + 1} for n in (0, 1, 2)]
    relations = [{"from_id": a, "to_id": b, "type": "甲"} for a, b in ((0, 1), (1, 2), (2, 0), (1, 9))]
    path = lines(tmp_path / "a.jsonl", {"text": "一二三", "entities": entities, "relations": relations})
    (document,), report = read(path, "doccano")
    assert document.annotations[0].children[0].children[0].text == "三"
    assert "9" in report.problems[0]


def test_our_own_lines_come_back_with_everything_that_types_hold(tmp_path: Path) -> None:
    child = {"type": "配偶(人物)", "start": 7, "end": 9, "text": "李娜", "score": 0.5, "children": []}
    value = {
        "id": "T1", "name": "a.txt", "text": "😀张伟的妻子是李娜", "task": "re", "windows": 2, "notes": ["提示"],
        "annotations": [{"type": "人物", "start": 1, "end": 3, "text": "张伟", "score": 0.9, "children": [child]}],
        "metadata": {"渠道": "电话"}, "aspects": ["屏幕"], "candidates": [[1, 3]], "run": {"id": 4}, "error": "",
    }  # fmt: skip
    (document,), _ = read(lines(tmp_path / "a.jsonl", value), "native")
    assert document.annotations == (
        Annotation("人物", 1, 3, "张伟", 0.9, (Annotation("配偶(人物)", 7, 9, "李娜", 0.5),)),
    )
    assert (document.windows, document.notes, document.document.aspects) == (2, ("提示",), ("屏幕",))
    assert document.document.metadata == {"渠道": "电话"}


def test_lines_that_cannot_be_used_are_named_and_the_others_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "好", "entities": []}\n坏\n{"text": "", "entities": []}\n', "utf-8")
    documents, report = read(path, "doccano")
    assert len(documents) == 1
    assert [problem.split("：")[0] for problem in report.problems] == ["第 2 行", "第 3 行"]


def test_unknown_formats_units_and_empty_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"")
    with pytest.raises(FormatError, match="可选：native、rex、doccano"):
        read_annotated(path, "docx")
    with pytest.raises(FormatError, match="不认识位置单位"):
        read_annotated(path, "rex", offsets="码元")
    for format in set(ANNOTATED_FORMATS) - {"brat"}:
        with pytest.raises(FormatError, match="空文件"):
            read_annotated(path, format)
    with pytest.raises(FormatError, match="成对"):
        read_annotated(path, "brat")
    with pytest.raises(FormatError, match="无法读取"):
        read_annotated(tmp_path / "没有.jsonl", "rex")


def test_the_fine_tuning_examples_are_read_without_a_repair(repository: Path) -> None:
    documents, report = read(repository / "data" / "samples" / "finetune_example.jsonl", "rex")
    assert (len(documents), report.repaired, report.problems) == (40, (), ())
