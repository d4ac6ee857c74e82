"""The naive path is the reference's way, slow but with the engine's answers."""

from __future__ import annotations

import pytest
import torch

from core.benchmark.naive import encode, load_naive, pair_logits
from core.inference.engine import Engine, Item
from core.model.checkpoint import load_checkpoint
from core.schemas.schema import parse_schema
from core.tasks import TASKS
from core.types import Annotation, Document

CASES = [
    ("ner", {"人物": None, "地理位置": None, "组织机构": None}),
    ("re", {"人物": {"子女(人物)": None, "出生地(地理位置)": None}}),
    ("classification", {"体育": None, "财经": None}),
    ("hierarchy", {"体育": {"足球": None, "篮球": None}, "财经": None}),
]
TEXTS = ["小说家陈静1972年3月出生于杭州，毕业于浙江大学，丈夫是画家林涛。", "小明的女儿小红在北京。", "好" * 90]


def _plain(annotations: tuple[Annotation, ...]) -> list[tuple]:
    return [(a.type, a.start, a.end, a.text, round(a.score, 4), _plain(a.children)) for a in annotations]


@pytest.mark.parametrize(("task", "schema"), CASES, ids=[task for task, _ in CASES])
def test_the_naive_path_gives_the_engine_s_answers(checkpoint_dir, task, schema):
    engine = Engine(load_checkpoint(str(checkpoint_dir), device="cpu"))
    naive = load_naive(checkpoint_dir, device="cpu", limits=engine.limits)
    asked = parse_schema(schema)
    results = dict(engine.annotate([Item(Document(text), TASKS[task], asked) for text in TEXTS]))
    for index, text in enumerate(TEXTS):
        assert results[index].error == ""
        found = naive.annotate(text, TASKS[task], schema=asked)
        assert _plain(found) == _plain(results[index].annotations)
    assert any(result.annotations for result in results.values())


def test_the_naive_network_is_the_network(checkpoint_dir):
    checkpoint = load_checkpoint(str(checkpoint_dir), device="cpu")
    naive = load_naive(checkpoint_dir, device="cpu")
    config = checkpoint.model.config
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, config.vocab_size, (2, 150), generator=generator)
    positions = torch.arange(150).expand(2, -1)
    prefixes, types = (torch.randint(0, 3, (2, 150), generator=generator) for _ in range(2))
    allowed = [
        (one[:, :, None] == 0) | (one[:, None, :] == 0) | (one[:, :, None] == one[:, None, :])
        for one in (prefixes, types)
    ]
    hidden = encode(config, naive.state, ids, positions=positions, mask=(allowed[0] & allowed[1]).int())
    with torch.inference_mode():
        wanted = checkpoint.model(ids, positions, prefixes, types)
    torch.testing.assert_close(pair_logits(naive.state, hidden, positions), wanted, atol=1e-4, rtol=1e-4)
