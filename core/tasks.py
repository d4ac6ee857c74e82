"""The tasks: how each one turns natural input into what the model reads, and findings back into annotations.

A task is a generator: it yields batches of `Request`, receives their `Answer`s, and returns annotations whose
offsets count in the user's own text (SPEC 9). The engine runs the generators of many documents side by side.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from core.errors import InputError, SchemaError
from core.mentions import THINGS, Question, pronouns_in, questions
from core.schemas.schema import Schema, SchemaType, parse_schema
from core.types import Annotation, Candidate, Document, Link, Path, Span

EXTRACT, CLASSIFY, MULTICLASSIFY = "extract", "classify", "multiclassify"
CLASS_MARKERS = {CLASSIFY: "[CLASSIFY]", MULTICLASSIFY: "[MULTICLASSIFY]"}
POLARITIES = ("正向情感", "负向情感", "中性情感")
MATCHING = {"文本匹配：相似": None, "文本匹配：不相似": None}
NLI = {f"段落2和段落1的关系是：{name}": None for name in ("蕴含", "矛盾", "中立")}
COREFERENCE = "下面的句子中，代词“{pronoun}”指代的是“{candidate}”吗？{answer}"


@dataclass(frozen=True, slots=True)
class Request:
    """One text to read with one schema; class markers are not part of `text` but follow from `mode`.

    incomplete: also return paths that stop above a leaf. markers: special tokens written in the text count as
    such, as they do to the reference. reduce: for classes, the reference's final choice (SPEC 7.6).
    """

    text: str
    schema: Schema
    mode: str = EXTRACT
    incomplete: bool = False
    markers: bool = False
    reduce: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """Paths found for one request, offsets counted in its text (behind the class marker in class modes).

    near: what came near, best first, in the same form.
    """

    paths: tuple[Path, ...]
    windows: int = 1
    notes: tuple[str, ...] = ()
    near: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What a task made of its answers."""

    annotations: tuple[Annotation, ...]
    answers: tuple[Answer, ...]
    candidates: tuple[Candidate, ...] = ()


Plan = Generator[list[Request], list[Answer], Finding]


@dataclass(frozen=True, slots=True)
class Task:
    """A task of the product: its name, titles, what its schema looks like, and how it reads a document."""

    name: str
    title_zh: str
    title_en: str
    schema_kind: str  # "flat" | "tree" | "none"
    plan: Callable[[Document, Schema], Plan]
    default_schema: Schema | None = None


def annotation_tree(paths: Iterable[Path], *, shift: int = 0) -> tuple[Annotation, ...]:
    """Paths → trees in text order; equal beginnings are joined, scores are the weakest of the chain.

    shift: characters that the model's text has before the user's; a span keeps what it has of the user's text, one
    that lies before it is implicit and has no offsets.
    """

    def build(group: Iterable[Path], level: int, above: float) -> tuple[Annotation, ...]:
        heads: dict[tuple[str, int | None, int | None, str], list[Path]] = {}
        for path in group:
            link = path[level]
            heads.setdefault((link.type, *_own_span(link, shift)), []).append(path)
        built = []
        for (name, start, end, text), members in heads.items():
            score = min(above, max([path[level].score for path in members]))
            longer = [path for path in members if len(path) > level + 1]
            below = build(longer, level + 1, score) if longer else ()
            built.append(Annotation(name, start, end, text, score, below))
        built.sort(key=_reading_order)
        return tuple(built)

    return build(filter(None, paths), 0, 1.0)


def _reading_order(one: Annotation) -> tuple[int, int, str]:
    return -1 if one.start is None else one.start, one.end or 0, one.type


def _own_span(link: Link, shift: int) -> tuple[int | None, int | None, str]:
    """Start, end and text of a link without the `shift` characters before the user's text."""
    text = link.text[max(shift - link.start, 0) :].lstrip()
    end = link.end - shift
    return (end - len(text), end, text) if text else (None, None, "")


def class_tree(paths: Iterable[Path]) -> tuple[Annotation, ...]:
    """Class paths → nested classes without spans, best first."""

    def build(group: Sequence[Path], level: int, above: float) -> tuple[Annotation, ...]:
        heads: dict[str, list[Path]] = {}
        for path in group:
            if len(path) > level:
                heads.setdefault(path[level].type, []).append(path)
        built = []
        for name, members in heads.items():
            score = min(above, max(path[level].score for path in members))
            built.append(Annotation(name, None, None, "", score, build(members, level + 1, score)))
        return tuple(sorted(built, key=lambda a: -a.score))

    return build(list(paths), 0, 1.0)


def _read(answer: Answer, build: Callable[[Iterable[Path]], tuple[Annotation, ...]]) -> Finding:
    """The annotations of one answer, and its candidates without those that turn out to be annotations."""
    found = build(answer.paths)
    if not answer.near:
        return Finding(found, (answer,))
    known = {tuple(map(_place, chain)) for chain in _chains(found)}
    near: dict[tuple[tuple[str, int | None, int | None], ...], Candidate] = {}
    for path in answer.near:
        (*above, last) = max(_chains(build([path])), key=len)
        near.setdefault(tuple(map(_place, (*above, last))), Candidate(last, tuple(above), path[-1].confidence))
    return Finding(found, (answer,), tuple(one for key, one in near.items() if key not in known))


def _chains(nodes: Iterable[Annotation], above: tuple[Annotation, ...] = ()) -> Iterator[tuple[Annotation, ...]]:
    """Every annotation behind those above it, all without children."""
    for node in nodes:
        chain = (*above, replace(node, children=()))
        yield chain
        yield from _chains(node.children, chain)


def _place(one: Annotation) -> tuple[str, int | None, int | None]:
    return one.type, one.start, one.end


def _extraction(document: Document, schema: Schema) -> Plan:
    (answer,) = yield [Request(document.text, schema)]
    return _read(answer, annotation_tree)


def _events(document: Document, schema: Schema) -> Plan:
    # An event whose trigger stands alone is still an event, so unfinished paths are kept.
    (answer,) = yield [Request(document.text, schema, incomplete=True)]
    return _read(answer, annotation_tree)


def _opinions(document: Document, schema: Schema) -> Plan:
    # A leading "#" gives opinions without a named aspect something to hang on (SPEC 9, row 4).
    (answer,) = yield [Request("#" + document.text, schema)]
    return _read(answer, partial(annotation_tree, shift=1))


def _classes(mode: str) -> Callable[[Document, Schema], Plan]:
    def plan(document: Document, schema: Schema) -> Plan:
        (answer,) = yield [Request(document.text, schema, mode, reduce=mode == CLASSIFY)]
        return _read(answer, class_tree)

    return plan


def _pair(document: Document, schema: Schema) -> Plan:
    if document.text_pair is None:
        raise InputError(f"{_label(document)}缺少第二段文字：请填写 text_pair（或 --text-pair）")
    text = f"段落1：{document.text}；段落2：{document.text_pair}"
    (answer,) = yield [Request(text, schema, CLASSIFY, reduce=True)]
    return _read(answer, class_tree)


def aspect_schema(aspect: str, schema: Schema) -> Schema:
    """The polarity question about one aspect, as class types."""
    return Schema(tuple(SchemaType(f"属性“{aspect}”的情感倾向：{one.name}") for one in schema.types))


def _aspect_sentiment(document: Document, schema: Schema) -> Plan:
    """Polarity of the given aspects, or of those the model finds first."""
    found: list[Annotation] = []
    answers: list[Answer] = []
    near: list[Candidate] = []
    if document.aspects:
        for aspect in dict.fromkeys(document.aspects):
            if not aspect.strip():
                raise InputError(f"{_label(document)}的 aspects 里有空白项：请删去")
            start = document.text.find(aspect)
            inside = start >= 0  # an aspect may be asked about without being named in the text
            end = start + len(aspect)
            found.append(Annotation("属性词", start if inside else None, end if inside else None, aspect, 1.0))
    else:
        answers = yield [Request(document.text, parse_schema({"属性词": None}))]
        aspects = _read(answers[0], annotation_tree)
        found, near = list(aspects.annotations), list(aspects.candidates)
    if not found:
        return Finding((), tuple(answers), tuple(near))
    classes = yield [Request(document.text, aspect_schema(one.text, schema), CLASSIFY, reduce=True) for one in found]
    annotations = []
    for one, answer in zip(found, classes, strict=True):
        judged = _read(answer, class_tree)

        def polarity(child: Annotation, aspect: Annotation = one) -> Annotation:
            return replace(child, type=child.type.rpartition("：")[2], score=min(child.score, aspect.score))

        annotations.append(replace(one, children=tuple(map(polarity, judged.annotations))))
        near += [replace(other, annotation=polarity(other.annotation), above=(one,)) for other in judged.candidates]
    return Finding(tuple(annotations), (*answers, *classes), tuple(near))


def mark_coreference(text: str, candidate: Span, pronoun: Span) -> str:
    """The text with the reference's marks behind candidate and pronoun (SPEC 9, row 11a)."""
    marks = sorted([(candidate.end, "（候选词）"), (pronoun.end, "(代词)")], reverse=True)
    for position, mark in marks:
        text = text[:position] + mark + text[position:]
    return text


def _coreference(document: Document, schema: Schema) -> Plan:
    """For pronouns and candidates: does the one stand for the other? What is not marked is looked for first.

    Of what is marked every pronoun is judged against every candidate; see `core.mentions` for what is found.
    """
    del schema  # the question is built from the words
    text = document.text
    for span in (*document.candidates, *document.pronouns):
        if text[span.start : span.end] != span.text or span.start >= span.end:
            raise InputError(f"{_label(document)}：[{span.start}, {span.end}) 处不是“{span.text}”，请检查位置")
    pronouns = document.pronouns or tuple(pronouns_in(text))
    if not pronouns:
        return Finding((), (Answer((), notes=("正文里没有名单上的代词：请标出代词（pronouns）",)),))
    answers: list[Answer] = []
    notes: tuple[str, ...] = ()
    if document.candidates:
        pairs = [Question(p, c, Span(0, len(text), text)) for p in pronouns for c in document.candidates if p != c]
    else:
        answers = yield [Request(text, parse_schema(list(THINGS)))]
        pairs, notes = questions(text, pronouns, _read(answers[0], annotation_tree).annotations)
    judged = (yield [_same(one) for one in pairs]) if pairs else []
    annotations = []
    near = []
    for pair, answer in zip(pairs, judged, strict=True):
        for (link,) in (*answer.paths, *answer.near):
            name = "指代" if link.type.endswith("是的") else "不指代"
            child = Annotation("候选词", pair.name.start, pair.name.end, pair.name.text, link.score)
            said = Annotation(name, pair.pronoun.start, pair.pronoun.end, pair.pronoun.text, link.score)
            if (link,) in answer.paths:
                annotations.append(replace(said, children=(child,)))
            else:
                near.append(Candidate(child, (said,), link.confidence))
    return Finding(tuple(annotations), (*answers, *judged, Answer((), notes=notes)), tuple(near))


def _same(pair: Question) -> Request:
    """Whether the two words of a pair are the same, asked as the reference does."""
    names = [
        COREFERENCE.format(pronoun=pair.pronoun.text, candidate=pair.name.text, answer=answer)
        for answer in ("是的", "不是")
    ]
    start = pair.passage.start
    name, pronoun = (replace(one, start=one.start - start, end=one.end - start) for one in (pair.name, pair.pronoun))
    marked = mark_coreference(pair.passage.text, name, pronoun)
    return Request(marked, parse_schema(names), CLASSIFY, reduce=True)


def _reading(document: Document, schema: Schema) -> Plan:
    """Leaf questions are answered by spans, questions with options by the best option."""
    leaves = tuple(one for one in schema.types if not one.children)
    choices = [one for one in schema.types if one.children]
    requests = [Request(document.text, Schema(leaves))] if leaves else []
    for question in choices:
        options = Schema(tuple(SchemaType(question.name + option.name) for option in question.children))
        requests.append(Request(document.text, options, CLASSIFY, reduce=True))
    answers = yield requests
    annotations: list[Annotation] = []
    near: list[Candidate] = []
    if leaves:
        cut = _read(answers[0], annotation_tree)
        annotations, near = list(cut.annotations), list(cut.candidates)
    for question, answer in zip(choices, answers[bool(leaves) :], strict=True):
        chosen = _read(answer, class_tree)
        for child in chosen.annotations:
            option = replace(child, type=child.type[len(question.name) :])
            annotations.append(Annotation(question.name, None, None, "", child.score, (option,)))
        for other in chosen.candidates:
            option = replace(other.annotation, type=other.annotation.type[len(question.name) :])
            above = Annotation(question.name, None, None, "", option.score)
            near.append(replace(other, annotation=option, above=(above,)))
    return Finding(tuple(annotations), tuple(answers), tuple(near))


def verbatim(document: Document, schema: Schema) -> Plan:
    """Read the text as the reference does: markers in it decide the mode, offsets count in that text."""
    stripped = document.text.lstrip()
    for mode, marker in CLASS_MARKERS.items():
        if stripped.startswith(marker):
            request = Request(stripped[len(marker) :], schema, mode, markers=True, reduce=True)
            answers = yield [request]
            return Finding(class_tree(answers[0].paths), tuple(answers))
    inside = [marker for marker in CLASS_MARKERS.values() if marker in document.text]
    if inside:
        note = f"{inside[0]} 不在正文开头，参考实现对此没有答案：请把它移到最前面"
        return Finding((), (Answer((), notes=(note,)),))
    answers = yield [Request(document.text, schema, markers=not re.search(r"\[(PREFIX|TYPE)\]", document.text))]
    return Finding(annotation_tree(answers[0].paths), tuple(answers))


def _label(document: Document) -> str:
    return f"文档 {document.id} " if document.id else "文档"


_POLARITY_SCHEMA = parse_schema(list(POLARITIES))
TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("ner", "实体识别", "Entities", "flat", _extraction),
        Task("re", "关系抽取", "Relations", "tree", _extraction),
        Task("ee", "事件抽取", "Events", "tree", _events),
        Task("absa", "观点抽取", "Aspects and opinions", "tree", _opinions),
        Task("atsc", "属性情感", "Aspect sentiment", "flat", _aspect_sentiment, _POLARITY_SCHEMA),
        Task("sentiment", "情感分类", "Sentiment", "flat", _classes(CLASSIFY), parse_schema(list(POLARITIES[:2]))),
        Task("classification", "单标签分类", "Classification", "flat", _classes(CLASSIFY)),
        Task("multilabel", "多标签分类", "Multi-label classification", "flat", _classes(MULTICLASSIFY)),
        Task("hierarchy", "层次分类", "Hierarchical classification", "tree", _classes(CLASSIFY)),
        Task("matching", "文本匹配", "Text matching", "none", _pair, parse_schema(MATCHING)),
        Task("nli", "自然语言推理", "Inference", "none", _pair, parse_schema(NLI)),
        Task("coref", "指代消解", "Coreference", "none", _coreference),
        Task("mrc", "阅读理解", "Reading comprehension", "tree", _reading),
        Task("rex", "参考格式", "Reference form", "tree", verbatim),
    )
}


def find_task(name: str) -> Task:
    """The task of that name; raises InputError listing the names there are."""
    if name not in TASKS:
        raise InputError(f"没有任务“{name}”：可选 {'、'.join(TASKS)}")
    return TASKS[name]


def schema_for(task: Task, schema: Schema | None) -> Schema:
    """The schema to use: the given one or the task's own; raises SchemaError when the task needs one."""
    if schema is not None:
        return schema
    if task.default_schema is not None:
        return task.default_schema
    if task.schema_kind == "none":
        return Schema(())
    raise SchemaError(f'任务“{task.title_zh}”需要模式：请给出要找的类型，例如 {{"人物": null}}')
