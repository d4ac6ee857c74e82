"""What the overview asks of a text: for each task the presets whose types are general enough, joined."""

from __future__ import annotations

from typing import Any

from core.schemas.presets import find_preset
from core.types import Document

GENERAL = {
    "ner": ("新闻：人物、地点、机构、时间",),
    "re": ("企业概况",),
    "ee": ("安全事故", "企业：融资、处罚、任免"),
    "absa": ("餐饮点评",),
    "atsc": ("自动找方面：网购",),
    "sentiment": ("正负中三分",),
    "classification": ("新闻栏目",),
    "multilabel": ("新闻主题（可多选）",),
    "hierarchy": ("新闻：大类与小类",),
    "mrc": ("通用：何人、何时、何地、何事",),
}
PAIR_TASKS = ("matching", "nli")


def sample() -> Document:
    """A text with something for every task."""
    return find_preset(GENERAL["mrc"][0]).sample


def overview_schemas(document: Document) -> dict[str, Any]:
    """Task → schema for every task that `document` has the inputs of; None where the task's own schema serves."""
    schemas: dict[str, Any] = {}
    for task, names in GENERAL.items():
        schemas[task] = {}
        for name in names:
            schemas[task] |= find_preset(name).schema or {}
    if document.text_pair:
        schemas |= dict.fromkeys(PAIR_TASKS)
    if document.candidates and document.pronouns:
        schemas["coref"] = None
    return schemas
