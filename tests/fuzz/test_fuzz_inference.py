"""Random texts, schemas and logits: prompts within their bounds, windows over everything, spans that are their text."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.errors import RexError
from core.inference.documents import Item, read_document
from core.inference.forward import run
from core.inference.matching import match, unpack
from core.inference.packing import pack
from core.inference.prompts import Group, PieceEncoder, build_hints
from core.inference.recursion import Limits
from core.inference.windows import split
from core.model.tokenizer import RexTokenizer
from core.schemas.schema import parse_schema
from core.tasks import TASKS, schema_for
from core.types import Annotation, Document, Link
from scripts.fuzz import examples, tried

TOKENIZER = RexTokenizer.from_directory(Path(__file__).parents[1] / "fixtures" / "tiny")
PIECES = PieceEncoder(TOKENIZER)
QUICK = {"deadline": None, "suppress_health_check": list(HealthCheck)}
ODD = st.sampled_from(
    [
        "😀",
        "👨‍👩‍👧",
        "𠮷",
        "\u202eمرحبا\u202c",
        "שלום",
        "繁體中文",
        "\u0000",
        "\u200b",
        "e\u0301",
        "\ud83d",
        "\udc00",
        "\ufeff",
    ]
    + ["[TYPE]", "[SEP]", "[CLASSIFY]", "\r\n", "\u3000", "ﬁ", "ＡＢ", "陈静出生于杭州。", "x" * 70, "\u2028", "İ", "ß"]
)
TEXTS = st.lists(st.one_of(ODD, st.text(max_size=5)), max_size=12).map("".join)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda name: name.strip() and "[" not in name
)
SCHEMAS = st.recursive(
    st.dictionaries(NAMES, st.none(), min_size=1, max_size=4),
    lambda below: st.dictionaries(NAMES, st.one_of(st.none(), below), min_size=1, max_size=3),
    max_leaves=6,
)


class RandomLogits:
    """Stands for a network that may say anything."""

    def __init__(self, seed: int, scale: float) -> None:
        self.random, self.scale = np.random.default_rng(seed), scale

    def __call__(self, ids: Tensor, *inputs: Any, **known: Any) -> Tensor:
        rows, size = ids.shape[0], ids.shape[-1]
        logits = self.random.normal(-self.scale, 2 * self.scale, (rows, size, size)).astype(np.float32)
        logits[self.random.random(logits.shape) < 0.01] = self.random.choice([0.0, 80.0, -80.0, 1e30])
        return torch.from_numpy(logits)


@settings(max_examples=examples(60), **QUICK)
@given(text=TEXTS, capacity=st.integers(1, 60), stride=st.integers(0, 12))
def test_tokens_keep_their_places_and_windows_leave_none_out(text: str, capacity: int, stride: int) -> None:
    tried("windows")
    if any("\ud800" <= character <= "\udfff" for character in text):
        return  # refused before: see below
    encoding = TOKENIZER.encode_text(text)
    starts, ends = encoding.offsets[:, 0], encoding.offsets[:, 1]
    assert (starts <= ends).all() and (np.diff(starts) >= 0).all() and (not len(ends) or ends.max() <= len(text))
    covered = np.zeros(len(encoding.ids), bool)
    for start, end in split(len(encoding.ids), capacity=stride + capacity, stride=stride):
        assert end - start <= stride + capacity
        covered[start:end] = True
    assert covered.all()


@settings(max_examples=examples(60), **QUICK)
@given(
    groups=st.lists(st.tuples(TEXTS, st.lists(NAMES, min_size=1, max_size=8, unique=True)), min_size=1, max_size=5),
    length=st.integers(8, 256),
)
def test_every_type_is_asked_once_within_the_bound_or_named(groups: list[tuple[str, list[str]]], length: int) -> None:
    tried("prompts")
    words = [(text.encode("utf-8", "ignore").decode(), names) for text, names in groups]
    asked = [Group((Link("人物", 0, 1, text, 1.0, 1.0),) if text else (), tuple(names)) for text, names in words]
    hints, unasked = build_hints(asked, PIECES, max_length=length)
    wanted = Counter((number, name) for number, group in enumerate(asked) for name in group.types)
    assert Counter([(marker.group, marker.type) for hint in hints for marker in hint.markers] + unasked) == wanted
    for hint in hints:
        assert len(hint) <= length
        assert [hint.ids[marker.index] for marker in hint.markers] == [TOKENIZER.type_id] * len(hint.markers)


def walk(found: tuple[Annotation, ...]) -> list[Annotation]:
    return [one for top in found for one in (top, *walk(top.children))]


@settings(max_examples=examples(20), **QUICK)
@given(
    text=TEXTS,
    pair=TEXTS,
    body=SCHEMAS,
    task=st.sampled_from(sorted(TASKS)),
    seed=st.integers(0, 2**32 - 1),
    scale=st.sampled_from([0.3, 1.0, 5.0]),
    floor=st.sampled_from([None, 0.01]),
)
def test_whatever_the_network_says_every_span_is_that_part_of_its_text(
    text: str, pair: str, body: dict[str, Any], task: str, seed: int, scale: float, floor: float | None
) -> None:
    tried("documents with random logits")
    network = RandomLogits(seed, scale)
    document = Document(text, text_pair=pair or None, aspects=("菜",) if seed % 3 == 0 else ())
    limits = Limits(max_length=96, stride=8, max_hint_length=64, floor=floor)
    try:
        item = Item(document, TASKS[task], schema_for(TASKS[task], parse_schema(body)))
        reading = read_document(item, PIECES, limits=limits, temperatures={})
        prompts = next(reading)
        for _ in range(9):
            packed = pack(prompts, [limits.bar] * len(prompts), pad_id=TOKENIZER.pad_id)
            raw = run(network, packed, torch.device("cpu"))  # type: ignore[arg-type]
            prompts = reading.send(unpack(match(raw, packed), prompts))
        raise AssertionError("more levels were asked than the schema has")
    except StopIteration as stop:
        result = stop.value
    except RexError as error:
        assert str(error)
        return
    for one in walk(result.annotations):
        assert 0.0 <= one.score <= 1.0
        if one.start is not None:
            assert one.end is not None and 0 <= one.start < one.end <= len(text)
            assert text[one.start : one.end] == one.text
