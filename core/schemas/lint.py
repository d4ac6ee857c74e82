"""Hints on schemas that are legal but likely to disappoint."""

from __future__ import annotations

import re
from collections import defaultdict

from core.schemas.pasted import old_labels
from core.schemas.schema import Schema

LONG_NAME = 40
MANY_TYPES = 60
FLAT = {"ner", "sentiment", "classification", "multilabel", "matching", "nli"}
CLASSES = {"sentiment", "classification", "multilabel", "hierarchy"}
WORDED = {"ner", "re", "ee"}
WORDINGS = {"人名": "人物", "姓名": "人物"}
NESTED = {"re": "主体类型 → 关系(客体类型)", "ee": "事件(事件触发词) → 角色", "absa": "属性词 → 情感词"}


def lint_schema(schema: Schema, task: str) -> list[str]:
    """Plain sentences on what may go wrong when this schema is used for the task; empty: nothing seen."""
    hints = []
    names = [path[-1] for path in schema.paths()]
    if task in FLAT and schema.depth > 1:
        hints.append("这个任务只用一层类型，下级类型不会被询问。")
    if task in NESTED and schema.depth < 2:
        hints.append(f"这个任务需要两层：{NESTED[task]}；只有一层时只会抽出第一层。")
    if task == "ee" and not all("触发词" in one.name for one in schema.types):
        hints.append("事件类型最好写成“名称(事件触发词)”，与模型训练时的写法一致。")
    if any(name != name.strip() for name in names):
        hints.append("有类型名称的首尾带空格，结果里也会带空格。")
    if any(re.fullmatch(r"[A-Za-z_\d .-]+", name) for name in names):
        hints.append("英文类型名称效果较差，建议写成中文，例如 person 写成 人物。")
    if any(len(name) > LONG_NAME for name in names) and task != "mrc":
        hints.append(f"有类型名称超过 {LONG_NAME} 字，请尽量简短。")
    if any(old_labels(name) or ("," in name and "|" in name) for name in names):
        hints.append("“标签1,标签2|正文”是旧写法：请把每个标签写成一个类型。")
    if task in CLASSES and names in (["分类"], ["情感分类"]):
        hints.append('“{"分类": null}”配“标签1,标签2|正文”是旧写法：请把每个标签写成一个类型。')
    for path in schema.paths():
        if path[-1] in WORDINGS and task in WORDED:
            hints.append(f"“{path[-1]}”建议写成“{WORDINGS[path[-1]]}”：官方模型的示例用后者；内置模型两者相近。")
    for twins in _twins(schema):
        hints.append(f"{'、'.join(f'“{name}”' for name in twins)}只差空格或大小写，像是同一个类型：请合并。")
    if len(names) > MANY_TYPES:
        hints.append(f"共有 {len(names)} 个类型，会分成几次询问，速度较慢。")
    return hints


def _twins(schema: Schema) -> list[list[str]]:
    """Names of one place that differ in blanks or case only."""
    groups: defaultdict[tuple[tuple[str, ...], str], list[str]] = defaultdict(list)
    for path in schema.paths():
        groups[path[:-1], "".join(path[-1].split()).casefold()].append(path[-1])
    return [names for names in groups.values() if len(names) > 1]
