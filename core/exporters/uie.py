"""UIE (PaddleNLP): one training line for each question that can be put to a text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

from core.exporters.graph import ClassPath, count, join_path, to_graph
from core.exporters.jsonl import write_line
from core.exporters.report import About, Losses
from core.types import AnnotatedDocument

_LEFT_OUT = ("文档名称", "元数据", "给定的属性词", "指代的候选词和代词", "提示", "出错原因")
_SENTIMENT = {"sentiment", "atsc"}
# Tasks whose schema names options of one question, not questions.
_CLASSES = {"sentiment", "atsc", "classification", "multilabel", "hierarchy", "matching", "nli", "coref"}
Answers = list[dict[str, Any]]


def write(results: Iterable[AnnotatedDocument], target: BinaryIO, losses: Losses, about: About) -> None:
    """Lines {"content", "prompt", "result_list"}: `类型`, `<上级文本>的<关系>`, `分类[甲,乙]` with what was chosen.

    An option's offsets are negative: they count back from the end of the prompt, one more than its characters. A
    type of the run's schema that was not found is asked with an empty answer.
    """
    before: str | None = None
    for result in results:
        losses.leave_out(result, _LEFT_OUT)
        losses.scores(count(result))
        content = result.document.text
        if result.document.text_pair is not None:
            content = f"段落1：{content}；段落2：{result.document.text_pair}"
            if any(one.start is not None for one in result.annotations):
                losses.add("带第二文本的文档中，跨度没有写入", result.document.id)
        prompts = _prompts(result, losses, about)
        if not prompts:
            losses.add("没有结果、也不知道问过什么的文档没有写入", result.document.id)
        if content == before:
            losses.add("与前一个文档的正文相同，读回时并为一个", result.document.id)
        before = content if prompts else before
        for prompt, answers in prompts.items():
            write_line(target, {"content": content, "result_list": answers, "prompt": prompt})


def _prompts(result: AnnotatedDocument, losses: Losses, about: About) -> dict[str, Answers]:
    graph = to_graph(result, losses)
    prompts: dict[str, Answers] = {}

    def answer(prompt: str, start: int, end: int, text: str) -> None:
        one = {"text": text, "start": start, "end": end}
        answers = prompts.setdefault(prompt, [])
        if one not in answers:
            answers.append(one)

    title = "情感倾向" if result.task in _SENTIMENT else "分类"
    if result.document.text_pair is None:
        for one in graph.entities:
            if one.root:
                answer(_question(one.label), one.start, one.end, one.text)
        deep = {edge.tail for edge in graph.relations}
        for edge in graph.relations:
            head, tail = graph.entities[edge.head], graph.entities[edge.tail]
            answer(f"{head.text}的{relation_name(edge.name)}", tail.start, tail.end, tail.text)
            if edge.head in deep:
                losses.add("三层以上的结果只写入相邻两层", f"{head.text}的{edge.name}")
        for one in graph.entities:
            if one.classes:
                _options(prompts, f"{one.text}的{title}", one.classes, about.schema)
    if graph.classes:
        _options(prompts, title, graph.classes, about.schema)
    elif result.task not in _CLASSES and result.document.text_pair is None:
        for name in about.schema or {}:
            prompts.setdefault(_question(name), [])
    return prompts


def _question(type: str) -> str:
    """The question for a top type: `离职(事件触发词)` -> `离职触发词`, as UIE asks for events."""
    return type.replace("(事件触发词)", "触发词").replace("（事件触发词）", "触发词")


def relation_name(type: str) -> str:
    """The relation in the type of a child: `配偶(人物)` -> `配偶`, as UIE's questions have it."""
    name, bracket, rest = type.partition("(")
    return name if bracket and name and rest.endswith(")") else type


def _options(
    prompts: dict[str, Answers], title: str, chosen: Iterable[ClassPath], schema: Mapping[str, object] | None
) -> None:
    """Add the question for classes: its options are the leaves of the schema and what was chosen."""
    names = [one.name for one in chosen]
    options = list(dict.fromkeys([*_leaves(schema or {}, ()), *names]))
    prompt = f"{title}[{','.join(options)}]"
    answers = []
    for name in names:
        place = len(title) + 1 + sum(len(one) + 1 for one in options[: options.index(name)])
        start = place - len(prompt) - 1
        answers.append({"text": name, "start": start, "end": start + len(name)})
    prompts[prompt] = answers


def _leaves(schema: Mapping[str, object], above: tuple[str, ...]) -> list[str]:
    names: list[str] = []
    for name, below in schema.items():
        path = (*above, name)
        names += _leaves(below, path) if isinstance(below, Mapping) and below else [join_path(path)]
    return names
