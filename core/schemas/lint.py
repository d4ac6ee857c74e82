"""Hints on schemas that are legal but likely to disappoint."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

from core.schemas.pasted import old_labels
from core.schemas.schema import Schema

LONG_NAME = 40
MANY_TYPES = 60
FLAT = {"ner", "sentiment", "classification", "multilabel", "matching", "nli"}
CLASSES = {"sentiment", "classification", "multilabel", "hierarchy"}
WORDED = {"ner", "re", "ee"}
WORDINGS = {"人名": "人物", "姓名": "人物", "地名": "地理位置", "机构名": "组织机构", "组织名": "组织机构"}
ENGLISH = {
    "person": "人物", "people": "人物", "name": "人物", "location": "地理位置", "place": "地理位置",
    "organization": "组织机构", "organisation": "组织机构", "company": "组织机构", "time": "时间", "date": "日期",
    "product": "产品", "event": "事件", "money": "金额", "positive": "正向情感", "negative": "负向情感",
    "neutral": "中性情感",
}  # fmt: skip
NESTED = {"re": "主体类型 → 关系(客体类型)", "ee": "事件(事件触发词) → 角色", "absa": "属性词 → 情感词"}

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hint:
    """What may go wrong, in a plain sentence: with the type at `path`, or with the whole schema when that is empty.

    `better` is the name to use instead, where one is known.
    """

    text: str
    path: Path = ()
    better: str = ""


def lint_schema(schema: Schema, task: str) -> list[str]:
    """Plain sentences on what may go wrong when this schema is used for the task; empty: nothing seen."""
    return list(dict.fromkeys(hint.text for hint in schema_hints(schema, task)))


def schema_hints(schema: Schema, task: str) -> list[Hint]:
    """The same, each with the type that it is about."""
    paths = list(schema.paths())
    names = [path[-1] for path in paths]
    hints = []
    if task in FLAT and schema.depth > 1:
        hints.append(Hint("这个任务只用一层类型，下级类型不会被询问。"))
    if task in NESTED and schema.depth < 2:
        hints.append(Hint(f"这个任务需要两层：{NESTED[task]}；只有一层时只会抽出第一层。"))
    if task in CLASSES and names in (["分类"], ["情感分类"]):
        hints.append(Hint('“{"分类": null}”配“标签1,标签2|正文”是旧写法：请把每个标签写成一个类型。'))
    for path in paths:
        hints += _type_hints(path, task)
    for twins in _twins(paths):
        said = f"{'、'.join(f'“{path[-1]}”' for path in twins)}只差空格或大小写，像是同一个类型：请合并。"
        hints += [Hint(said, path) for path in twins]
    if len(names) > MANY_TYPES:
        hints.append(Hint(f"共有 {len(names)} 个类型，会分成几次询问，速度较慢。"))
    return hints


def _type_hints(path: Path, task: str) -> list[Hint]:
    name = path[-1]
    hints = []
    if task == "ee" and len(path) == 1 and "触发词" not in name:
        better = f"{name.strip()}(事件触发词)"
        hints.append(Hint("事件类型最好写成“名称(事件触发词)”，与模型训练时的写法一致。", path, better))
    if name != name.strip():
        hints.append(Hint("有类型名称的首尾带空格，结果里也会带空格。", path, name.strip()))
    if re.fullmatch(r"[A-Za-z_\d .-]+", name):
        better = ENGLISH.get(name.strip().casefold(), "")
        hints.append(Hint("英文类型名称效果较差，建议写成中文，例如 person 写成 人物。", path, better))
    if len(name) > LONG_NAME and task != "mrc":
        hints.append(Hint(f"有类型名称超过 {LONG_NAME} 字，请尽量简短。", path))
    if old_labels(name) or ("," in name and "|" in name):
        hints.append(Hint("“标签1,标签2|正文”是旧写法：请把每个标签写成一个类型。", path))
    if name in WORDINGS and task in WORDED:
        better = WORDINGS[name]
        hints.append(Hint(f"“{name}”建议写成“{better}”：官方模型的示例用后者；内置模型两者相近。", path, better))
    return hints


def _twins(paths: list[Path]) -> list[list[Path]]:
    """Types of one place that differ in blanks or case only."""
    groups: defaultdict[tuple[Path, str], list[Path]] = defaultdict(list)
    for path in paths:
        groups[path[:-1], "".join(path[-1].split()).casefold()].append(path)
    return [some for some in groups.values() if len(some) > 1]
