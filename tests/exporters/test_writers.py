"""Each format as the tool that reads it wants it: names, offsets, configuration, and what it leaves out."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest

from core.exporters import FORMATS, About, Export, write
from core.exporters.brat import letters
from core.exporters.report import Losses
from core.exporters.xlsx import write as write_workbook
from core.tasks import TASKS
from core.training.samples import read_record
from core.types import AnnotatedDocument, Annotation, Document

TEXT = "😀张伟的妻子是李娜，\r\n他在𠮷野家\t离职。"
SPOUSE = Annotation("人物", 1, 3, "张伟", 0.9, (Annotation("配偶(人物)", 7, 9, "李娜", 0.5),))
EVENT = Annotation(
    "离职(事件触发词)",
    18,
    20,
    "离职",
    0.8,
    (
        Annotation("主体", 1, 3, "张伟", 0.7),
        Annotation("主体", 7, 9, "李娜", 0.6),
        Annotation("地点", 14, 17, "𠮷野家", 0.4),
    ),
)
OPINION = Annotation("属性词", 14, 17, "𠮷野家", 0.9, (Annotation("正向情感", None, None, "", 0.75),))
TOPIC = Annotation("体育", None, None, "", 0.9, (Annotation("足/球", None, None, "", 0.7),))
IMPLICIT = Annotation("属性词", None, None, "", 0.9, (Annotation("情感词", 1, 3, "张伟", 0.7),))
DOCUMENT = Document(TEXT, id="T1", name="人物.txt", metadata={"渠道": "电话", "text": "占用的键"})
ALL = AnnotatedDocument(DOCUMENT, "re", (TOPIC, SPOUSE, EVENT, OPINION))
NOTHING = AnnotatedDocument(Document("没有"), "ner", ())


def lines(export: Export) -> list[dict[str, Any]]:
    return [json.loads(line) for line in export.data.decode("utf-8").split("\n") if line]


def members(export: Export) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(export.data)) as archive:
        return {name: archive.read(name).decode("utf-8") for name in archive.namelist()}


def test_the_made_up_offsets_are_true() -> None:
    for one in (SPOUSE, *SPOUSE.children, EVENT, *EVENT.children, OPINION):
        assert TEXT[one.start : one.end] == one.text


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_writes_a_document_without_findings(format: str) -> None:
    export = write([NOTHING], format)
    assert export.data or any("文档没有写入" in line for line in export.report)
    assert export.filename.endswith(FORMATS[format].suffix)


@pytest.mark.parametrize("format", FORMATS)
def test_half_a_surrogate_pair_breaks_no_format(format: str) -> None:
    bad = "坏\ud83d字"
    result = AnnotatedDocument(
        Document(bad, id=bad, name=bad, metadata={bad: bad}), "ner", (Annotation(bad, 0, 3, bad, 0.5),), notes=(bad,)
    )
    assert write([result], format).data


@pytest.mark.parametrize("format", ["native", "parquet", "xlsx"])
def test_formats_that_hold_everything_report_no_loss(format: str) -> None:
    assert write([ALL, NOTHING], format).losses == ()


@pytest.mark.parametrize("format", ["rex", "rex-output", "conll", "bioes", "uie", "spacy"])
def test_formats_without_scores_say_so_with_their_number(format: str) -> None:
    [loss] = [loss for loss in write([ALL], format).losses if loss.what == "得分没有写入"]
    assert loss.count == (7 if format == "spacy" else 10)


def test_a_parent_that_is_not_in_the_text_is_reported_where_it_is_lost() -> None:
    result = AnnotatedDocument(Document("张张伟"), "absa", (IMPLICIT,))
    for format in ("doccano", "label-studio", "brat", "conll", "uie", "spacy"):
        assert any("正文中没有位置的上级" in line and "属性词" in line for line in write([result], format).report)


def test_doccano_has_numbers_unique_in_the_file_and_offsets_in_code_points() -> None:
    rows = lines(write([ALL, ALL], "doccano"))
    entities = [one for row in rows for one in row["entities"]]
    relations = [one for row in rows for one in row["relations"]]
    assert len({one["id"] for one in entities}) == len(entities) == 14
    assert len({one["id"] for one in relations}) == len(relations) == 8
    for row in rows:
        for one in row["entities"]:
            assert row["text"][one["start_offset"] : one["end_offset"]]
    by_id = {one["id"]: one for one in entities}
    spouse = relations[0]
    assert spouse["type"] == "配偶(人物)"
    assert by_id[spouse["from_id"]]["label"] == "人物" and by_id[spouse["to_id"]]["label"] == "配偶(人物)"
    assert rows[0]["cats"] == [["体育", "足/球"]]
    assert rows[0]["渠道"] == "电话" and rows[0]["meta_text"] == "占用的键" and rows[0]["text"] == TEXT


def test_label_studio_ships_a_configuration_that_fits_its_regions() -> None:
    files = members(write([ALL, NOTHING], "label-studio", about=About(model="模型 1")))
    tasks = json.loads(files["tasks.json"])
    root = ElementTree.fromstring(files["config.xml"])
    controls = {one.get("name"): one for one in root}
    assert {one.get("toName") for one in root if one.tag in ("Labels", "Taxonomy")} == {controls["text"].get("name")}
    assert controls["text"].get("value") == "$text" and "text" in tasks[0]["data"]
    assert controls["span_class"].get("perRegion") == "true"
    known = {one.get("value") for one in root.iter()}
    [prediction] = tasks[0]["predictions"]
    assert prediction["model_version"] == "模型 1" and prediction["score"] == 0.4
    regions = prediction["result"]
    spans = {region["id"]: region for region in regions if region["type"] == "labels"}
    assert len(spans) == 7
    for region in regions:
        value = region.get("value", {})
        assert set(region.get("labels", []) + value.get("labels", [])) <= known
        assert {name for path in value.get("taxonomy", []) for name in path} <= known
        if region["type"] == "relation":
            assert region["from_id"] in spans and region["to_id"] in spans
        else:
            assert region["from_name"] in controls
        if "start" in value:
            assert TEXT[value["start"] : value["end"]] == value["text"]
    assert tasks[1]["predictions"][0]["result"] == []


def test_label_studio_s_configuration_survives_any_name() -> None:
    name = "<b>\"&'\x08\n"
    files = members(
        write([AnnotatedDocument(Document("一"), "ner", (Annotation(name, 0, 1, "一", 1),))], "label-studio")
    )
    assert [one.get("value") for one in ElementTree.fromstring(files["config.xml"]).iter("Label")] == [
        "<b>\"&'\ufffd\n"
    ]


def test_brat_has_ascii_ids_and_chinese_names() -> None:
    files = members(write([ALL, NOTHING], "brat"))
    for name in ("000001.ann", "annotation.conf"):
        ids = files[name].replace("张伟", "").replace("李娜", "").replace("𠮷野家", "").replace("离职", "")
        assert ids.isascii()
    shown = dict(line.split(" | ") for line in files["visual.conf"].split("\n") if " | " in line)
    assert shown == json.loads(files["labels.json"])
    assert {"人物", "配偶(人物)", "离职(事件触发词)", "主体", "正向情感"} <= set(shown.values())
    assert all(identity[-1].isalpha() for identity in shown)
    assert files["000001.txt"] == TEXT
    rows = [line.split("\t") for line in files["000001.ann"].split("\n") if line]
    for kind, where, text in (row for row in rows if row[0].startswith("T")):
        _, start, end = where.split(" ")
        assert TEXT[int(start) : int(end)] == text and kind
    [event] = [row for row in rows if row[0] == "E1"]
    trigger, *arguments = [part.split(":")[0] for part in event[1].split(" ")]
    assert shown[trigger] == "离职(事件触发词)"
    assert [shown[argument.rstrip("2")] for argument in arguments] == ["主体", "主体", "地点"]
    assert len(set(arguments)) == 3, "a repeated role is numbered"
    assert files["000002.ann"] == ""


def test_brat_s_spans_over_line_ends_stay_on_one_line() -> None:
    text = "一\r\n二\t三"
    result = AnnotatedDocument(Document(text), "ner", (Annotation("甲", 0, 6, text, 1.0),))
    files = members(write([result], "brat"))
    assert files["000001.ann"].split("\n")[0] == "T1\te_a 0 6\t一  二 三"


def test_ids_made_of_letters_never_repeat() -> None:
    assert [letters(number) for number in (0, 25, 26, 27, 701, 702)] == ["a", "z", "aa", "ab", "zz", "aaa"]


def test_columns_have_a_tag_a_character_and_keep_the_longest_span() -> None:
    nested = AnnotatedDocument(
        Document("北京大学好。去 吧"),
        "ner",
        (
            Annotation("城市", 0, 2, "北京", 0.9),
            Annotation("高 校", 0, 4, "北京大学", 0.9),
            Annotation("人", 8, 9, "吧", 1),
        ),
    )
    export = write([nested], "conll")
    rows = export.data.decode().split("\n")
    assert rows[:2] == ["-DOCSTART-\tO", ""]
    assert rows[2:] == [
        "北\tB-高_校", "京\tI-高_校", "大\tI-高_校", "学\tI-高_校", "好\tO", "。\tO", "",
        "去\tO", "␣\tO", "吧\tB-人", "", "",
    ]  # fmt: skip
    assert any("嵌套" in line and "城市：北京" in line for line in export.report)
    assert (
        "吧\tS-人" in write([nested], "bioes").data.decode() and "学\tE-高_校" in write([nested], "bioes").data.decode()
    )


def test_no_sentence_ends_inside_an_entity() -> None:
    result = AnnotatedDocument(Document("《去吗？去》好"), "ner", (Annotation("书", 0, 6, "《去吗？去》", 1),))
    assert "\n\n" not in write([result], "conll").data.decode().removeprefix("-DOCSTART-\tO\n\n").rstrip("\n")


def test_uie_s_answers_stand_where_the_offsets_say() -> None:
    about = About(schema={"正向情感": None, "负向情感": None})
    mood = AnnotatedDocument(Document("很好"), "sentiment", (Annotation("负向情感", None, None, "", 0.9),))
    [row] = lines(write([mood], "uie", about=about))
    assert row["prompt"] == "情感倾向[正向情感,负向情感]"
    [answer] = row["result_list"]
    behind = len(row["prompt"]) + 1
    assert row["prompt"][behind + answer["start"] : behind + answer["end"]] == answer["text"] == "负向情感"
    rows = {row["prompt"]: row for row in lines(write([ALL], "uie"))}
    assert {"人物", "张伟的配偶", "离职触发词", "离职的主体", "离职的地点", "分类[体育/足\\/球]"} <= set(rows)
    assert [one["text"] for one in rows["离职的主体"]["result_list"]] == ["张伟", "李娜"]
    for row in rows.values():
        for one in row["result_list"]:
            assert one["start"] < 0 or row["content"][one["start"] : one["end"]] == one["text"]


def test_uie_asks_for_types_that_were_not_found() -> None:
    result = AnnotatedDocument(Document("张伟"), "ner", (Annotation("人物", 0, 2, "张伟", 1),))
    rows = lines(write([result], "uie", about=About(schema={"人物": None, "地点": None})))
    assert {row["prompt"]: len(row["result_list"]) for row in rows} == {"人物": 1, "地点": 0}


def test_spacy_s_entities_do_not_overlap_and_its_spans_are_all() -> None:
    [row] = lines(write([ALL], "spacy"))
    assert len(row["spans"]["sc"]) == 7
    ends = [0, *(end for _, end, _ in row["ents"])]
    assert all(start >= end for (start, _, _), end in zip(row["ents"], ends, strict=False))
    assert row["cats"] == {"体育/足\\/球": 0.7}
    assert row["rels"][0] == [0, 1, "配偶(人物)"]


def test_records_of_the_training_form_are_accepted_by_the_training() -> None:
    results = [
        AnnotatedDocument(DOCUMENT, "re", (SPOUSE,)),
        AnnotatedDocument(DOCUMENT, "ee", (EVENT,)),
        AnnotatedDocument(DOCUMENT, "atsc", (OPINION,)),
        AnnotatedDocument(DOCUMENT, "hierarchy", (TOPIC,)),
        AnnotatedDocument(DOCUMENT, "absa", (IMPLICIT,)),
        AnnotatedDocument(Document("甲", text_pair="乙"), "nli", (Annotation("蕴含", None, None, "", 1),)),
        NOTHING,
    ]
    rows = lines(write(results, "rex"))
    for row, result in zip(rows, results, strict=True):
        example = read_record(row)
        assert row["task"] == result.task in TASKS
        assert len(example.paths) == len(row["info_list"])
    assert [one["type"] for one in rows[2]["info_list"][0]] == ["属性“𠮷野家”的情感倾向：正向情感"]
    assert rows[4]["text"].startswith("#") and rows[5]["text"] == "[CLASSIFY]段落1：甲；段落2：乙"


def test_records_carry_the_schema_of_the_run_unchanged() -> None:
    schema: dict[str, Any] = {"人物": {"配偶(人物)": None, "职务": None}, "地点": None}
    before = json.dumps(schema)
    extra = AnnotatedDocument(
        Document("张伟"), "re", (Annotation("地点", 0, 2, "张伟", 1, (Annotation("省", 0, 1, "张", 1),)),)
    )
    [row, other] = lines(
        write([AnnotatedDocument(DOCUMENT, "re", (SPOUSE,)), extra], "rex", about=About(schema=schema))
    )
    assert row["schema"] == schema and json.dumps(schema) == before
    assert other["schema"]["地点"] == {"省": None}


def sheets(data: bytes) -> dict[str, pd.DataFrame]:
    """The sheets of a workbook, read from its XML: no reader of workbooks is needed for that."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        space = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
        names = [
            one.get("name")
            for one in ElementTree.fromstring(archive.read("xl/workbook.xml")).iter(f"{{{space['m']}}}sheet")
        ]
        found = {}
        for number, name in enumerate(names, 1):
            root = ElementTree.fromstring(archive.read(f"xl/worksheets/sheet{number}.xml"))
            assert not list(root.iter(f"{{{space['m']}}}f")), "a formula"
            assert not list(root.iter(f"{{{space['m']}}}hyperlink"))
            rows = [
                {_column(cell.get("r")): "".join(cell.itertext()) for cell in row}
                for row in root.iter(f"{{{space['m']}}}row")
            ]
            head, *body = rows
            found[name] = pd.DataFrame(
                [{head[key]: value for key, value in row.items()} for row in body], columns=list(head.values())
            )
    return found


def _column(place: str | None) -> str:
    return (place or "").rstrip("0123456789")


def test_the_workbook_has_a_sheet_for_each_kind() -> None:
    found = sheets(write([ALL, NOTHING], "xlsx").data)
    assert list(found) == ["文档", "实体", "关系", "事件", "分类", "长文本"]
    assert {name: len(frame) for name, frame in found.items()} == {
        "文档": 2, "实体": 7, "关系": 1, "事件": 3, "分类": 2, "长文本": 0,
    }  # fmt: skip
    assert list(found["事件"]["角色"]) == ["主体", "主体", "地点"]
    assert found["关系"].loc[0, ["主语文本", "关系", "宾语文本"]].tolist() == ["张伟", "配偶(人物)", "李娜"]
    assert list(found["分类"]["类别"]) == ["体育/足\\/球", "正向情感"]


def test_the_workbook_runs_no_formula_and_follows_no_link() -> None:
    text = '=HYPERLINK("http://x")'
    result = AnnotatedDocument(Document(text, id="http://x", name="+1"), "ner", (Annotation("@甲", 0, 1, "=", 1),))
    found = sheets(write([result], "xlsx").data)
    assert found["文档"].loc[0, "原文"] == text and found["实体"].loc[0, "文本"] == "="


def test_a_text_longer_than_a_cell_goes_on_in_its_own_sheet() -> None:
    text = "😀" * 20_000 + "长" * 30_000
    export = write([AnnotatedDocument(Document(text), "ner", ())], "xlsx")
    found = sheets(export.data)
    pieces = [found["文档"].loc[0, "原文"], *found["长文本"]["内容"]]
    assert "".join(pieces) == text
    assert all(len(piece.encode("utf-16-le")) // 2 <= 32_767 for piece in pieces)
    assert any("长文本" in line for line in export.report)


def test_a_full_sheet_goes_on_in_a_further_one() -> None:
    buffer, losses = io.BytesIO(), Losses()
    write_workbook([ALL] * 3, buffer, losses, About(), rows=6)
    found = sheets(buffer.getvalue())
    assert sum(len(frame) for name, frame in found.items() if name.startswith("实体")) == 21
    assert len(found["实体"]) == 5 and "实体-5" in found
    assert any("实体" in loss.what and loss.count == 5 for loss in losses.report())


def test_parquet_says_which_run_it_comes_from() -> None:
    import pyarrow.parquet as pq

    about = About(run="7", model="模型", threshold=0.5, schema={"人物": None})
    table = pq.read_table(io.BytesIO(write([ALL], "parquet", about=about).data))
    facts = json.loads(table.schema.metadata[b"rexuninlu"])
    assert (facts["run"], facts["model"], facts["schema"]) == ("7", "模型", {"人物": None})
    [row] = table.to_pylist()
    assert [one["parent"] for one in row["annotations"]] == [None, 0, None, 2, None, 4, 4, 4, None, 8]


def test_the_report_escapes_everything_and_loads_nothing() -> None:
    evil = "<script>alert(1)</script><img src=http://x onerror=y>&\"'"
    result = AnnotatedDocument(
        Document(evil, id=evil, name=evil, text_pair=evil, metadata={evil: evil}),
        evil,
        (Annotation(evil, 0, 8, evil[:8], 0.5, (Annotation(evil, None, None, "", 0.5),)),),
        notes=(evil,),
        error=evil,
    )
    about = About(run=evil, model=evil, revision=evil, finished=evil, schema={evil: {evil: None}})
    page = write([result], "html", about=about).data.decode("utf-8")
    assert "<script" not in page and "<img" not in page and "onerror=y>" not in page
    assert page.count("&lt;script&gt;") >= 12
    for outside in ("<link", "@import", "url(", "src=", "href="):
        assert outside not in page.replace("src=http://x", "")
    assert "default-src 'none'" in page


def test_the_report_shows_texts_findings_and_the_run() -> None:
    page = write([ALL], "html", about=About(run="3", model="模型", threshold=0.5)).data.decode("utf-8")
    for word in ("张伟", "配偶(人物)", "离职(事件触发词)", "关系抽取", "0.900", "渠道：电话", "阈值：0.5"):
        assert word in page
    assert page.startswith("<!DOCTYPE html>") and page.endswith("</body></html>\n")


def test_losses_are_counted_whole_and_shown_by_a_few_examples() -> None:
    losses = Losses()
    for number in range(10):
        losses.add("太长", f"{number}" * 100)
    [loss] = losses.report()
    assert loss.count == 10 and len(loss.examples) == 3 and all(len(one) == 40 for one in loss.examples)
    assert str(loss).startswith("太长（10 处，例如：0000")
