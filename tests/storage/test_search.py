"""Search finds what reading every text would find, whatever the index has reached."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from core.storage import queries
from core.storage.database import migrate
from core.storage.search import Search, metadata_keys, metadata_values
from core.storage.search_index import catch_up, pending
from core.storage.store import Store
from core.types import Document

TEXTS = ("宽带经常断线", "断线", "我的宽带", "AbC公司\r\n\t第二行", "😀𠮷野家", '100%_好 "引号" \'', "的", "线断 宽 带")


@pytest.fixture
def store(empty: Engine) -> Store:
    migrate(empty)
    return Store(empty)


def found(store: Store, words: str) -> set[str]:
    one = {info.preview for info in queries.list_documents(store.engine, words)}
    assert queries.count_documents(store.engine, words) == len(one)
    return one


@pytest.mark.parametrize("indexed", [0, 3, len(TEXTS)])
def test_pieces_of_every_length_are_found_before_and_after_indexing(store: Store, indexed: int) -> None:
    store.add_documents([Document(one) for one in TEXTS[:indexed]])
    catch_up(store.engine)
    store.add_documents([Document(one) for one in TEXTS[indexed:]])
    for word in (
        "宽带",
        "断线",
        "宽带经",
        "经常断线",
        "线",
        "的",
        "abc",
        "bC公",
        "𠮷野",
        "😀𠮷",
        "%_好",
        '"引',
        "'",
        "没有的",
    ):
        assert found(store, word) == {one for one in TEXTS if word.lower() in one.lower()}, word
    assert found(store, "断线 宽带") == {"宽带经常断线"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text("ab宽带线😀%_\"'\\", min_size=1, max_size=6), st.integers(0, 5), st.integers(1, 6))
def test_every_piece_of_a_text_finds_it(store: Store, body: str, start: int, size: int) -> None:
    store.add_documents([Document(body)])
    catch_up(store.engine)
    piece = body[start : start + size]
    if piece:
        assert body in found(store, piece)


def test_deleted_and_changed_documents_leave_the_index(store: Store) -> None:
    rows = store.add_documents([Document("宽带断线"), Document("宽带很快"), Document("话费太贵")])
    catch_up(store.engine)
    store.delete_document(rows[0])
    store.delete_document(rows[2])
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE documents SET text = '电视黑屏' WHERE id = :id"), {"id": rows[1]})
    assert found(store, "宽带") == set() and found(store, "视黑屏") == {"电视黑屏"}
    # the number of the last document is given out again
    store.add_documents([Document("路由器坏了"), Document("路由器好了")])
    assert found(store, "路由器") == {"路由器坏了", "路由器好了"} == found(store, "路由")
    if store.engine.dialect.name == "sqlite":
        assert pending(store.engine) == 2
        assert catch_up(store.engine) == 2
    assert found(store, "路由") == {"路由器坏了", "路由器好了"}


def test_indexing_stops_when_asked(store: Store) -> None:
    store.add_documents([Document("宽带断线")])
    assert catch_up(store.engine, cancelled=lambda: True) == 0
    assert found(store, "宽带") == {"宽带断线"}


def test_metadata_is_counted_and_filtered_by(store: Store) -> None:
    long = "值" * 300
    store.add_documents(
        [
            Document("甲", metadata={"渠道": "电话", "城市": "南京"}),
            Document("乙", metadata={"渠道": "网页", "备注": long}),
            Document("丙", metadata={"渠道": "电话"}),
            Document("丁"),
        ]
    )
    engine = store.engine
    assert metadata_keys(engine) == {"渠道": 3, "城市": 1, "备注": 1}
    assert metadata_values(engine, "渠道") == {"电话": 2, "网页": 1}
    assert metadata_values(engine, "备注") == {long[:255]: 1}

    def texts(**metadata: list[str]) -> list[str]:
        search = Search(metadata=metadata)
        shown = [one.preview for one in queries.list_documents(engine, search)]
        assert queries.count_documents(engine, search) == len(shown)
        return shown

    assert texts(渠道=["电话"]) == ["丙", "甲"]
    assert texts(渠道=["电话", "网页"]) == ["丙", "乙", "甲"]
    assert texts(渠道=["电话"], 城市=["南京"]) == ["甲"]
    assert texts(渠道=[]) == ["丁", "丙", "乙", "甲"]
    assert [one.preview for one in queries.list_documents(engine, Search("丙", {"渠道": ["电话"]}))] == ["丙"]


@pytest.mark.parametrize("words", ["", "文档"])
def test_pages_are_the_same_from_either_end(store: Store, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add_documents([Document(f"文档{number}") for number in range(23)])
    catch_up(store.engine)
    whole = [one.id for one in queries.list_documents(store.engine, words, limit=100)]
    assert whole == sorted(whole, reverse=True) and len(whole) == 23
    monkeypatch.setattr(queries, "FAR", 0)
    pages = [
        [one.id for one in queries.list_documents(store.engine, words, limit=5, offset=start)]
        for start in range(0, 30, 5)
    ]
    assert [one for page in pages for one in page] == whole
