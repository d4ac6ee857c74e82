"""Entity sets: flat schemas, every type of the set in each record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from core.training.converters.record import (
    Element,
    Record,
    Tally,
    element,
    leaves,
    open_text,
    read_json_lines,
    read_lines,
)

CLUENER = {
    "name": "姓名",
    "organization": "组织",
    "position": "职位",
    "company": "公司",
    "address": "地址",
    "game": "游戏",
    "government": "政府",
    "scene": "景点",
    "book": "书名",
    "movie": "电影",
}
RESUME = {
    "NAME": "姓名",
    "ORG": "组织机构",
    "TITLE": "职务",
    "EDU": "学历",
    "PRO": "专业",
    "CONT": "国籍",
    "RACE": "民族",
    "LOC": "籍贯",
}
VIDEO_MUSIC_BOOK = {"book": "书名", "music": "歌曲", "video": "影视作品"}
_TCM_TYPES = ["症状", "中药功效", "人群", "证候", "药物性味", "疾病", "药物剂型", "药物成分", "食物分组", "疾病分组"]
TCM_LEAFLETS = {type_: type_ for type_ in [*_TCM_TYPES, "药品", "食物", "药品分组"]}
CMEEE = {
    "dis": "疾病",
    "sym": "临床表现",
    "pro": "医疗程序",
    "equ": "医疗设备",
    "dru": "药物",
    "ite": "医学检验项目",
    "bod": "身体部位",
    "dep": "医院科室",
    "mic": "微生物",
}
MSRA = {"PER": "人物", "LOC": "地理位置", "ORG": "组织机构"}
PEOPLES_DAILY = {"nr": "人物", "ns": "地理位置", "t": "时间"}
_LONG_SURNAMES = frozenset(
    ["欧阳", "司马", "诸葛", "上官", "司徒", "南宫", "令狐", "东方", "皇甫", "慕容", "尉迟", "公孙", "夏侯", "端木"]
)


def _record(text: str, found: list[Element], *, names: Mapping[str, str], source: str, split: str = "") -> Record:
    """A flat record: one path for each entity."""
    return Record(text, [[item] for item in found], leaves(names.values()), "ner", source, text, split=split)


def _entity_lists(
    directory: Path, tally: Tally, *, source: str, names: Mapping[str, str], files: Mapping[str, str]
) -> Iterator[Record]:
    """JSON lines with `entity_list` and `entity_index` (end exclusive); `files` maps a file to its split."""
    for name, split in files.items():
        for row in read_json_lines(directory, name):
            found = []
            for entity in row["entity_list"]:
                start, end = entity["entity_index"]["begin"], entity["entity_index"]["end"]
                if row["text"][start:end] != entity["entity"]:
                    tally["entity differs from the text"] += 1
                    continue
                found.append(element(names[entity["entity_type"]], row["text"], start, end))
            yield _record(row["text"], found, names=names, source=source, split=split)


def convert_cluener(directory: Path, tally: Tally) -> Iterator[Record]:
    """CLUENER 2020: ten fine types in news."""
    files = {"train.txt": "", "dev.txt": "dev"}
    return _entity_lists(directory, tally, source="cluener", names=CLUENER, files=files)


def convert_resume(directory: Path, tally: Tally) -> Iterator[Record]:
    """Resume: eight types in summaries of careers."""
    files = {"train.txt": "", "dev.txt": "dev"}
    return _entity_lists(directory, tally, source="resume", names=RESUME, files=files)


def convert_video_music_book(directory: Path, tally: Tally) -> Iterator[Record]:
    """Titles of books, songs, films and series in users' queries."""
    names, files = VIDEO_MUSIC_BOOK, {"train.txt": ""}
    return _entity_lists(directory, tally, source="video_music_book", names=names, files=files)


def convert_tcm_leaflets(directory: Path, tally: Tally) -> Iterator[Record]:
    """Leaflets of Chinese medicines: thirteen types, long texts."""
    return _entity_lists(directory, tally, source="tcm_leaflets", names=TCM_LEAFLETS, files={"train.txt": ""})


def convert_cmeee(directory: Path, tally: Tally) -> Iterator[Record]:
    """CMeEE: nine medical types, nested; lines `text|||start end type|||…` with an inclusive end."""
    for line in read_lines(directory, "train_data.txt"):
        text, *marks = line.split("|||")
        found = []
        for mark in marks:
            if not mark.strip():
                continue
            start, end, type_ = mark.split()
            found.append(element(CMEEE[type_], text, int(start), int(end) + 1))
        yield _record(text, found, names=CMEEE, source="cmeee")


def convert_msra(directory: Path, tally: Tally) -> Iterator[Record]:
    """MSRA news: lines `character TAB tag`, a blank line between sentences."""
    for chars, tags in _tagged_sentences(directory, tally):
        text = "".join(chars)
        found, start = [], -1
        for end, tag in enumerate([*tags, "O"]):
            if start >= 0 and not tag.startswith("I-"):
                found.append(element(MSRA[tags[start][2:]], text, start, end))
                start = -1
            if tag.startswith("B-"):
                start = end
        yield _record(text, found, names=MSRA, source="msra")


def _tagged_sentences(directory: Path, tally: Tally) -> Iterator[tuple[list[str], list[str]]]:
    """The characters and tags of each sentence; a line that is not one character and a tag is counted."""
    chars: list[str] = []
    tags: list[str] = []
    with open_text(directory, "train.txt") as file:
        for line in file:
            char, _, tag = line.rstrip("\r\n").partition("\t")
            if len(char) == 1 and tag:
                chars.append(char)
                tags.append(tag)
                continue
            if char or tag:
                tally["line that is not a character and a tag"] += 1
            if chars:
                yield chars, tags
            chars, tags = [], []
    if chars:
        yield chars, tags


def convert_peoples_daily_1998(directory: Path, tally: Tally) -> Iterator[Record]:
    """People's Daily, January 1998: text rebuilt from tagged words, full-width forms kept.

    Organisations are not asked: this copy lost the brackets that held compound ones, so most are unmarked.
    """
    for line in read_lines(directory, "199801.txt"):
        words: list[tuple[str, str]] = []
        for item in line.split():
            word, _, tag = item.strip("[]").rpartition("/")
            words.append((word, tag))
        text, found, index = "", [], 0
        while index < len(words):
            stop = _name_stop(words, index)
            start = len(text)
            text += "".join(word for word, _ in words[index:stop])
            if words[index][1] in PEOPLES_DAILY:
                found.append(element(PEOPLES_DAILY[words[index][1]], text, start, len(text)))
            index = stop
        yield _record(text, found, names=PEOPLES_DAILY, source="peoples_daily_1998")


def _name_stop(words: list[tuple[str, str]], index: int) -> int:
    """Where the unit at `index` ends: a surname takes its given name, time words in a row are one."""
    word, tag = words[index]
    stop = index + 1
    if tag == "nr" and (len(word) == 1 or word in _LONG_SURNAMES) and stop < len(words) and words[stop][1] == "nr":
        return stop + 1
    while tag == "t" and stop < len(words) and words[stop][1] == "t":
        stop += 1
    return stop
