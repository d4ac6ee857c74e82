"""Cards, classes, chains, marks and the report: what they say, and that nothing users wrote becomes markup."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.schemas.schema import parse_schema
from core.tasks import TASKS
from core.types import AnnotatedDocument, Annotation, Candidate, Document, Span
from core.views import word_marks
from core.views.cards import answer_marks, aspect_counts, event_cards, opinion_cards, question_order
from core.views.chains import chain_marks, chains_of
from core.views.classes import class_bars, class_scores, class_tree
from core.views.figures import figure_of
from core.views.report import report_page
from core.views.word_marks import CANDIDATE, PRONOUN, Mark, Marks

HOSTILE = "<img src=x onerror=alert(1)>\"'&</script><b>"
TAGS = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "section", "div", "span", "br", "b", "i",
    "table", "tr", "td", "th", "svg", "g", "path", "rect", "text", "tspan",
}  # fmt: skip


class Page(HTMLParser):
    """Collects tags and words and checks that tags nest."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.words = ""
        self.feed(markup)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words += data


def word(key: str, **values: object) -> str:
    return " ".join([key, *map(str, values.values())])


def a_class(name: str, score: float, *below: Annotation) -> Annotation:
    return Annotation(name, None, None, "", score, below)


def span(text: str, start: int, end: int, name: str, *below: Annotation, score: float = 0.9) -> Annotation:
    return Annotation(name, start, end, text[start:end], score, below)


def test_events_of_one_type_are_frames_of_their_own_with_each_role_named_once() -> None:
    text = "甲队击败乙队，丙队击败丁队和戊队。"
    first = span(text, 2, 4, "胜负(事件触发词)", span(text, 0, 2, "胜者"), span(text, 4, 6, "败者"))
    losers = (span(text, 11, 13, "败者", score=0.6), span(text, 14, 16, "败者", score=0.8))
    second = span(text, 9, 11, "胜负(事件触发词)", span(text, 7, 9, "胜者"), *losers)
    words = Page(event_cards(text, [first, second], word)).words
    assert "胜负 1 / 2" in words and "胜负 2 / 2" in words
    assert words.count("败者") == 2, "once a frame"
    assert words.index("戊队", words.index("2 / 2")) < words.rindex("丁队"), "the surer filler first"
    assert "甲队击败乙队" in words, "what stands round the trigger"


def test_polarity_is_counted_by_aspect_and_an_implicit_aspect_has_a_name() -> None:
    text = "菜好吃，菜便宜，太吵"
    good = [
        span(text, 0, 1, "属性词", span(text, 1, 3, "正向情感(情感词)")),
        span(text, 4, 5, "属性词", a_class("正向情感", 0.8)),
    ]
    bad = Annotation("属性词", None, None, "", 0.7, (span(text, 8, 10, "负向情感(情感词)"),))
    counts = aspect_counts([*good, bad])
    assert {name: dict(its) for name, its in counts.items()} == {"菜": {"positive": 2}, "": {"negative": 1}}
    assert "card.implicit" in Page(opinion_cards([*good, bad], word)).words


def test_every_label_has_its_score_and_one_without_is_named() -> None:
    near = Candidate(a_class("财经", 0.3))
    result = AnnotatedDocument(Document("文"), "classification", (a_class("体育", 0.9),), candidates=(near,))
    scores = class_scores(result, ["体育", "财经", "娱乐"])
    assert [(one.path, one.score, one.found) for one in scores] == [
        (("体育",), 0.9, True), (("财经",), 0.3, False), (("娱乐",), None, False),
    ]  # fmt: skip
    words = Page(class_bars(result, word, asked=["体育", "财经", "娱乐"])).words
    assert "0.900" in words and "0.300" in words and "card.below 娱乐" in words


def test_a_tree_of_classes_shows_the_path_and_names_the_branches_without_a_score() -> None:
    schema = parse_schema({"财经": {"股票": None}, "体育": {"足球": None, "篮球": None}})
    found = (a_class("体育", 0.9, a_class("足球", 0.8)),)
    near = Candidate(a_class("篮球", 0.2), (a_class("体育", 0.9),))
    words = Page(
        class_tree(AnnotatedDocument(Document("文"), "hierarchy", found, candidates=(near,)), schema, word)
    ).words
    assert [words.index(name) for name in ("体育", "足球", "篮球", "财经")] == sorted(
        words.index(name) for name in ("体育", "足球", "篮球", "财经")
    )
    assert "股票" not in words and "0.200" in words


def test_answers_are_marked_under_the_short_names_of_their_questions() -> None:
    text = "图书馆在东街，八点开门"
    found = [span(text, 4, 6, "在哪？"), a_class("选什么？", 0.7, a_class("甲", 0.7))]
    asked = question_order(["几点？", "在哪？"], found)
    assert asked == ["几点？", "在哪？", "选什么？"]
    assert [(one.type, one.text) for one in answer_marks(asked, found, word)] == [("card.question 2", "东街")]


def test_a_pronoun_joins_the_chain_it_most_surely_belongs_to() -> None:
    text = "小王见小李，他走了，他笑了，它叫了"

    def said(place: int, name: str, candidate: tuple[int, int], score: float) -> Annotation:
        child = span(text, *candidate, "候选词", score=score)
        return span(text, place, place + 1, name, child, score=score)

    wang, li = (0, 2), (3, 5)
    found = [
        said(6, "指代", wang, 0.6), said(6, "指代", li, 0.9), said(10, "指代", li, 0.7), said(10, "不指代", wang, 0.99),
        said(14, "不指代", wang, 0.8), said(14, "不指代", li, 0.8),
    ]  # fmt: skip
    chains, lone = chains_of(found)
    assert [(chain.name, [member.start for member in chain.members]) for chain in chains] == [("小李", [3, 6, 10])]
    assert [member.text for member in lone] == ["它"]
    marks = chain_marks(chains, lone, none="无")
    assert [(one.type, one.text) for one in marks] == [
        ("1 小李", "小李"),
        ("1 小李", "他"),
        ("1 小李", "他"),
        ("无", "它"),
    ]
    assert all(text[one.start : one.end] == one.text for one in marks)


_MARKS = st.builds(
    Mark, st.integers(-3, 30), st.integers(-3, 30), st.sampled_from([CANDIDATE, PRONOUN, "x"]), st.booleans()
)


@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from("他她它其中小王😀，\n"), max_size=24), st.lists(_MARKS, max_size=8))
def test_marks_never_lie_on_one_another_and_pieces_are_the_text(text: str, presses: list[Mark]) -> None:
    marks = word_marks.of_document(Document(text))
    for press in presses:
        marks = word_marks.turn(marks, press)
    assert "".join(piece["text"] for piece in word_marks.pieces(marks)) == text
    for piece in word_marks.pieces(marks):
        assert text[piece["start"] : piece["start"] + len(piece["text"])] == piece["text"]
    for kind in (CANDIDATE, PRONOUN):
        assert all(text[one.start : one.end] == one.text != "" for one in marks.spans(kind))
    for left, right in zip(marks.marks, marks.marks[1:], strict=False):
        assert left.end <= right.start


def test_all_words_are_turned_and_the_same_words_are_marked_in_a_changed_text() -> None:
    document = Document("小王说他累", candidates=(Span(0, 2, "小王"),))
    marks = word_marks.of_document(document)
    assert (marks.spans(PRONOUN), [one.text for one in marks.spans(CANDIDATE)]) == ((), ["小王"])
    assert [one.text for one in word_marks.turn_all(marks, True).spans(PRONOUN)] == ["他"]
    moved = word_marks.for_text(marks, "听说小王找小王")
    assert [(one.start, one.text) for one in moved.spans(CANDIDATE)] == [(2, "小王"), (5, "小王")]
    wider = word_marks.turn(marks, Mark(0, 3, CANDIDATE))
    assert [one.text for one in wider.spans(CANDIDATE)] == ["小王说"]
    assert word_marks.for_text(Marks(""), "").marks == ()


def hostile(task: str) -> AnnotatedDocument:
    """A result of `task` in which every word is hostile."""
    text = f"{HOSTILE}。{HOSTILE}"
    place = None if task in ("sentiment", "classification", "multilabel", "hierarchy", "matching", "nli") else 0
    end = None if place is None else len(HOSTILE)
    name = "指代" if task == "coref" else HOSTILE
    below = Annotation(HOSTILE, place, end, "" if place is None else HOSTILE, 0.6)
    found = Annotation(name, place, end, "" if place is None else HOSTILE, 0.7, (below,))
    near = (Candidate(a_class(f"二{HOSTILE}", 0.2)),)
    return AnnotatedDocument(
        Document(text, text_pair=HOSTILE), task, (found,), notes=(HOSTILE,), candidates=near if place is None else ()
    )


@pytest.mark.parametrize("task", [name for name in TASKS if name != "rex"])
def test_nothing_of_the_users_becomes_markup_in_the_report(task: str) -> None:
    result = hostile(task)
    schemas = {task: parse_schema({HOSTILE: {HOSTILE: None}})}
    markup = report_page([result], titles={task: "标题"}, schemas=schemas, word=word, language="zh", facts=[HOSTILE])
    page = Page(markup)
    assert page.tags <= TAGS and not any(name.startswith("on") or name in ("src", "href") for name in page.names)
    assert page.words.count(HOSTILE) >= 4
    assert "default-src 'none'" in markup and "<script" not in markup.lower()


def test_the_report_holds_each_part_once_and_says_what_was_not_found() -> None:
    text = "张三娶李四"
    found = (span(text, 0, 2, "人物", span(text, 3, 5, "配偶(人物)")),)
    results = [
        AnnotatedDocument(Document(text), "re", found),
        AnnotatedDocument(Document(text), "mrc", ()),
        AnnotatedDocument(Document(text), "ner", (), error="坏了"),
    ]
    titles = {"re": "关系", "mrc": "阅读", "ner": "实体"}
    markup = report_page(results, titles=titles, schemas={}, word=word, language="zh")
    page = Page(markup)
    assert markup.count("<section>") == 3 and markup.count(".desk-card{") == 1, "styles stand once"
    assert "overview.nothing" in page.words and "坏了" in page.words
    assert "配偶" in page.words and "print" in markup


def test_figures_say_how_much_or_what() -> None:
    text = "张三娶李四"
    pair = span(text, 0, 2, "人物", span(text, 3, 5, "配偶(人物)"))
    assert figure_of(AnnotatedDocument(Document(text), "re", (pair,)), word) == ("1", "配偶 1")
    assert figure_of(AnnotatedDocument(Document(text), "ner", (pair,)), word)[0] == "1"
    found = (a_class("体育", 0.9, a_class("足球", 0.8)),)
    assert figure_of(AnnotatedDocument(Document(text), "hierarchy", found), word) == ("体育 › 足球", "0.800")
    assert figure_of(AnnotatedDocument(Document(text), "nli", (), error="缺少"), word) == ("—", "缺少")
