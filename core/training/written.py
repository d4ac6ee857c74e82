"""The project's own training texts: a compact form that people can write → training records.

    python -m core.training.written data/training/*.txt --heldout heldout_sha1.txt --out DIR

A file holds blocks, divided by blank lines. The first line of a block names the task and what is asked; `#` starts a
comment line. A span is marked where it stands as `{span|type}`:

    @ner 产品名称 故障现象 诉求                      @classification 物流问题 质量问题
    {海棠牌电水壶|产品名称}{底座漏电|故障现象}。      物流问题 > 快递三天没动了。

    @re 组织机构: 创始人(人物) 总部(地理位置)         @ee 车祸: 时间 地点; 火灾: 时间 伤亡
    {恒川动力|A}由{曾宇航|B}创立。                    {昨夜|A}{沪渝高速|B}发生{追尾|T}。
    > A | 组织机构 | 创始人(人物) = B                 > T | 车祸 | 时间 = A | 地点 = B

    @absa                                             @coref
    {位置|A}{很好|B}，{有点吵|C}。                     {小王|+}把伞给了{小李|-}，因为{他|?}有两把。
    > A | 正 | B
    > # | 负 | C                                      @nli
                                                      蕴含 > 他在弹吉他 || 有人在演奏
    @mrc
    图书馆在人民路，免费开放。                        @matching
    ? 图书馆在哪里？ = 人民路                          1 > 怎么退款？ || 退款怎么办理？

Also @sentiment (正 > …), @multilabel (several classes, divided by blanks), @hierarchy (大类/小类 > …) and @choice
(`? question = right | wrong | wrong`). In @mrc several answers are divided by `；`, nothing means no answer.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import FormatError
from core.training.converters.pairs import MATCHING, NLI, coreference_question, mark_pair, pair_text
from core.training.converters.record import (
    MULTICLASSIFY,
    InfoPath,
    Record,
    Schema,
    class_record,
    element,
    leaves,
    problem,
)
from core.training.converters.splitting import fingerprint, is_held_out
from core.training.heldout import load_heldout

SOURCE = "written"
DEV_PERCENT = 10
ASPECT, IMPLICIT = "属性词", "#"
POLARITIES = {"正": "正向情感", "负": "负向情感", "中": "中性情感"}
RELATIONS = {"蕴含": "entailment", "矛盾": "contradiction", "中立": "neutral"}
_MARK = re.compile(r"\{([^{}|]+)\|([^{}|]+)\}")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Block:
    """A task, what its first line says, and its items: a text with the lines that belong to it."""

    task: str
    asked: str
    items: tuple[tuple[str, tuple[str, ...]], ...]


Spans = dict[str, list[tuple[int, int]]]


def read_records(path: Path) -> list[Record]:
    """All records of a file; raises FormatError that lists every faulty item."""
    records: list[Record] = []
    problems: list[str] = []
    for block in _blocks(path.read_text(encoding="utf-8-sig"), problems):
        for text, notes in block.items:
            try:
                made = list(_READERS[block.task](block.asked, text, notes))
            except FormatError as error:
                problems.append(f"{text[:40]}：{error}")
                continue
            problems += [f"{text[:40]}：{fault}" for record in made if (fault := problem(record))]
            records += made
    if problems:
        raise FormatError(f"{path} 有 {len(problems)} 处不能用：\n" + "\n".join(problems[:50]))
    return records


def _blocks(text: str, problems: list[str]) -> Iterator[Block]:
    for part in re.split(r"\n\s*\n", text):
        lines = [line.strip() for line in part.split("\n") if line.strip() and not line.startswith("#")]
        if not lines:
            continue
        task, _, asked = lines[0].removeprefix("@").partition(" ")
        if not lines[0].startswith("@") or task not in _READERS:
            problems.append(f"{lines[0][:40]}：每块的第一行应是 @任务，任务可选 {' '.join(_READERS)}")
            continue
        items: list[tuple[str, list[str]]] = []
        for line in lines[1:]:
            if line.startswith((">", "?")) and items:
                items[-1][1].append(line)
            else:
                items.append((line, []))
        yield Block(task, asked.strip(), tuple((text, tuple(notes)) for text, notes in items))


def _plain(marked: str) -> tuple[str, Spans]:
    """The text without marks, and the offsets of each mark's name in order."""
    text, end = "", 0
    spans: Spans = {}
    for found in _MARK.finditer(marked):
        text += marked[end : found.start()]
        spans.setdefault(found[2], []).append((len(text), len(text) + len(found[1])))
        text, end = text + found[1], found.end()
    text += marked[end:]
    if re.search(r"[{}|]", text):
        raise FormatError("标记不成对：应写成 {文字|名称}，不能嵌套")
    return text, spans


def _tree(asked: str) -> dict[str, Schema]:
    """`甲: 乙 丙; 丁: 戊` → two levels."""
    tree = {}
    for part in filter(None, (part.strip() for part in asked.split(";"))):
        name, _, below = part.partition(":")
        tree[name.strip()] = leaves(below.split())
    return tree


def _entities(asked: str, marked: str, notes: tuple[str, ...]) -> Iterator[Record]:
    text, spans = _plain(marked)
    schema = leaves(asked.split())
    info = [[element(name, text, *span)] for name, places in spans.items() for span in places]
    yield Record(text, sorted(info, key=lambda path: path[0]["offset"]), schema, "ner", SOURCE, text)


def _one(spans: Spans, name: str) -> tuple[int, int]:
    if len(spans.get(name, ())) != 1:
        raise FormatError(f"正文里应恰好有一处 {{…|{name}}}")
    return spans[name][0]


def _links(notes: Iterable[str], *, least: int) -> Iterator[list[str]]:
    for note in notes:
        parts = [part.strip() for part in note.removeprefix(">").split("|")]
        if not note.startswith(">") or len(parts) < least:
            raise FormatError(f"这一行不完整：{note}")
        yield parts


def _structures(asked: str, marked: str, notes: tuple[str, ...], *, task: str, suffix: str) -> Iterator[Record]:
    """Relations and events: a root span and its arguments."""
    text, spans = _plain(marked)
    tree = {name + suffix: below for name, below in _tree(asked).items()}
    info: list[InfoPath] = []
    for root, kind, *arguments in _links(notes, least=2):
        head = element(kind + suffix, text, *_one(spans, root))
        info += [[head]] if not arguments else []
        for argument in arguments:
            role, _, mark = argument.partition("=")
            info.append([head, element(role.strip(), text, *_one(spans, mark.strip()))])
    yield Record(text, info, tree, task, SOURCE, text)


def _opinions(asked: str, marked: str, notes: tuple[str, ...]) -> Iterator[Record]:
    links = list(_links(notes, least=3))
    if any(aspect == IMPLICIT for aspect, _, _ in links):
        marked = IMPLICIT + marked
    text, spans = _plain(marked)
    info = []
    for aspect, polarity, opinion in links:
        where = (0, 1) if aspect == IMPLICIT else _one(spans, aspect)
        name = f"{_polarity(polarity)}(情感词)"
        info.append([element(ASPECT, text, *where), element(name, text, *_one(spans, opinion))])
    schema = {ASPECT: leaves(f"{name}(情感词)" for name in POLARITIES.values())}
    yield Record(text, info, schema, "absa", SOURCE, text.removeprefix(IMPLICIT))


def _polarity(short: str) -> str:
    if short not in POLARITIES:
        raise FormatError(f"情感“{short}”：应是 {' '.join(POLARITIES)} 之一")
    return POLARITIES[short]


def _labelled(line: str) -> tuple[list[str], str]:
    labels, arrow, text = line.partition(" > ")
    if not arrow or not text.strip():
        raise FormatError("应写成：类别 > 正文")
    return labels.split(), text.strip()


def _classes(asked: str, line: str, notes: tuple[str, ...], *, task: str) -> Iterator[Record]:
    labels, text = _labelled(line)
    schema: Schema = _tree(asked) if task == "hierarchy" else leaves(asked.split())
    if task == "sentiment":
        labels, schema = [_polarity(one) for one in labels], leaves([POLARITIES["正"], POLARITIES["负"]])
    paths = [tuple(label.split("/")) for label in labels]
    marker = {"marker": MULTICLASSIFY} if task == "multilabel" else {}
    yield class_record(text, paths, schema=schema, task=task, source=SOURCE, **marker)


def _pairs(asked: str, line: str, notes: tuple[str, ...], *, names: dict[str, str], task: str) -> Iterator[Record]:
    labels, text = _labelled(line)
    first, bar, second = (part.strip() for part in text.partition("||"))
    if not bar or len(labels) != 1 or labels[0] not in names:
        raise FormatError(f"应写成：{' 或 '.join(names)} > 甲 || 乙")
    schema = leaves(names.values())
    answer = [(names[labels[0]],)]
    yield class_record(
        pair_text(first, second), answer, schema=schema, task=task, source=SOURCE, key=first + second, group=first
    )


def _coreference(asked: str, marked: str, notes: tuple[str, ...]) -> Iterator[Record]:
    text, spans = _plain(marked)
    start, end = _one(spans, "?")
    for sign, answer in (("+", "是的"), ("-", "不是")):
        for first, last in spans.get(sign, ()):
            question = coreference_question(text[start:end], text[first:last])
            body = mark_pair(text, last, pronoun_end=end)
            schema = leaves([question + "是的", question + "不是"])
            yield class_record(body, [(question + answer,)], schema=schema, task="coref", source=SOURCE, key=text)


def _questions(notes: Iterable[str]) -> Iterator[tuple[str, str]]:
    for note in notes:
        question, sign, answer = note.removeprefix("?").rpartition("=")
        if not note.startswith("?") or not sign:
            raise FormatError(f"应写成：? 问题 = 答案，而不是 {note}")
        yield question.strip(), answer.strip()


def _reading(asked: str, text: str, notes: tuple[str, ...]) -> Iterator[Record]:
    info: list[InfoPath] = []
    questions = dict(_questions(notes))
    for question, answer in questions.items():
        for part in filter(None, answer.split("；")):
            start = text.find(part)
            if start < 0:
                raise FormatError(f"答案“{part}”不在正文里")
            info.append([element(question, text, start, start + len(part))])
    yield Record(text, info, leaves(questions), "mrc", SOURCE, text)


def _choice(asked: str, text: str, notes: tuple[str, ...]) -> Iterator[Record]:
    for question, answers in _questions(notes):
        options = [question + option.strip() for option in answers.split("|")]
        schema = leaves(sorted(options))
        yield class_record(text, [(options[0],)], schema=schema, task="choice", source=SOURCE)


def _with(function: Callable[..., Iterator[Record]], **options: object) -> Callable[..., Iterator[Record]]:
    return lambda asked, text, notes: function(asked, text, notes, **options)


_READERS: dict[str, Callable[[str, str, tuple[str, ...]], Iterator[Record]]] = {
    "ner": _entities,
    "re": _with(_structures, task="re", suffix=""),
    "ee": _with(_structures, task="ee", suffix="(事件触发词)"),
    "absa": _opinions,
    "sentiment": _with(_classes, task="sentiment"),
    "classification": _with(_classes, task="classification"),
    "multilabel": _with(_classes, task="multilabel"),
    "hierarchy": _with(_classes, task="hierarchy"),
    "matching": _with(_pairs, names=MATCHING, task="matching"),
    "nli": _with(_pairs, names={short: NLI[name] for short, name in RELATIONS.items()}, task="nli"),
    "coref": _coreference,
    "mrc": _reading,
    "choice": _choice,
}


def write(files: Iterable[Path], out: Path, *, heldout: frozenset[str]) -> dict[str, int]:
    """Write written.train.jsonl and written.dev.jsonl, a tenth by the hash of the text; returns the counts."""
    lines: dict[str, list[str]] = {"train": [], "dev": []}
    held_out = 0
    for record in (record for file in files for record in read_records(file)):
        if is_held_out(record, heldout):
            held_out += 1
            continue
        side = "dev" if int(fingerprint(record.group or record.key), 16) % 100 < DEV_PERCENT else "train"
        row = {"task": record.task, "source": SOURCE, "text": record.text, "info_list": record.info_list}
        lines[side].append(json.dumps(row | {"schema": record.schema}, ensure_ascii=False) + "\n")
    out.mkdir(parents=True, exist_ok=True)
    for side, rows in lines.items():
        (out / f"{SOURCE}.{side}.jsonl").write_text("".join(rows), encoding="utf-8")
    return {side: len(rows) for side, rows in lines.items()} | {"held out": held_out}


def main() -> None:
    """Convert the project's own training texts."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("files", type=Path, nargs="+", help="texts in the form that core/training/written.py describes")
    parser.add_argument("--heldout", type=Path, help="file of SHA-1 hashes that must not be seen")
    parser.add_argument("--out", type=Path, required=True, help="directory that gets written.{train,dev}.jsonl")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    heldout = load_heldout(args.heldout) if args.heldout else frozenset()
    _log.info("%s", write(args.files, args.out, heldout=heldout))


if __name__ == "__main__":
    main()
