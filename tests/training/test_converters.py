"""Every converter on a small set in its published layout; the split; and real rows where the sets are at hand."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from core.errors import FormatError, InputError
from core.training.converters import classes, dialogue, events, ner, opinions, pairs, reading, relations
from core.training.converters.record import Record, Tally, element, find_all, join_tokens, problem
from core.training.converters.registry import CONVERTERS, convert_all, main, select
from core.training.converters.splitting import choose_dev, dev_percent, group_of
from core.training.heldout import normalised_sha1

DATASETS = Path(__file__).resolve().parents[2].parent / "shared" / "datasets"
C, M = "[CLASSIFY]", "[MULTICLASSIFY]"


def put(directory: Path, files: dict[str, Any]) -> Path:
    """Write files: text as it is, lists as JSON lines, dicts under `json` as one value."""
    for name, content in files.items():
        if isinstance(content, list):
            content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content)
        elif isinstance(content, dict):
            content = json.dumps(content["json"], ensure_ascii=False)
        (directory / name).write_text(content, encoding="utf-8")
    return directory


def run(function: Callable[[Path, Tally], Iterator[Record]], directory: Path) -> tuple[list[Record], Tally]:
    """All records of a converter, every one of them sound, and its tally."""
    tally = Tally()
    records = list(function(directory, tally))
    assert [problem(record) for record in records] == [""] * len(records)
    return records, tally


def flat(record: Record) -> list[list[tuple[str, str, int]]]:
    """Paths as lists of (type, span, start)."""
    return [[(item["type"], item["span"], item["offset"][0]) for item in path] for path in record.info_list]


def answers(record: Record) -> list[tuple[str, ...]]:
    """The type paths of a classification record."""
    return [tuple(item["type"] for item in path) for path in record.info_list]


def entity_row(text: str, type_: str, begin: int, end: int) -> dict[str, Any]:
    index = {"begin": begin, "end": end}
    return {"text": text, "entity_list": [{"entity_type": type_, "entity": text[begin:end], "entity_index": index}]}


# Entities


@pytest.mark.parametrize(
    ("function", "type_", "chinese", "names"),
    [
        (ner.convert_cluener, "scene", "景点", ["train.txt", "dev.txt"]),
        (ner.convert_resume, "TITLE", "职务", ["train.txt", "dev.txt"]),
        (ner.convert_video_music_book, "music", "歌曲", ["train.txt"]),
        (ner.convert_tcm_leaflets, "证候", "证候", ["train.txt"]),
    ],
)
def test_entity_lists_become_flat_records(
    tmp_path: Path, function: Callable[..., Any], type_: str, chinese: str, names: list[str]
) -> None:
    put(tmp_path, {name: [entity_row("去看西湖吧", type_, 2, 4)] for name in names})
    records, _ = run(function, tmp_path)
    assert [flat(record) for record in records] == [[[(chinese, "西湖", 2)]]] * len(names)
    assert [record.split for record in records] == ["", "dev"][: len(names)]
    assert chinese in records[0].schema and len(records[0].schema) >= 3


def test_entity_that_differs_from_its_text_is_counted(tmp_path: Path) -> None:
    row = entity_row("去看西湖吧", "scene", 2, 4)
    row["entity_list"][0]["entity"] = "东湖"
    records, tally = run(ner.convert_cluener, put(tmp_path, {"train.txt": [row], "dev.txt": []}))
    assert records[0].info_list == [] and tally["entity differs from the text"] == 1


def test_inclusive_ends_of_cmeee_are_moved(tmp_path: Path) -> None:
    records, _ = run(ner.convert_cmeee, put(tmp_path, {"train_data.txt": "患儿发热三天。|||2    3    sym|||\n"}))
    assert flat(records[0]) == [[("临床表现", "发热", 2)]]


def test_adjacent_msra_entities_stay_apart(tmp_path: Path) -> None:
    lines = "王\tB-PER\n明\tI-PER\n北\tB-LOC\n京\tI-LOC\n人\tO\n\n好\tO\n"
    records, _ = run(ner.convert_msra, put(tmp_path, {"train.txt": lines}))
    assert flat(records[0]) == [[("人物", "王明", 0)], [("地理位置", "北京", 2)]]
    assert list(records[0].schema) == ["人物", "地理位置", "组织机构"]
    assert records[1].text == "好" and records[1].info_list == []


def test_peoples_daily_joins_surname_and_given_name_and_dates(tmp_path: Path) -> None:
    line = "１２月/t  ３１日/t  ，/w  李/nr  小明/nr  、/w  欧阳/nr  海/nr  和/c  保罗/nr  到/v  上海/ns  。/w\n"
    records, _ = run(ner.convert_peoples_daily_1998, put(tmp_path, {"199801.txt": line}))
    assert records[0].text == "１２月３１日，李小明、欧阳海和保罗到上海。"
    assert [path[0][:2] for path in flat(records[0])] == [
        ("时间", "１２月３１日"),
        ("人物", "李小明"),
        ("人物", "欧阳海"),
        ("人物", "保罗"),
        ("地理位置", "上海"),
    ]


# Dialogues and questions


def test_crosswoz_utterance_has_slots_intents_and_domains(tmp_path: Path) -> None:
    acts = [
        ["General", "greet", "none", "none"],
        ["Inform", "餐馆", "人均消费", "50元"],
        ["Request", "餐馆", "名称", ""],
        ["Inform", "餐馆", "名称", "小馆"],
    ]
    dialogues = {"7": {"messages": [{"content": "你好，小馆要50元吗，150元？", "dialog_act": acts}]}}
    records, _ = run(dialogue.convert_crosswoz, put(tmp_path, {"val.json": {"json": dialogues}}))
    assert [record.task for record in records] == ["ner", "multilabel", "hierarchy"]
    assert flat(records[0]) == [[("餐馆名称", "小馆", 3)], [("人均消费", "50元", 6)]]
    assert records[1].text == M + "你好，小馆要50元吗，150元？"
    assert answers(records[1]) == [("提供信息",), ("询问信息",), ("问候",)]
    assert answers(records[2]) == [("通用", "问候"), ("餐馆", "提供信息"), ("餐馆", "询问信息")]


def test_smp2019_names_its_slots_in_chinese(tmp_path: Path) -> None:
    rows = [
        {"text": "打开微信", "domain": "app", "intent": "LAUNCH", "slots": {"name": "微信"}},
        {"text": "去深圳", "domain": "train", "intent": "QUERY", "slots": {"endLoc_city": "深圳"}},
    ]
    records, _ = run(dialogue.convert_smp2019, put(tmp_path, {"train.json": {"json": rows}}))
    entities = [record for record in records if record.task == "ner"]
    assert [flat(record) for record in entities] == [[[("应用名称", "微信", 2)]], [[("目的城市", "深圳", 1)]]]
    assert answers(records[1]) == [("应用",)] and len(records[1].schema) == 29
    assert answers(records[2]) == [("应用", "启动")]


def test_kgclue_entity_is_found_without_its_brackets(tmp_path: Path) -> None:
    rows = [
        {"question": "你知道龙晶怎么写吗？", "answer": "龙晶（游戏） ||| 繁体 ||| 龍晶"},
        {"question": "他是谁？", "answer": "某人 ||| 职业 ||| 教师"},
    ]
    records, tally = run(dialogue.convert_kgclue, put(tmp_path, {"train.json": rows, "dev.json": []}))
    assert [flat(record) for record in records] == [[[("实体", "龙晶", 3)]]]
    assert tally["entity not in the question"] == 1


# Relations


def test_finre_rows_of_a_sentence_are_one_record(tmp_path: Path) -> None:
    sentence = "甲公司收购乙公司，丙公司观望"
    rows = [("甲公司", "乙公司", "收购"), ("乙公司", "甲公司", "被收购"), ("丙公司", "甲公司", "unknown")]
    lines = "".join(f"{head}\t{tail}\t{name}\t{sentence}\n\n" for head, tail, name in rows)
    records, _ = run(relations.convert_finre, put(tmp_path, {"train.txt": lines, "valid.txt": ""}))
    assert len(records) == 1
    assert flat(records[0]) == [
        [("实体", "甲公司", 0), ("收购(实体)", "乙公司", 5)],
        [("实体", "乙公司", 5), ("被收购(实体)", "甲公司", 0)],
        [("实体", "丙公司", 9)],
    ]
    assert len(records[0].schema["实体"] or {}) == 43


def test_sanwen_relations_are_named_in_chinese(tmp_path: Path) -> None:
    line = "幽兰\t山谷\tLocated\t幽兰在山谷。\n"
    records, _ = run(relations.convert_sanwen, put(tmp_path, {"train.txt": line, "valid.txt": line}))
    assert flat(records[0]) == [[("实体", "幽兰", 0), ("位于(实体)", "山谷", 3)], [("实体", "山谷", 3)]]
    assert [record.split for record in records] == ["", "dev"]


def test_cmeie_uses_published_offsets_and_takes_a_text_once(tmp_path: Path) -> None:
    triple = {
        "subject": "胃炎",
        "subject_type": "疾病",
        "predicate": "药物治疗",
        "object": {"@value": "铝剂"},
        "object_type": {"@value": "药物"},
        "subject_start_idx": 3,
    }
    absent = triple | {"object": {"@value": "手术"}}
    row = {"text": "胃炎@胃炎用铝剂", "spo_list": [triple, absent]}
    files = {"CMeIE_train.json.bak": {"json": [row]}, "hist_CMeIE_train.json": {"json": [row]}}
    lines = {"CMeIE_dev_with_idx.jsonl": [], "CMeIE_dev.jsonl.bak": [row]}
    records, tally = run(relations.convert_cmeie, put(tmp_path, files | lines))
    assert [flat(record) for record in records] == [[[("疾病", "胃炎", 3), ("药物治疗(药物)", "铝剂", 6)]]]
    assert tally == {"text already seen in another file": 2, "subject or object not in the text": 1}


# Events


def test_fewfc_roles_are_named_in_chinese(tmp_path: Path) -> None:
    mentions = [
        {"word": "质押", "span": [2, 4], "role": "trigger"},
        {"word": "张三", "span": [0, 2], "role": "sub-per"},
    ]
    row = {"content": "张三质押股份", "events": [{"type": "质押", "mentions": mentions}]}
    other = {"content": "法院判决", "events": [{"type": "判决", "mentions": [mentions[0] | {"word": "判决"}]}]}
    files = {"train_base.json": [row], "test_base.json": [row], "train_trans.json": [other]}
    records, tally = run(events.convert_fewfc, put(tmp_path, files))
    assert flat(records[0]) == [[("质押(事件触发词)", "质押", 2), ("质押个人", "张三", 0)]]
    assert flat(records[1]) == [[("判决(事件触发词)", "判决", 2)]]
    assert len(records) == 2 and tally["text already seen in another file"] == 1
    assert len(records[0].schema) == 10


def test_duee_gives_events_types_and_classes(tmp_path: Path) -> None:
    schema = [{"event_type": "组织关系-裁员", "class": "组织关系", "role_list": [{"role": "裁员方"}, {"role": "时间"}]}]
    event = {
        "event_type": "组织关系-裁员",
        "class": "组织关系",
        "trigger": "裁员",
        "trigger_start_index": 3,
        "arguments": [{"role": "裁员方", "argument": "某公司", "argument_start_index": 0}],
    }
    files = {"event_schema.json": schema, "dev.json": [{"text": "某公司裁员", "event_list": [event]}]}
    records, _ = run(events.convert_duee, put(tmp_path, files))
    assert flat(records[0]) == [[("裁员(事件触发词)", "裁员", 3), ("裁员方", "某公司", 0)]]
    assert records[1].text == M + "某公司裁员" and answers(records[1]) == [("裁员",)]
    assert answers(records[2]) == [("组织关系", "裁员")]


# Opinions


def test_zhang_triplets_have_polarity_and_given_aspects(tmp_path: Path) -> None:
    train = "﻿菜 很 好 ， 但 KFC bar 贵 。####[((0, 0), (1, 2), 'POS'), ((5, 6), (7, 7), 'NEG')]\n"
    dev = "汤 咸 。####[((0, 0), (1, 1), 'Negative')]\n"
    records, _ = run(opinions.convert_zhang_aste, put(tmp_path, {"train.txt": train, "dev.txt": dev}))
    assert records[0].text == "菜很好，但KFC bar贵。"
    assert flat(records[0]) == [
        [("属性词", "菜", 0), ("正向情感(情感词)", "很好", 1)],
        [("属性词", "KFC bar", 5), ("负向情感(情感词)", "贵", 12)],
    ]
    assert list(records[0].schema["属性词"] or {}) == ["正向情感(情感词)", "负向情感(情感词)", "中性情感(情感词)"]
    given = records[1]
    assert given.text == C + "菜很好，但KFC bar贵。" and given.task == "atsc"
    assert answers(given) == [("属性“菜”的情感倾向：正向情感",)]
    assert list(given.schema) == [f"属性“菜”的情感倾向：{name}" for name in ("正向情感", "负向情感", "中性情感")]
    assert [record.split for record in records] == ["", "", "", "dev", "dev"]


def test_gdcq_aspect_that_is_not_said_is_the_hash_sign(tmp_path: Path) -> None:
    table = (
        ",id,AspectTerms,A_start,A_end,OpinionTerms,O_start,O_end,Categories,Polarities,text\n"
        "0,1,_, , ,很好,0,2,整体,正面,很好，包装差\n"
        "1,1,包装,3,5,差,5,6,包装,负面,很好，包装差\n"
        "2,2,包装,0,2,_, , ,包装,正面,包装啊\n"
    )
    records, _ = run(opinions.convert_gdcq, put(tmp_path, {"Train_merge.csv": table}))
    assert records[0].text == "#很好，包装差" and records[0].key == "很好，包装差"
    assert flat(records[0]) == [
        [("属性词", "#", 0), ("正向情感(情感词)", "很好", 1)],
        [("属性词", "包装", 4), ("负向情感(情感词)", "差", 6)],
    ]
    assert records[1].text == C + "很好，包装差" and answers(records[1]) == [("属性“包装”的情感倾向：负向情感",)]
    assert records[2].text == M + "很好，包装差" and answers(records[2]) == [("整体",), ("包装",)]
    assert records[3].text == "包装啊" and flat(records[3]) == [[("属性词", "包装", 0)]]


def test_bdci_posts_give_subjects_and_their_polarity(tmp_path: Path) -> None:
    table = (
        "content_id,content,subject,sentiment_value,sentiment_word\n"
        "1,油耗高但动力强。,油耗,-1,高\n1,油耗高但动力强。,动力,1,强\n2,挺费油,油耗,0,\n"
    )
    records, tally = run(opinions.convert_bdci_car, put(tmp_path, {"train_2.csv": table}))
    by_task = {record.task: record for record in reversed(records)}
    assert answers(by_task["multilabel"]) == [("油耗",), ("动力",)]
    assert answers(by_task["hierarchy"]) == [("油耗", "负向情感"), ("动力", "正向情感")]
    assert answers(by_task["atsc"]) == [("属性“油耗”的情感倾向：负向情感",)]
    assert flat(by_task["absa"])[1] == [("属性词", "动力", 4), ("正向情感(情感词)", "强", 6)]
    assert tally["post without complete triplets"] == 1


def test_diaasq_utterances_take_aspects_of_their_own_or_the_hash_sign(tmp_path: Path) -> None:
    talk = {
        "sentences": ["iQOO 9 屏 幕 好", "确 实 好", "香"],
        "triplets": [
            [0, 2, 2, 4, 4, 5, "pos", "iQOO9", "屏幕", "好"],
            [0, 2, 2, 4, 7, 8, "pos", "iQOO9", "屏幕", "好"],
            [0, 2, -1, -1, -1, -1, -1, "iQOO9", "", ""],
        ],
    }
    files = {"train.json": {"json": [talk]}, "valid.json": {"json": []}}
    records, tally = run(opinions.convert_diaasq, put(tmp_path, files))
    assert [record.text for record in records] == ["iQOO9屏幕好", "#确实好", "香"]
    assert flat(records[0]) == [[("属性词", "屏幕", 5), ("正向情感(情感词)", "好", 7)]]
    assert flat(records[1]) == [[("属性词", "#", 0), ("正向情感(情感词)", "好", 3)]]
    assert tally["opinion without words"] == 1


def test_apc_places_are_filled_and_blanks_taken_out(tmp_path: Path) -> None:
    rows = "而 且 $T$ 鲜 艳\n色 彩\nPositive\n$T$ 贵\n价 格\nNegative\n$T$ 贵\n价 格\nPositive\n"
    empty = {f"{name}.train.txt": "" for name in ("car", "hair", "mooc", "notebook", "phone")}
    records, tally = run(opinions.convert_apc_products, put(tmp_path, empty | {"camera.train.txt": rows}))
    assert [record.text for record in records] == [C + "而且色彩鲜艳"]
    assert answers(records[0]) == [("属性“色彩”的情感倾向：正向情感",)]
    assert tally["aspect with several polarities"] == 1


# Classes


@pytest.mark.parametrize(
    ("function", "files"),
    [
        (classes.convert_hotel, {"ChnSentiCorp_htl_all.csv": 'label,review\n1,"很,好"\n0,差\n'}),
        (classes.convert_chnsenticorp, {"train.tsv": "label\ttext_a\n1\t很,好\n", "dev.tsv": "label\ttext_a\n0\t差\n"}),
        (classes.convert_book_review, {"train.tsv": "label\ttext_a\n1\t很,好\n0\t差\n"}),
    ],
)
def test_reviews_become_sentiment_records(tmp_path: Path, function: Callable[..., Any], files: dict[str, str]) -> None:
    records, _ = run(function, put(tmp_path, files))
    assert [record.text for record in records] == [C + "很,好", C + "差"]
    assert [answers(record) for record in records] == [[("正向情感",)], [("负向情感",)]]
    assert list(records[0].schema) == ["正向情感", "负向情感"]


def test_online_shopping_gives_sentiment_kind_and_tree(tmp_path: Path) -> None:
    table = "cat,label,review\n书籍,1,\ufeff好看\n水果,0,烂了\n"
    records, _ = run(classes.convert_online_shopping, put(tmp_path, {"online_shopping_10_cats.csv": table}))
    assert [answers(record) for record in records[:3]] == [[("正向情感",)], [("书籍",)], [("书籍", "正向情感")]]
    assert {record.text for record in records[:3]} == {C + "好看"}


def test_smp2020_emotions_are_named(tmp_path: Path) -> None:
    files = {
        "train.tsv": "label\ttext_a\n5\t天哪\n",
        "virus_train.tsv": "label\ttext_a\n0\t洗手\n",
        "dev.tsv": "1\t气\n",
    }
    records, _ = run(classes.convert_smp2020, put(tmp_path, files))
    assert [answers(record) for record in records] == [[("惊讶",)], [("无情绪",)], [("愤怒",)]]
    assert records[2].split == "dev"


def test_toutiao_index_names_the_topic(tmp_path: Path) -> None:
    records, _ = run(classes.convert_toutiao, put(tmp_path, {"toutiao_test.txt": "小说_!_大赛_!_0\n电竞赛_!_14\n"}))
    assert [(record.text, answers(record)) for record in records] == [
        (C + "小说_!_大赛", [("故事",)]),
        (C + "电竞赛", [("电竞",)]),
    ]


def test_thucnews_index_follows_the_class_file(tmp_path: Path) -> None:
    files = {"class.txt": "finance\nsports", "dev.txt": "大胜 三球\t1\n"}
    records, _ = run(classes.convert_thucnews_titles, put(tmp_path, files))
    assert answers(records[0]) == [("体育",)] and list(records[0].schema) == ["财经", "体育"]


def test_fewclue_has_topics_apps_and_disciplines(tmp_path: Path) -> None:
    files: dict[str, Any] = {}
    for part in ("train", "dev"):
        files[f"{part}_few_all.json"] = [{"sentence": "种田" + part, "label_desc": "news_agriculture"}]
        files[f"iflytek_{part}_few_all.json"] = [{"sentence": "导航" + part, "label_des": "地图导航"}]
        files[f"csldcp_{part}_few_all.json"] = [{"content": "星系" + part, "label": "天文学"}]
    records, _ = run(classes.convert_fewclue_topics, put(tmp_path, files))
    assert [answers(record) for record in records[::2]] == [[("农业",)], [("地图导航",)], [("天文学",)], [("天文学",)]]
    assert answers(records[5]) == [("理学", "天文学")]


def test_cail_sentences_keep_empty_labels(tmp_path: Path) -> None:
    files: dict[str, Any] = {}
    for stem, field in (("divorce_", ""), ("labor_", "labor_"), ("loan_", "loan_")):
        files[f"{stem}selectedtags.txt"] = "支付利息\n公司|单位借款\n"
        files[f"{stem}tags.txt"] = f"{stem}1\n{stem}2\n"
        files[f"{field}data_small_selected.json"] = [
            [{"labels": [f"{stem}2"], "sentence": "公司借款。"}, {"labels": [], "sentence": "查明。"}]
        ]
    records, _ = run(classes.convert_cail_elements, put(tmp_path, files))
    assert records[0].text == M + "公司借款。" and answers(records[0]) == [("公司或单位借款",)]
    assert records[1].info_list == [] and list(records[1].schema) == ["支付利息", "公司或单位借款"]


# Pairs


@pytest.mark.parametrize(
    ("function", "files"),
    [
        (pairs.convert_afqmc, {"train.txt": "花呗\t借呗\t1\n"}),
        (pairs.convert_lcqmc, {"dev.txt": "花呗\t借呗\t1\n"}),
        (pairs.convert_bq, {"dev.tsv": "花呗\t借呗\t1\n"}),
        (pairs.convert_pawsx, {"dev_2k.tsv": "id\tsentence1\tsentence2\tlabel\n3\t花呗\t借呗\t1\n"}),
        (pairs.convert_sts_b, {"sts-b-train.txt": "花呗\t借呗\t4\n甲\t乙\t3\n"}),
        (pairs.convert_simclue, {"train_pair_1w.json": [{"sentence1": "花呗", "sentence2": "借呗", "label": "1"}]}),
    ],
)
def test_matching_pairs_are_worded_as_the_model_reads_them(
    tmp_path: Path, function: Callable[..., Any], files: dict[str, Any]
) -> None:
    records, _ = run(function, put(tmp_path, files))
    assert [record.text for record in records] == [C + "段落1：花呗；段落2：借呗"]
    assert answers(records[0]) == [("文本匹配：相似",)]
    assert list(records[0].schema) == ["文本匹配：相似", "文本匹配：不相似"]
    assert records[0].key == "花呗借呗"


@pytest.mark.parametrize(
    ("function", "names"),
    [(pairs.convert_cmnli_dev, ["dev.txt"]), (pairs.convert_snli_zh_dev, ["dev.txt", "test.txt"])],
)
def test_inference_pairs_are_grouped_by_premise(tmp_path: Path, function: Callable[..., Any], names: list[str]) -> None:
    records, tally = run(function, put(tmp_path, {name: "下雨\t天晴\tcontradiction\n甲\t乙\t-\n" for name in names}))
    assert records[0].text == C + "段落1：下雨；段落2：天晴"
    assert answers(records[0]) == [("段落2和段落1的关系是：矛盾",)]
    assert list(records[0].schema) == [f"段落2和段落1的关系是：{name}" for name in ("蕴含", "矛盾", "中立")]
    assert (records[0].group, records[0].key) == ("下雨", "下雨天晴")
    assert tally["pair without a known label"] == len(names)


def test_last_thousand_rows_of_ocnli_are_for_development(tmp_path: Path) -> None:
    rows = [{"sentence1": f"第{i}句", "sentence2": "有数", "label": "entailment"} for i in range(1003)]
    records, _ = run(pairs.convert_ocnli, put(tmp_path, {"train.10k.json": rows}))
    assert [record.split for record in records[:4]] == ["", "", "", "dev"]
    assert answers(records[0]) == [("段落2和段落1的关系是：蕴含",)]


@pytest.mark.parametrize(("label", "answer"), [("true", "是的"), ("false", "不是")])
def test_coreference_marks_noun_and_pronoun(tmp_path: Path, label: str, answer: str) -> None:
    target = {"span1_text": "尘土", "span1_index": 4, "span2_text": "它", "span2_index": 7}
    rows = [{"text": "伤口有尘土，把它洗掉", "label": label, "target": target | {"span1_index": 3}}]
    records, _ = run(pairs.convert_cluewsc, put(tmp_path, {"train.json": rows}))
    assert records[0].text == C + "伤口有尘土（候选词），把它(代词)洗掉"
    question = "下面的句子中，代词“它”指代的是“尘土”吗？"
    assert answers(records[0]) == [(question + answer,)]
    assert list(records[0].schema) == [question + "是的", question + "不是"]
    assert records[0].key == "伤口有尘土，把它洗掉"


def test_coreference_target_that_differs_from_the_text_is_counted(tmp_path: Path) -> None:
    target = {"span1_text": "尘土", "span1_index": 0, "span2_text": "它", "span2_index": 7}
    rows = [{"text": "伤口有尘土，把它洗掉", "label": "true", "target": target}]
    records, tally = run(pairs.convert_cluewsc, put(tmp_path, {"train.json": rows}))
    assert records == [] and tally["noun or pronoun differs from the text"] == 1


# Reading


def test_c3_joins_question_and_option(tmp_path: Path) -> None:
    article = {
        "article": "男：我坐火车去。",
        "questions": ["他怎么去?", "何时?"],
        "options": [["飞机", "火车"], ["今天", "今天"]],
        "answers": ["B", "A"],
    }
    files = {"train-pseudo-c3.json": {"json": {"data": [article]}}}
    records, tally = run(reading.convert_c3, put(tmp_path, files))
    assert records[0].text == C + "男：我坐火车去。" and records[0].task == "choice"
    assert list(records[0].schema) == ["他怎么去?飞机", "他怎么去?火车"]
    assert answers(records[0]) == [("他怎么去?火车",)]
    assert len(records) == 1 and tally["question whose options are equal or one"] == 1


def squad(context: str, *questions: dict[str, Any]) -> dict[str, Any]:
    return {"json": {"data": [{"paragraphs": [{"context": context, "qas": list(questions)}]}]}}


def test_cmrc_question_is_the_type_of_its_answer(tmp_path: Path) -> None:
    right = {"question": "谁来？", "answers": [{"text": "王五", "answer_start": 0}]}
    moved = {"question": "去哪？", "answers": [{"text": "上海", "answer_start": 0}]}
    lost = {"question": "何时？", "answers": [{"text": "昨天", "answer_start": 0}]}
    files = {
        "train-pseudo-cmrc2018.json": squad("王五到上海。", right, moved, lost),
        "cmrc2018_trial.json": squad(
            "赵六来了。", {"question": "谁？", "answers": [{"text": "赵六", "answer_start": 0}]}
        ),
    }
    records, tally = run(reading.convert_cmrc2018, put(tmp_path, files))
    assert [flat(record) for record in records] == [
        [[("谁来？", "王五", 0)]],
        [[("去哪？", "上海", 3)]],
        [[("谁？", "赵六", 0)]],
    ]
    assert [record.split for record in records] == ["", "", "dev"]
    assert tally["answer not at its place in the context"] == 1


def test_drcd_most_frequent_answer_counts(tmp_path: Path) -> None:
    answers_ = [{"text": text, "answer_start": 0} for text in ("在歐洲", "歐洲", "歐洲")]
    answers_[1]["answer_start"] = answers_[2]["answer_start"] = 1
    files = {"DRCD_dev.json": squad("在歐洲，梵語。", {"question": "哪裡？", "answers": answers_})}
    records, _ = run(reading.convert_drcd_dev, put(tmp_path, files))
    assert flat(records[0]) == [[("哪裡？", "歐洲", 1)]]


def test_cail_questions_may_be_yes_no_or_without_answer(tmp_path: Path) -> None:
    yes = {"question": "是否愿意？", "answers": [{"text": "YES", "answer_start": -1}], "is_impossible": "false"}
    none = {"question": "态度如何？", "answers": [{"text": "", "answer_start": -1}], "is_impossible": "true"}
    files = {"dev_ground_truth.json": squad("被告愿意。", yes, none)}
    records, _ = run(reading.convert_cail_mrc, put(tmp_path, files))
    assert records[0].text == C + "被告愿意。" and answers(records[0]) == [("是否愿意？是",)]
    assert records[1].text == "被告愿意。" and records[1].info_list == []
    assert list(records[1].schema) == ["态度如何？"]


# Shared parts


def test_numbers_are_not_found_inside_longer_numbers() -> None:
    assert find_all("4.5分，150元，50元", "5分") == []
    assert find_all("4.5分，150元，50元", "50元") == [(10, 13)]


def test_tokens_are_joined_with_their_offsets() -> None:
    text, offsets = join_tokens(["用", "iQOO", "9", "good", "job", "好"])
    assert text == "用iQOO9good job好"
    assert [text[start:end] for start, end in offsets] == ["用", "iQOO", "9", "good", "job", "好"]


@pytest.mark.parametrize(
    ("text", "path", "reason"),
    [
        ("张三", [element("人物", "张三", 0, 2) | {"span": "李四"}], "span differs from the text"),
        ("张三", [element("地点", "张三", 0, 2)], "type not in the schema"),
        ("张三", [element("人物", "张三", 0, 2), element("人物", "张三", 0, 2)], "type not in the schema"),
        ("张三", [], "empty path"),
        ("  ", [element("人物", "  ", 0, 1)], "empty text"),
        ("张[SEP]三", [element("人物", "张", 0, 1)], "special token in the text"),
    ],
)
def test_unsound_records_are_recognised(text: str, path: list[Any], reason: str) -> None:
    assert problem(Record(text, [path], {"人物": None}, "ner", "set", text)) == reason


def test_gzip_and_plain_files_read_alike(tmp_path: Path) -> None:
    line = "患儿发热。|||2    3    sym|||\n"
    with gzip.open(tmp_path / "train_data.txt.gz", "wt", encoding="utf-8") as file:
        file.write(line)
    zipped, _ = run(ner.convert_cmeee, tmp_path)
    plain, _ = run(ner.convert_cmeee, put(tmp_path, {"train_data.txt": line}))
    assert zipped == plain


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="train.json"):
        list(pairs.convert_cluewsc(tmp_path, Tally()))
    with pytest.raises(FormatError, match="第 1 个非空行"):
        list(pairs.convert_cluewsc(put(tmp_path, {"train.json": "{oops\n"}), Tally()))


# The split and the command


def test_dev_share_is_about_750_groups_and_at_most_a_tenth() -> None:
    assert [dev_percent(groups) for groups in (100, 7_500, 15_000, 60_000)] == [10, 10, 5, 1]


def test_dev_choice_depends_on_the_text_alone() -> None:
    groups = [normalised_sha1(str(i)) for i in range(2000)]
    chosen = choose_dev(groups)
    assert 100 < len(chosen) < 300 and chosen == choose_dev(reversed(groups))


@pytest.fixture
def two_sets(tmp_path: Path) -> Path:
    """A set with a dev file whose review is also in the other set's rows, with a held-out one and a double."""
    for name in ("chnsenticorp", "book_review"):
        (tmp_path / name).mkdir()
    put(tmp_path / "chnsenticorp", {"train.tsv": "1\t早餐好\n1\t早 餐 好\n", "dev.tsv": "0\t房间脏\n"})
    rows = "".join(f"1\t第{i}本书好看\n" for i in range(40))
    put(tmp_path / "book_review", {"train.tsv": "0\t房间 脏\n0\t不可见的书\n" + rows})
    (tmp_path / "heldout_sha1.txt").write_text(normalised_sha1("不可见的书") + "\n")
    return tmp_path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_text_never_stands_on_both_sides_nor_twice(two_sets: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    heldout = frozenset({normalised_sha1("不可见的书")})
    stats = convert_all(two_sets, heldout, out, names=["chnsenticorp", "book_review"])
    sides = {side: [row for path in out.glob(f"*.{side}.jsonl") for row in read(path)] for side in ("train", "dev")}
    train, dev = ({normalised_sha1(row["text"]) for row in sides[side]} for side in ("train", "dev"))
    assert not train & dev and len(train) == len(sides["train"])
    assert [row["text"] for row in read(out / "chnsenticorp.dev.jsonl")] == [C + "房间脏"]
    assert stats["sets"]["chnsenticorp"]["dropped"] == {"duplicate": 1}
    assert stats["sets"]["book_review"]["dropped"] == {"duplicate": 1, "held out": 1}
    assert json.loads((out / "stats.json").read_text(encoding="utf-8")) == stats
    assert list(out.glob("*.part")) == []


def test_lines_have_the_published_layout(two_sets: Path, tmp_path: Path) -> None:
    main(["--datasets", str(two_sets), "--out", str(tmp_path / "out"), "--names", "chnsenticorp"])
    assert read(tmp_path / "out" / "chnsenticorp.train.jsonl") == [
        {
            "id": "chnsenticorp-0",
            "task": "sentiment",
            "source": "chnsenticorp",
            "text": C + "早餐好",
            "info_list": [[{"type": "正向情感", "span": C, "offset": [0, 10]}]],
            "schema": {"正向情感": None, "负向情感": None},
        }
    ]


def test_group_keeps_the_pairs_of_a_premise_together() -> None:
    first, second = (
        Record("段", [], {"甲": None}, "nli", "set", f"雨天{tail}", group="雨天") for tail in ("晴天", "阴天")
    )
    assert group_of(first) == group_of(second) == normalised_sha1("雨天")


def test_sets_are_chosen_by_licence() -> None:
    chosen = {info.name for info in select(licences=["permissive", "share-alike"])}
    assert {"finre", "crosswoz", "fewfc", "cmrc2018"} <= chosen
    assert not chosen & {"ocnli", "cmeee", "msra"}


def test_unknown_sets_and_a_missing_list_end_with_a_message(two_sets: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nosuch"):
        select(["nosuch"])
    with pytest.raises(SystemExit, match="absent"):
        main(["--datasets", str(two_sets), "--out", str(tmp_path), "--heldout", str(tmp_path / "absent")])


def test_absent_sets_are_reported_as_missing(two_sets: Path, tmp_path: Path) -> None:
    stats = convert_all(two_sets, frozenset(), tmp_path / "out", names=["hotel", "book_review"])
    assert stats["missing"] == ["hotel"]


# Real rows


@pytest.mark.parametrize("name", list(CONVERTERS))
def test_real_rows_point_into_their_text(name: str) -> None:
    if not (DATASETS / name).is_dir():
        pytest.skip("the published sets are not at hand")
    info = CONVERTERS[name]
    records = list(islice(info.function(DATASETS / name, Tally()), 20))
    assert len(records) == 20 and {record.task for record in records} <= set(info.tasks)
    assert [problem(record) for record in records] == [""] * 20
