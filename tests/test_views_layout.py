"""Where arcs and pages of long texts go."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from core.rendering import highlight
from core.types import Annotation
from core.views.arcs import LABEL, MARGIN, graph_of, lines_of, shown, width
from core.views.arcs_svg import arcs_svg
from core.views.text_pages import pages_of

HOSTILE = "<img src=x onerror=alert(1)>\"'&"
_TEXTS = st.text(st.sampled_from("张伟在北京大学<>&\"'\n，。ab 😀𠮷"), min_size=1, max_size=80)
TAGS = {"svg", "g", "title", "path", "rect", "text", "tspan"}
ATTRIBUTES = {
    "class", "style", "x", "y", "width", "height", "rx", "d", "textlength", "lengthadjust", "role", "aria-label",
    "viewbox",
}  # fmt: skip


@st.composite
def annotated(draw: st.DrawFn) -> tuple[str, list[Annotation]]:
    """A text with findings two levels deep; every span lies in the text and is not empty."""
    text = draw(_TEXTS)

    def node(depth: int) -> Annotation:
        start = draw(st.integers(0, len(text) - 1))
        end = draw(st.integers(start + 1, min(len(text), start + 12)))
        name = draw(st.sampled_from(["人物", "配偶(人物)", "时间", '<b>("x)']))
        below = tuple(node(depth - 1) for _ in range(draw(st.integers(0, 3)))) if depth else ()
        return Annotation(name, start, end, text[start:end], draw(st.floats(0, 1)), below)

    return text, [node(1) for _ in range(draw(st.integers(0, 5)))]


class Drawing(HTMLParser):
    """Collects the tags, the attributes and the written characters of a picture."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.written = ""
        self.titles: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] == "tspan":
            self.written += data
        if self.open[-1] == "title":
            self.titles.append(data)


def picture(text: str, annotations: list[Annotation], *, columns: float = 12) -> Drawing:
    words, links = graph_of(annotations)
    drawing = Drawing()
    lines = lines_of(text, words, links, columns=columns)
    drawing.feed(arcs_svg(text, list(lines), words, links, fold="{count}", alt=HOSTILE))
    drawing.close()
    assert drawing.open == []
    return drawing


@settings(max_examples=40)
@given(annotated(), st.floats(2, 40))
def test_lines_of_a_picture_are_the_text_and_no_two_arcs_of_one_lane_overlap(
    case: tuple[str, list[Annotation]], columns: float
) -> None:
    text, annotations = case
    words, links = graph_of(annotations)
    lines = lines_of(text, words, links, columns=columns)
    assert "".join(text[line.start : line.end] for line in lines) == text
    drawn = {link: 0 for link in range(len(links))}
    for line in lines:
        assert line.places[-1] <= max(columns, 1.0)
        for arc in line.arcs:
            drawn[arc.link] += 1
            for other in line.arcs:
                if other is not arc and other.lane == arc.lane:
                    assert arc.room[1] < other.room[0] or other.room[1] < arc.room[0]
        for piece in line.pieces:
            for beside in line.pieces:
                apart = piece.end <= beside.start or beside.end <= piece.start
                assert beside is piece or beside.depth != piece.depth or apart
    assert all(count in (1, 2) for count in drawn.values())
    reached = {(piece.word) for line in lines for piece in line.pieces}
    assert reached == set(range(len(words)))


@settings(max_examples=40)
@given(annotated())
def test_a_picture_holds_every_character_once_and_no_markup_of_users(case: tuple[str, list[Annotation]]) -> None:
    text, annotations = case
    drawing = picture(text, annotations)
    assert drawing.tags <= TAGS and drawing.names <= ATTRIBUTES
    assert drawing.written == text.replace("\n", "")


@settings(max_examples=30)
@given(annotated(), st.floats(16, 40))
def test_no_label_makes_a_picture_wider_than_its_longest_line(
    case: tuple[str, list[Annotation]], columns: float
) -> None:
    text, annotations = case
    words, links = graph_of(annotations)
    lines = lines_of(text, words, links, columns=columns)
    longest = max(line.places[-1] for line in lines)
    for line in lines:
        for arc in line.arcs:
            label = width(arc.label) * LABEL
            assert arc.room[1] <= max(longest + MARGIN, label - MARGIN) + 1e-6


def test_an_arc_to_another_line_names_the_beginning_of_a_long_word_and_tells_all_of_it() -> None:
    name = "中华人民共和国住房和城乡建设部办公厅"
    child = Annotation("发布(机构)", 30, 30 + len(name), name, 0.9)
    text = "通知" + "某" * 28 + name
    drawing = picture(text, [Annotation("文件", 0, 2, "通知", 0.9, (child,))], columns=24)
    assert f"通知 —发布 0.90→ {name}" in drawing.titles
    words, links = graph_of([Annotation("文件", 0, 2, "通知", 0.9, (child,))])
    labels = [arc.label for line in lines_of(text, words, links, columns=24) for arc in line.arcs]
    assert labels[0] == "发布 → 中华人民共和国住房和…"


def test_a_leg_beside_a_short_name_reaches_the_word_below_it() -> None:
    roles = tuple(Annotation("角色", start, start + 1, "某", 0.9) for start in (0, 2, 14))
    event = Annotation("灾", 4, 12, "特大交通追尾事故", 0.9, roles)
    words, links = graph_of([event])
    (line,) = lines_of("某，某，特大交通追尾事故，某", words, links, columns=40)
    drawn = arcs_svg("某，某，特大交通追尾事故，某", [line], words, links, fold="", alt="")
    feet = {float(one[1]) for one in re.finditer(r'class="line" d="M[\d.]+ ([\d.]+)V', drawn)}
    feet |= {float(one[1]) for one in re.finditer(r'class="line" d="[^"]+V([\d.]+)"', drawn)}
    assert len(feet) == 1, "all end above the words, none at the height of the name"


def test_an_arc_tells_who_what_whom_and_the_score() -> None:
    child = Annotation("配偶(人物)", 3, 5, "李四", 0.876)
    drawing = picture("张三娶李四", [Annotation("人物", 0, 2, "张三", 0.9, (child,))])
    assert "张三 —配偶 0.88→ 李四" in drawing.titles
    assert "人物　0.90" in drawing.titles


def test_an_arc_to_another_line_names_the_word_at_its_other_end() -> None:
    text = "张三" + "的" * 20 + "李四"
    child = Annotation("配偶(人物)", 22, 24, "李四", 0.8)
    words, links = graph_of([Annotation("人物", 0, 2, "张三", 0.9, (child,))])
    lines = lines_of(text, words, links, columns=10)
    (out,), (into,) = lines[0].arcs, lines[-1].arcs
    assert (out.label, out.leaves, out.head) == ("配偶 → 李四", "end", "")
    assert (into.label, into.leaves, into.head) == ("张三 → 配偶", "start", "end")


def test_lines_without_findings_of_a_long_text_are_counted_not_drawn() -> None:
    text = "\n".join(["张三来了"] + ["没有什么"] * 30 + ["李四走了"])
    annotations = [Annotation("人物", 0, 2, "张三", 0.9), Annotation("人物", len(text) - 4, len(text) - 2, "李四", 0.9)]
    words, links = graph_of(annotations)
    rows = shown(lines_of(text, words, links, columns=20))
    assert [row if isinstance(row, int) else text[row.start : row.end].strip() for row in rows] == [
        "张三来了", 30, "李四走了",
    ]  # fmt: skip


def test_a_line_ends_before_a_word_rather_than_in_it() -> None:
    words, links = graph_of([Annotation("机构", 8, 14, "中国篮球协会", 0.9)])
    lines = lines_of("一二三四五六七八中国篮球协会主席", words, links, columns=10)
    assert [(line.start, line.end) for line in lines] == [(0, 8), (8, 16)]
    assert width("中a") == 1.56


@given(_TEXTS, st.lists(st.tuples(st.integers(0, 90), st.integers(1, 9)), max_size=12), st.integers(1, 30))
def test_pages_hold_the_whole_text_once(text: str, places: list[tuple[int, int]], size: int) -> None:
    spans = [(start, min(start + long, len(text))) for start, long in places if start < len(text)]
    pages = pages_of(text, spans, characters=size, most=4)
    assert "".join(text[start:end] for start, end in pages) == text
    assert all(0 < end - start <= size for start, end in pages)
    for start, cut in pages[:-1]:
        divided = [span for span in spans if span[0] < cut < span[1]]
        # Only where findings leave no place in the second half of a page.
        assert not divided or all(
            any(first < place < last for first, last in spans)
            for place in range(start + max((cut - start) // 2, 1), cut)
        )


def test_a_page_ends_behind_a_sentence_and_in_no_finding() -> None:
    text = "甲" * 50 + "。" + "乙" * 20 + "。" + "丙" * 60
    assert pages_of(text, [], characters=80)[0] == (0, 72)
    assert pages_of(text, [(60, 75)], characters=80)[0] == (0, 51)
    assert [end - start for start, end in pages_of("字" * 100, [(n, n + 1) for n in range(100)], most=30)] == [
        30,
        30,
        30,
        10,
    ]


@settings(max_examples=40)
@given(annotated(), st.integers(1, 40))
def test_parts_of_a_text_drawn_apart_are_the_whole_text(case: tuple[str, list[Annotation]], size: int) -> None:
    text, annotations = case
    pages = pages_of(text, [], characters=size)
    drawn = "".join(highlight(text, annotations, part=page) for page in pages)
    assert html.unescape(re.sub(r"<[^>]*>", "", re.sub(r'<span class="rex-chip[^>]*>[^<]*</span>', "", drawn))) == text
    for one in annotations:
        title = html.escape(f"{one.type}　{one.score:.2f}")
        assert title in drawn or any(other.type == one.type and other.score > one.score for other in flat(annotations))


def flat(annotations: list[Annotation]) -> list[Annotation]:
    return [one for tree in annotations for one in (tree, *flat(list(tree.children)))]
