"""Spans drawn as HTML."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.rendering import PALETTE, STYLES, highlight, legend, type_colour
from core.types import Annotation

CLASSES = re.compile(r"rex-(text|span|chip|point|legend|c\d|c1[01]|d[0-3])")


class Page(HTMLParser):
    """Collects tags and checks that they nest."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.pieces: list[tuple[str, list[str]]] = []
        self.chips: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append((tag, dict(attrs)))
        self.seen.append(self.open[-1])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if any("rex-chip" in str(attrs.get("class")) for _, attrs in self.open):
            self.chips.append(data)
            return
        self.text += data
        self.pieces.append((data, [str(attrs["title"]) for tag, attrs in self.open if tag == "span"]))


def parse(markup: str) -> Page:
    page = Page()
    page.feed(markup)
    page.close()
    assert page.open == []
    return page


def span(start: int, end: int, type: str = "人物", *children: Annotation, score: float = 0.9) -> Annotation:
    return Annotation(type, start, end, "", score, children)


def stripped(markup: str) -> str:
    """The text left when chips, then tags, are taken out."""
    without_chips = re.sub(r'<span class="rex-chip[^>]*>[^<]*</span>', "", markup)
    return html.unescape(re.sub(r"<[^>]*>", "", without_chips))


def test_a_span_is_coloured_labelled_and_explained() -> None:
    page = parse(highlight("张伟在北京", [span(0, 2), span(3, 5, "地点", score=0.756)]))
    assert page.pieces == [("张伟", ["人物　0.90"]), ("在", []), ("北京", ["地点　0.76"])]
    assert page.chips == ["人物", "地点"]


def test_nested_spans_lie_within_one_another() -> None:
    page = parse(highlight("北京大学校长", [span(0, 6, "职位", span(0, 4, "机构", span(0, 2, "地点")))]))
    assert page.pieces == [
        ("北京", ["职位　0.90", "机构　0.90", "地点　0.90"]),
        ("大学", ["职位　0.90", "机构　0.90"]),
        ("校长", ["职位　0.90"]),
    ]
    assert page.chips == ["地点", "机构", "职位"]


def test_crossing_spans_are_both_drawn_over_what_they_share() -> None:
    page = parse(highlight("甲乙丙丁戊", [span(0, 3, "A"), span(2, 5, "B")]))
    assert [(text, sorted(titles)) for text, titles in page.pieces] == [
        ("甲乙", ["A　0.90"]),
        ("丙", ["A　0.90", "B　0.90"]),
        ("丁戊", ["B　0.90"]),
    ]
    assert page.chips == ["A", "B"]


def test_an_empty_span_leaves_a_chip_at_its_place() -> None:
    page = parse(highlight("甲乙", [span(1, 1, "空")]))
    assert page.text == "甲乙"
    assert page.chips == ["空"]
    assert highlight("甲乙", [span(1, 1, "空")]).index("甲") < highlight("甲乙", [span(1, 1, "空")]).index("空")


def test_offsets_are_code_points() -> None:
    text = "😀👨‍👩‍👧𠮷张伟"
    start = text.index("张")
    page = parse(highlight(text, [span(start, start + 2)]))
    assert ("张伟", ["人物　0.90"]) in page.pieces


def test_children_without_a_span_are_named_on_the_chip() -> None:
    aspect = span(0, 2, "属性词", Annotation("正向情感", None, None, "", 0.8))
    assert parse(highlight("屏幕很好", [aspect])).chips == ["属性词 · 正向情感"]


def test_a_class_alone_draws_nothing_but_its_children_are_drawn() -> None:
    page = parse(highlight("屏幕很好", [Annotation("好评", None, None, "", 0.8, (span(0, 2, "属性词"),))]))
    assert page.chips == ["属性词"]


def test_a_finding_repeated_under_two_parents_is_drawn_once_with_its_best_score() -> None:
    page = parse(highlight("甲乙", [span(0, 1, "角色", score=0.6), span(0, 1, "角色", score=0.8)]))
    assert page.pieces[0] == ("甲", ["角色　0.80"])
    assert page.chips == ["角色"]


def test_spans_beyond_the_text_are_clipped() -> None:
    page = parse(highlight("甲乙", [span(-3, 1, "A"), span(1, 99, "B"), span(50, 60, "C")]))
    assert page.text == "甲乙"
    assert sorted(page.chips) == ["A", "B", "C"]


@pytest.mark.parametrize(
    "hostile", ["<script>alert(1)</script>", '" onmouseover="x', "' onclick='x", "</span></div><b>", "&lt;"]
)
def test_nothing_of_the_users_becomes_markup(hostile: str) -> None:
    for markup in (highlight(hostile, [span(0, 3, hostile)]), legend([hostile])):
        page = parse(markup)
        assert {tag for tag, _ in page.seen} <= {"div", "span"}
        assert {key for _, attrs in page.seen for key in attrs} <= {"class", "title"}
        assert hostile in page.chips
    assert parse(highlight(hostile, [span(0, 3, hostile)])).text == hostile


def test_class_names_are_a_closed_set_and_each_is_styled() -> None:
    deep = span(0, 9, "a", span(0, 8, "b", span(0, 7, "c", span(0, 6, "d", span(0, 5, "e")))), span(2, 2, "空"))
    markup = highlight("一二三四五六七八九", [deep]) + legend("abcde")
    names = {name for _, attrs in parse(markup).seen for name in str(attrs["class"]).split()}
    assert all(CLASSES.fullmatch(name) for name in names)
    assert all(f".{name}" in STYLES for name in names)


def test_line_breaks_and_spaces_are_kept() -> None:
    text = "  第一行\n\n第二行　末尾  "
    assert parse(highlight(text, [span(2, 5)])).text == text
    assert "white-space:pre-wrap" in STYLES


def test_colours_are_stable_and_distinct_within_a_schema() -> None:
    types = [f"类型{n}" for n in range(len(PALETTE))]
    colours = [type_colour(type, types) for type in types]
    assert sorted(colours) == sorted(PALETTE)
    assert type_colour("人物") == type_colour("人物") in PALETTE
    assert type_colour("第十三个", types) in PALETTE


def test_the_legend_and_the_text_agree_on_colours() -> None:
    types = [f"类型{n}" for n in range(8)]
    key = dict(re.findall(r'(rex-c\d+)">(类型\d)<', legend(types)))
    for colour, type in key.items():
        assert f"rex-span {colour} " in highlight("甲乙", [span(0, 1, type)], types=types)


def test_a_legend_names_each_type_once() -> None:
    assert parse(legend(["人物", "地点", "人物"])).chips == ["人物", "地点"]


_TYPES = st.sampled_from(["人物", "<b>", "a&b", '"', "地点"])
_LEAVES = st.builds(
    Annotation, _TYPES, st.none() | st.integers(-2, 30), st.none() | st.integers(-2, 30), st.just(""), st.floats(0, 1)
)
_TREES = st.recursive(
    _LEAVES,
    lambda children: st.builds(
        Annotation,
        _TYPES,
        st.integers(-2, 30),
        st.integers(-2, 30),
        st.just(""),
        st.floats(0, 1),
        st.lists(children, max_size=3).map(tuple),
    ),
    max_leaves=6,
)


@given(
    st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("<>&\"'\n😀"), max_size=30),
    st.lists(_TREES, max_size=5),
)
def test_the_text_is_whole_whatever_is_drawn_on_it(text: str, annotations: list[Annotation]) -> None:
    assert stripped(highlight(text, annotations)) == text


def test_an_aspect_has_the_colour_of_what_is_felt_towards_it_and_names_it() -> None:
    def aspect(start: int, felt: str) -> Annotation:
        return Annotation("属性词", start, start + 1, "菜", 0.9, (Annotation(felt, None, None, "", 0.9),))

    shown = highlight("菜菜菜", [aspect(0, "正向情感"), aspect(1, "负向情感"), aspect(2, "中性情感")])
    colours = [re.search(rf"rex-c(\d+)[^>]*>属性词 · {felt}", shown) for felt in ("正向情感", "负向情感", "中性情感")]
    found = [PALETTE[int(one[1])] for one in colours if one]
    assert found == [type_colour("正向情感(情感词)"), type_colour("负面"), type_colour("中性")]
    assert len(set(found)) == 3
