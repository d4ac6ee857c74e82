"""The names by which files call their text, second text and id."""

from __future__ import annotations

import re
from collections.abc import Iterable

TEXT = (
    "text", "内容", "原文", "文本", "正文", "content", "sentence", "句子", "body", "text1", "sentence1", "文本1",
    "text_a", "premise", "question", "comment", "review", "评论", "评论内容", "投诉内容", "摘要", "message", "消息",
)  # fmt: skip
TEXT_PAIR = ("text_pair", "text2", "sentence2", "文本2", "text_b", "hypothesis", "第二文本", "对比文本", "句子2")
ID = ("id", "编号", "文档编号", "序号", "doc_id", "document_id", "uid", "工单号", "单号", "流水号")
# A column called so numbers something; whether it numbers the documents, its cells must tell.
_NUMBERING = re.compile(r".+(编号|序号|单号|流水号|案号)|.*[ _-](id|no)", re.IGNORECASE)


def find(names: Iterable[str], wanted: tuple[str, ...]) -> str | None:
    """The name that stands first in `wanted`, whatever its case and surrounding space; None when there is none."""
    by_key = {name.strip().casefold(): name for name in reversed(list(names))}
    return next((by_key[key] for key in wanted if key in by_key), None)


def numbering(names: Iterable[str]) -> list[str]:
    """The names that sound like a number of something: 投诉编号, 热线单号, ticket_id."""
    return [name for name in names if _NUMBERING.fullmatch(name.strip())]
