"""Counts, pairs and contexts of stored findings, asked of a real file and compared with counting by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from core.storage import concordance
from core.storage.concordance import (
    MOST_IN_ONE,
    count_findings,
    count_matches,
    count_word,
    find_lines,
    find_matches,
    word_lines,
)
from core.storage.database import migrate, open_database
from core.storage.explore_pairs import edges, together, types_below
from core.storage.explore_queries import (
    BINS,
    Filter,
    document_count,
    score_bins,
    text_counts,
    type_counts,
    value_counts,
)
from core.storage.store import Store
from core.types import AnnotatedDocument, Annotation, Document

TEXTS = ("张伟创办了恒川动力，总部在合肥。", "恒川动力的张伟到了合肥😀，张伟说：好。", "李娜在上海。")
DATES = ("2024-09-22", "2024-10-01", "2024-10-01")


def spot(text: str, words: str, type: str, score: float = 0.9, children: tuple[Annotation, ...] = ()) -> Annotation:
    start = text.index(words)
    return Annotation(type, start, start + len(words), words, score, children)


def results() -> list[AnnotatedDocument]:
    one, two, three = TEXTS
    trees = (
        (
            spot(one, "张伟", "人物", 0.95),
            spot(one, "恒川动力", "组织机构", 0.9, (spot(one, "张伟", "创始人(人物)", 0.8),
                                                  spot(one, "合肥", "总部地点(地点)", 0.55))),
        ),
        (
            spot(two, "张伟", "人物", 1.0),
            spot(two, "恒川动力", "组织机构", 0.7, (spot(two, "张伟", "创始人(人物)", 0.6),)),
        ),
        (spot(three, "李娜", "人物", 0.0), Annotation("中性", None, None, "", 0.5)),
    )  # fmt: skip
    return [
        AnnotatedDocument(Document(text, id=f"T{n}", metadata={"日期": DATES[n], '引"号': "'"}), "re", trees[n])
        for n, text in enumerate(TEXTS)
    ]


def save(engine: Engine, found: list[AnnotatedDocument]) -> tuple[int, list[int]]:
    store = Store(engine)
    facts = {"model": "m", "revision": "", "dtype": "float32", "device": "cpu", "threshold": 0.5}
    run = store.start_run(task="re", schema_id=None, schema={"人物": None}, total=len(found), **facts)
    ids = store.add_documents([one.document for one in found])
    for place, (number, one) in enumerate(zip(ids, found, strict=True)):
        store.save_result(run, number, result=one, duration_s=0.1, position=place)
    store.finish_run(run, "done")
    return run, ids


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One database for all tests, each with a run of its own."""
    engine = open_database(f"sqlite:///{tmp_path_factory.mktemp('explore') / 'app.db'}")
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def run(engine: Engine) -> int:
    return save(engine, results())[0]


def test_types_are_counted_for_each_run_with_their_mean_score(engine: Engine, run: int) -> None:
    again, _ = save(engine, results()[:1])
    found = {(one.run_id, one.type): (one.count, one.score) for one in type_counts(engine, Filter((run, again)))}
    assert found[run, "人物"] == (3, pytest.approx(0.65))
    assert found[again, "人物"] == (1, pytest.approx(0.95))
    assert document_count(engine, (run, again)) == 3


@pytest.mark.parametrize(
    ("narrow", "count"),
    [
        ({}, 9),
        ({"types": ("人物", "中性")}, 4),
        ({"contains": "川动"}, 2),
        ({"contains": "%"}, 0),
        ({"lowest": 0.9}, 3),
        ({"highest": 0.0}, 1),
        ({"metadata": (("日期", "2024-10-01"),)}, 5),
        ({"metadata": (('引"号', "'"), ("日期", "2024-09-22"))}, 4),
        ({"metadata": (("日期", "' OR 1=1 --"),)}, 0),
    ],
)
def test_every_part_of_a_filter_narrows(engine: Engine, run: int, narrow: dict, count: int) -> None:
    chosen = Filter((run,), **narrow)
    assert sum(one.count for one in type_counts(engine, chosen)) == count
    assert sum(one.findings for one in find_matches(engine, chosen)) == count
    assert sum(map(sum, score_bins(engine, chosen).values())) == count


def test_a_sample_takes_every_nth_document(engine: Engine, run: int) -> None:
    numbers = {one.document_id for one in find_matches(engine, Filter((run,)))}
    taken = {one.document_id for one in find_matches(engine, Filter((run,), every=2))}
    assert taken == {number for number in numbers if number % 2 == 0}


def test_words_are_counted_with_their_documents_and_classes_have_none(engine: Engine, run: int) -> None:
    counts = text_counts(engine, Filter((run,)))
    assert (counts[0].type, counts[0].text, counts[0].count, counts[0].documents) == ("人物", "张伟", 2, 2)
    assert all(one.text for one in counts)
    assert len(text_counts(engine, Filter((run,)), limit=2)) == 2


def test_scores_fall_into_equal_parts_the_ends_included(engine: Engine, run: int) -> None:
    bins = score_bins(engine, Filter((run,), types=("人物",)))["人物"]
    assert len(bins) == BINS and bins[0] == 1 and bins[-1] == 2


def test_types_are_counted_by_the_values_of_a_column(engine: Engine, run: int) -> None:
    assert ("2024-10-01", "人物", 2) in value_counts(engine, Filter((run,)), key="日期")
    assert value_counts(engine, Filter((run,)), key="没有") == []


def test_types_and_words_that_share_documents_are_counted(engine: Engine, run: int) -> None:
    pairs = together(engine, Filter((run,)), types=["组织机构", "人物", "中性"])
    assert pairs["人物", "组织机构"] == 2 and pairs["人物", "人物"] == 3 and pairs["中性", "人物"] == 1
    assert ("中性", "组织机构") not in pairs
    assert together(engine, Filter((run,)), words=["张伟", "合肥"])["合肥", "张伟"] == 1


def test_relations_are_counted_with_both_ends(engine: Engine, run: int) -> None:
    first = edges(engine, Filter((run,)))[0]
    assert (first.subject, first.relation, first.object, first.count) == ("恒川动力", "创始人(人物)", "张伟", 2)
    assert first.score == pytest.approx(0.8)
    assert len(edges(engine, Filter((run,), types=("组织机构",)))) == 2
    assert [one.object for one in edges(engine, Filter((run,), contains="合肥"))] == ["合肥"]
    assert edges(engine, Filter((run,), types=("人物",))) == []


def test_types_below_a_text_are_counted(engine: Engine, run: int) -> None:
    assert types_below(engine, Filter((run,)), types=["创始人(人物)"]) == [("恒川动力", "创始人(人物)", 2)]


def test_findings_stand_in_their_context_page_by_page(engine: Engine, run: int) -> None:
    chosen = Filter((run,), types=("人物", "中性"))
    assert count_findings(engine, chosen) == 3
    lines = find_lines(engine, chosen)
    assert [line.words for line in lines] == ["张伟", "张伟", "李娜"]
    assert (lines[1].left, lines[1].right) == ("恒川动力的", "到了合肥😀，张伟说：好。")
    assert [find_lines(engine, chosen, limit=1, offset=place)[0] for place in range(3)] == lines


def test_any_word_stands_in_its_context_in_the_documents_of_the_runs_only(engine: Engine, run: int) -> None:
    Store(engine).add_documents([Document("张伟不在任何运行里")])
    assert count_word(engine, Filter((run,)), "张伟") == 2
    lines = word_lines(engine, Filter((run,)), "张伟")
    assert [line.left for line in lines] == ["", "恒川动力的", "恒川动力的张伟到了合肥😀，"]
    assert word_lines(engine, Filter((run,)), "张伟", limit=1, offset=1) == lines[1:]
    assert count_word(engine, Filter((run,), metadata=(("日期", "2024-09-22"),)), "张伟") == 1
    assert word_lines(engine, Filter((run,)), "100%") == []


def test_a_document_full_of_the_word_says_how_often_it_is_not_shown(engine: Engine) -> None:
    run, _ = save(engine, [AnnotatedDocument(Document("Ab" * 60 + "。"), "ner", ())])
    lines = word_lines(engine, Filter((run,)), "aB")
    assert len(lines) == MOST_IN_ONE and lines[-1].more == 10 and lines[0].more == 0


def test_matching_documents_are_listed_for_each_run(engine: Engine, run: int) -> None:
    chosen = Filter((run,), contains="恒川")
    assert count_matches(engine, chosen) == 2
    match = find_matches(engine, chosen, limit=1)[0]
    assert (match.run_id, match.external_id, match.findings, match.score) == (run, "T0", 1, 0.9)
    assert match.preview == TEXTS[0]


def test_every_database_gives_the_same_answers(empty: Engine, engine: Engine, run: int) -> None:
    migrate(empty)
    other, ids = save(empty, results())
    first = min(one.document_id for one in find_matches(engine, Filter((run,))))
    for mine, theirs in (
        (Filter((run,)), Filter((other,))),
        (Filter((run,), every=1, contains="张"), Filter((other,), contains="张")),
    ):
        assert [replace(one, run_id=0) for one in type_counts(empty, theirs)] == [
            replace(one, run_id=0) for one in type_counts(engine, mine)
        ]
        assert text_counts(empty, theirs) == text_counts(engine, mine)
        assert score_bins(empty, theirs) == score_bins(engine, mine)
        assert value_counts(empty, theirs, key="日期") == value_counts(engine, mine, key="日期")
        assert together(empty, theirs, types=["人物", "组织机构"]) == together(engine, mine, types=["人物", "组织机构"])
        assert edges(empty, theirs) == edges(engine, mine)
        assert types_below(empty, theirs, types=["创始人(人物)"]) == types_below(engine, mine, types=["创始人(人物)"])
        moved = [
            replace(one, run_id=run, document_id=one.document_id - ids[0] + first) for one in find_lines(empty, theirs)
        ]
        assert moved == find_lines(engine, mine)
        assert len(word_lines(empty, theirs, "张伟")) == count_word(empty, theirs, "张伟") + 1 == 3


TEXT = st.text(alphabet="张伟李娜😀𠮷e\u0301 \n，", min_size=1, max_size=80)


@settings(max_examples=25, deadline=None)
@given(text=TEXT, data=st.data())
def test_contexts_join_up_to_the_text_and_pairs_equal_those_counted_by_hand(
    engine: Engine, text: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    types = data.draw(st.lists(st.sampled_from(["甲", "乙", "丙"]), min_size=1, max_size=5))
    trees = tuple(Annotation(one, start, end, text[start:end], 0.9) for one in types)
    run, _ = save(engine, [AnnotatedDocument(Document(text), "ner", trees)])
    for line in find_lines(engine, Filter((run,))):
        assert line.words == text[start:end]
        assert line.left == text[max(0, start - concordance.WIDTH) : start]
        assert line.right == text[end : end + concordance.WIDTH]
        assert (line.begins, line.ends) == (start <= concordance.WIDTH, len(text) - end <= concordance.WIDTH)
    kinds = sorted(set(types))
    wanted = Counter((a, b) for n, a in enumerate(kinds) for b in kinds[n:])
    assert together(engine, Filter((run,)), types=["甲", "乙", "丙"]) == dict(wanted)
