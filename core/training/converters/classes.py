"""Classification sets: sentiment, emotion, topics, sentence labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from core.training.converters.disciplines import FIELDS
from core.training.converters.record import (
    MULTICLASSIFY,
    Record,
    Schema,
    Tally,
    class_record,
    clean,
    leaves,
    read_columns,
    read_csv,
    read_json_lines,
    read_lines,
)

SENTIMENT = {"1": "正向情感", "0": "负向情感"}
EMOTIONS = {"0": "无情绪", "1": "愤怒", "2": "高兴", "3": "悲伤", "4": "恐惧", "5": "惊讶"}
TNEWS = {
    "news_story": "故事",
    "news_culture": "文化",
    "news_entertainment": "娱乐",
    "news_sports": "体育",
    "news_finance": "财经",
    "news_house": "房产",
    "news_car": "汽车",
    "news_edu": "教育",
    "news_tech": "科技",
    "news_military": "军事",
    "news_travel": "旅游",
    "news_world": "国际",
    "news_stock": "证券",
    "news_agriculture": "农业",
    "news_game": "电竞",
}
TOUTIAO = list(TNEWS.values())  # the published index is the place in this list
THUCNEWS = {
    "finance": "财经",
    "realty": "房产",
    "stocks": "股票",
    "education": "教育",
    "science": "科技",
    "society": "社会",
    "politics": "时政",
    "sports": "体育",
    "game": "游戏",
    "entertainment": "娱乐",
}
_CAIL_PREFIXES = {"": "DV", "labor_": "LB", "loan_": "LN"}


def _sentiment(rows: Iterable[tuple[str, str]], *, source: str, tally: Tally, split: str = "") -> Iterator[Record]:
    """Rows (label, review) as sentiment records."""
    for label, review in rows:
        if label not in SENTIMENT:
            tally["row without a known label"] += 1
            continue
        yield class_record(
            clean(review),
            [(SENTIMENT[label],)],
            schema=leaves(SENTIMENT.values()),
            task="sentiment",
            source=source,
            split=split,
        )


def _labelled(directory: Path, name: str, *, tally: Tally) -> Iterator[tuple[str, str]]:
    """The rows `label TAB text` of a file with a header."""
    for label, text in read_columns(directory, name, columns=2, tally=tally):
        if label != "label":
            yield label, text


def convert_hotel(directory: Path, tally: Tally) -> Iterator[Record]:
    """Hotel reviews."""
    rows = ((row["label"], row["review"]) for row in read_csv(directory, "ChnSentiCorp_htl_all.csv"))
    return _sentiment(rows, source="hotel", tally=tally)


def convert_chnsenticorp(directory: Path, tally: Tally) -> Iterator[Record]:
    """Reviews of hotels, books and computers."""
    for name, split in {"train.tsv": "", "dev.tsv": "dev"}.items():
        rows = _labelled(directory, name, tally=tally)
        yield from _sentiment(rows, source="chnsenticorp", tally=tally, split=split)


def convert_book_review(directory: Path, tally: Tally) -> Iterator[Record]:
    """Book reviews."""
    return _sentiment(_labelled(directory, "train.tsv", tally=tally), source="book_review", tally=tally)


def convert_online_shopping(directory: Path, tally: Tally) -> Iterator[Record]:
    """Reviews of ten kinds of goods: sentiment, kind of goods, and kind → sentiment."""
    rows = [row for row in read_csv(directory, "online_shopping_10_cats.csv") if row["label"] in SENTIMENT]
    kinds = list(dict.fromkeys(row["cat"] for row in rows))
    tree: Schema = {kind: leaves(SENTIMENT.values()) for kind in kinds}
    for row in rows:
        text, feeling = clean(row["review"] or ""), SENTIMENT[row["label"]]
        yield from _sentiment([(row["label"], text)], source="online_shopping", tally=tally)
        yield class_record(text, [(row["cat"],)], schema=leaves(kinds), task="classification", source="online_shopping")
        yield class_record(text, [(row["cat"], feeling)], schema=tree, task="hierarchy", source="online_shopping")


def convert_smp2020(directory: Path, tally: Tally) -> Iterator[Record]:
    """Microblog posts with one of six emotions."""
    for name, split in {"train.tsv": "", "virus_train.tsv": "", "dev.tsv": "dev"}.items():
        for label, text in _labelled(directory, name, tally=tally):
            yield class_record(
                clean(text),
                [(EMOTIONS[label],)],
                schema=leaves(EMOTIONS.values()),
                task="classification",
                source="smp2020",
                split=split,
            )


def _topic(text: str, topic: str, *, topics: Iterable[str], source: str) -> Record:
    """A single-label record."""
    return class_record(clean(text), [(topic,)], schema=leaves(topics), task="classification", source=source)


def convert_toutiao(directory: Path, tally: Tally) -> Iterator[Record]:
    """Toutiao titles with one of fifteen topics: lines `title_!_index`."""
    for line in read_lines(directory, "toutiao_test.txt"):
        title, _, index = line.rpartition("_!_")
        if not title or not index.isdigit():
            tally["row without a title and an index"] += 1
            continue
        yield _topic(title, TOUTIAO[int(index)], topics=TOUTIAO, source="toutiao")


def convert_thucnews_titles(directory: Path, tally: Tally) -> Iterator[Record]:
    """THUCNews titles with one of ten topics, named by `class.txt`."""
    names = [THUCNEWS[name.strip()] for name in read_lines(directory, "class.txt")]
    for title, index in read_columns(directory, "dev.txt", columns=2, tally=tally):
        yield _topic(title, names[int(index)], topics=names, source="thucnews_titles")


def convert_fewclue_topics(directory: Path, tally: Tally) -> Iterator[Record]:
    """FewCLUE: topics of news titles, kinds of apps, disciplines of abstracts (also field → discipline).

    The few-shot files of a task are taken together, train and dev.
    """
    tree: Schema = {field: leaves(names) for field, names in FIELDS.items()}
    for prefix, text_field, label_field in (
        ("", "sentence", "label_desc"),
        ("iflytek_", "sentence", "label_des"),
        ("csldcp_", "content", "label"),
    ):
        rows = [
            (row[text_field], TNEWS.get(row[label_field], row[label_field]))
            for part in ("train", "dev")
            for row in read_json_lines(directory, f"{prefix}{part}_few_all.json")
        ]
        of_disciplines = prefix == "csldcp_"
        field_of = {name: field for field, names in FIELDS.items() for name in names} if of_disciplines else {}
        topics = TOUTIAO if not prefix else sorted({label for _, label in rows})
        for text, label in rows:
            yield _topic(text, label, topics=topics, source="fewclue_topics")
            if label in field_of:
                path = (field_of[label], label)
                yield class_record(clean(text), [path], schema=tree, task="hierarchy", source="fewclue_topics")


def convert_cail_elements(directory: Path, tally: Tally) -> Iterator[Record]:
    """CAIL 2019: sentences of judgements with any of twenty elements of their field; most have none."""
    for field, letters in _CAIL_PREFIXES.items():
        stem = field or "divorce_"
        names = [line.strip().replace("|", "或") for line in read_lines(directory, f"{stem}selectedtags.txt")]
        tags = [line.strip() for line in read_lines(directory, f"{stem}tags.txt")]
        named = dict(zip(tags, names, strict=True))
        schema = leaves(names)
        for document in read_json_lines(directory, f"{field}data_small_selected.json"):
            for sentence in document:
                unknown = [tag for tag in sentence["labels"] if tag not in named]
                if unknown:
                    tally[f"sentence with an unknown {letters} label"] += 1
                    continue
                yield class_record(
                    clean(sentence["sentence"]),
                    [(named[tag],) for tag in dict.fromkeys(sentence["labels"])],
                    schema=schema,
                    task="multilabel",
                    source="cail_elements",
                    marker=MULTICLASSIFY,
                )
