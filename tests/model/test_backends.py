"""Every way to attend gives what the step-by-step one gives: on any schema, any length, several prompts in a row."""

from __future__ import annotations

import importlib.util
import os
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.errors import DeviceError
from core.inference.batching import stack
from core.inference.prompts import Group, PieceEncoder, Prompt, assemble, build_hints
from core.model.backends import BACKENDS, CHOICE, attend, choose_backend, relate
from core.model.checkpoint import Checkpoint, build_model, load_checkpoint
from core.model.config import RexConfig
from core.model.encoder import Encoder
from core.model.relations import relations, run_of
from core.model.rex import RexModel
from core.types import Link

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when the kernel is imported: it then runs on the CPU

TINY = Path(__file__).parents[1] / "fixtures" / "tiny"
CHARACTERS = "陈静出生于杭州毕业大学的丈夫是画家林涛公司在北京成立，他说：一九七二年三月购买了三台冰箱。"
NETWORK = RexConfig(
    vocab_size=300,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=48,
    conv_kernel_size=3,
    conv_act="gelu",
    initializer_range=0.3,
)


def needs(backend: str) -> object:
    """The name of a backend as a test's parameter; skips where its library is not installed."""
    absent = backend == "triton" and importlib.util.find_spec("triton") is None
    return pytest.param(backend, marks=pytest.mark.skipif(absent, reason="triton is not installed"))


LARGEST_RELATIVE_ERROR = {torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 8e-2}
"""Of all logits together, against float32."""
FAST = [needs(name) for name in BACKENDS if name != "eager"]
ROWS = dict[str, Tensor]


@pytest.fixture(scope="module")
def tiny() -> Checkpoint:
    return load_checkpoint(str(TINY), device="cpu")


def _prompts(checkpoint: Checkpoint, seed: int, count: int, longest: int) -> list[Prompt]:
    """Random texts under random schemas: several prefixes, some of them long, several types each."""
    rng = random.Random(seed)

    def word(size: int) -> str:
        return "".join(rng.choices(CHARACTERS, k=size))

    pieces = PieceEncoder(checkpoint.tokenizer)
    made = []
    for _ in range(count):
        groups = []
        for _ in range(rng.randint(1, 3)):
            span = word(rng.choice((2, 3, 60)))
            path = rng.choice(((), (Link(word(2), span, 0, len(span), 1.0, 1.0),)))
            groups.append(Group(path, tuple({word(rng.randint(1, 5)) for _ in range(rng.randint(1, 4))})))
        hint = build_hints(groups, pieces)[0][0]
        text = checkpoint.tokenizer.encode_text(word(rng.randint(0, longest)))
        made.append(assemble(hint, text.ids, text.offsets, checkpoint.tokenizer))
    return made


def _rows(prompts: Sequence[Prompt]) -> ROWS:
    batch = stack(prompts, pad_id=0)
    return {
        "input_ids": batch.input_ids % NETWORK.vocab_size,
        "position_ids": batch.position_ids,
        "prefix_ids": batch.prefix_ids,
        "type_ids": batch.type_ids,
        "keep": batch.keep,
    }


def _in_one_row(prompts: Sequence[Prompt], *, gap: int) -> tuple[ROWS, list[slice]]:
    """All prompts behind each other in a single row, `gap` tokens of padding between them, and where each is."""
    alone = [_rows([prompt]) for prompt in prompts]
    places, start = [], 0
    for prompt in prompts:
        places.append(slice(start, start + len(prompt)))
        start += len(prompt) + gap
    joined = {name: torch.zeros(1, start, dtype=rows.dtype) for name, rows in alone[0].items()}
    joined["input_ids"] += 9  # padding that would show if it leaked
    joined["sequence_ids"] = torch.zeros(1, start, dtype=torch.long)
    for number, (place, rows) in enumerate(zip(places, alone, strict=True)):
        for name, row in rows.items():
            joined[name][:, place] = row
        joined["sequence_ids"][:, place] = number
    return joined, places


def _network(config: RexConfig = NETWORK) -> RexModel:
    torch.manual_seed(11)
    return RexModel(config).eval().requires_grad_(False)


def _logits(model: RexModel, backend: str, rows: ROWS) -> Tensor:
    model.plm.backend = backend
    farthest = int(rows["position_ids"].max())
    with torch.inference_mode():
        hidden = model.plm(**rows, max_distance=farthest)
        return model.links(hidden, rows["position_ids"])


def _assert_equal(found: Tensor, wanted: Tensor, keep: Tensor) -> None:
    both = keep[:, :, None] & keep[:, None, :]
    scale = float(wanted[both].abs().max())
    torch.testing.assert_close(found[both] / scale, wanted[both] / scale, atol=2e-5, rtol=0)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize(
    ("seed", "count", "longest"), [(1, 5, 30), (2, 4, 90), (3, 2, 200), (4, 1, 300), (5, 1, 64), (6, 3, 2)]
)
def test_a_backend_gives_what_eager_gives_on_random_schemas(
    tiny: Checkpoint, backend: str, seed: int, count: int, longest: int
) -> None:
    model, rows = _network(), _rows(_prompts(tiny, seed, count, longest))
    _assert_equal(_logits(model, backend, rows), _logits(model, "eager", rows), rows["keep"])


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize(
    "change",
    [
        {"position_buckets": 40},  # far distances are clamped
        {"position_buckets": 16, "max_relative_positions": 160},  # and here they share logarithmic buckets
        {"pos_att_type": ("c2p",)},
        {"pos_att_type": ("p2c",), "share_att_key": False},
        {"pos_att_type": (), "conv_kernel_size": 0},
        {"norm_rel_ebd": "none", "hidden_size": 40},
    ],
    ids=str,
)
def test_a_backend_gives_what_eager_gives_in_every_form_of_the_network(
    tiny: Checkpoint, backend: str, change: dict[str, object]
) -> None:
    model, rows = _network(replace(NETWORK, **change)), _rows(_prompts(tiny, 21, 2, 240))  # type: ignore[arg-type]
    assert rows["keep"].shape[1] > 132
    _assert_equal(_logits(model, backend, rows), _logits(model, "eager", rows), rows["keep"])


@pytest.mark.parametrize("backend", FAST)
def test_a_backend_gives_what_eager_gives_beyond_512_tokens(tiny: Checkpoint, backend: str) -> None:
    config = replace(NETWORK, hidden_size=16, num_attention_heads=1, intermediate_size=16, num_hidden_layers=1)
    model = _network(config)
    text = tiny.tokenizer.encode_text((CHARACTERS * 20)[:600])
    hint = _prompts(tiny, 31, 1, 2)[0]
    long = build_hints([Group((), ("人物", "时间"))], PieceEncoder(tiny.tokenizer))[0][0]
    rows = _rows([assemble(long, text.ids, text.offsets, tiny.tokenizer), hint])
    assert rows["keep"].shape[1] > 512
    _assert_equal(_logits(model, backend, rows), _logits(model, "eager", rows), rows["keep"])


@pytest.mark.parametrize("change", [{}, {"position_buckets": 48}], ids=str)
def test_a_run_of_positions_may_be_told_and_go_on_through_padding(tiny: Checkpoint, change: dict[str, int]) -> None:
    prompts = _prompts(tiny, 81, 3, 1)
    types = build_hints([Group((), ("人",))], PieceEncoder(tiny.tokenizer))[0][0]
    text = tiny.tokenizer.encode_text(CHARACTERS * 4)
    prompts.append(assemble(types, text.ids, text.offsets, tiny.tokenizer))
    model, rows = _network(replace(NETWORK, **change)), _rows(prompts)  # type: ignore[arg-type]
    start = max(prompt.text_start for prompt in prompts)
    rows = {name: torch.nn.functional.pad(row, (0, 140)) for name, row in rows.items()}
    wanted = _logits(model, "eager", rows)
    model.plm.backend = "sdpa"
    with torch.inference_mode():
        farthest = int(rows["position_ids"].max())
        found = model(**rows, max_distance=farthest, run_start=start)
    assert rows["keep"].shape[1] - start > farthest
    _assert_equal(found, wanted, rows["keep"])


@pytest.mark.parametrize("backend", [needs(name) for name in BACKENDS])
def test_prompts_that_share_a_row_are_read_as_if_each_had_its_own(tiny: Checkpoint, backend: str) -> None:
    model, prompts = _network(), _prompts(tiny, 41, 4, 40)
    rows, places = _in_one_row(prompts, gap=1)
    together = _logits(model, backend, rows)
    for prompt, place in zip(prompts, places, strict=True):
        alone = _rows([prompt])
        _assert_equal(together[:, place, place], _logits(model, "eager", alone), alone["keep"])


@pytest.mark.parametrize("backend", [needs(name) for name in BACKENDS])
def test_attention_without_masks_is_defined_too(backend: str) -> None:
    config = replace(NETWORK, position_buckets=8)
    query, key, value = torch.randn(3, 2, 2, 20, 16, generator=torch.Generator().manual_seed(1))
    table = torch.randn(2, 16, 16, generator=torch.Generator().manual_seed(2))
    positions = torch.arange(20)[None].expand(2, -1)
    found = [
        attend(query, key, value, table, table, relate(name)(config, positions), backend=name)
        for name in ("eager", backend)
    ]
    torch.testing.assert_close(found[1], found[0], atol=1e-5, rtol=1e-5)


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"position_buckets": 40},  # most tiles lie beyond the table
        {"position_buckets": 16, "max_relative_positions": 160},
        {"position_buckets": 24, "pos_att_type": ("c2p",)},
        {"position_buckets": 24, "pos_att_type": ("p2c",), "share_att_key": False},
    ],
    ids=str,
)
def test_tiles_beyond_the_table_and_whole_tiles_of_padding_change_no_answer(
    tiny: Checkpoint, change: dict[str, object]
) -> None:
    model, prompts = _network(replace(NETWORK, **change)), _prompts(tiny, 23, 3, 200)  # type: ignore[arg-type]
    rows = _rows(prompts)
    _assert_equal(_logits(model, "triton", rows), _logits(model, "eager", rows), rows["keep"])
    joined, places = _in_one_row(prompts, gap=70)  # whole tiles of padding
    together = _logits(model, "triton", joined)
    for prompt, place in zip(prompts, places, strict=True):
        alone = _rows([prompt])
        _assert_equal(together[:, place, place], _logits(model, "eager", alone), alone["keep"])


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
def test_half_precision_leaves_sums_and_softmax_of_the_kernel_in_float32(tiny: Checkpoint) -> None:
    model, rows = _network(), _rows(_prompts(tiny, 51, 2, 60))
    facts = {"type_ids": rows["type_ids"], "keep": rows["keep"], "max_distance": int(rows["position_ids"].max())}
    pairs, vectors = (relate(name)(NETWORK, rows["position_ids"], **facts) for name in ("eager", "triton"))
    attention = model.plm.layers[0].attention["self"]
    positions = attention.position_projections(model.plm.relative_table(pairs.rows))  # type: ignore[operator]
    query, key, value = torch.randn(3, 2, 2, rows["keep"].shape[1], 16, generator=torch.Generator().manual_seed(1))
    exact = attend(query, key, value, *positions, pairs)
    keys, queries = (x.half() for x in positions)
    half = attend(query.half(), key.half(), value.half(), keys, queries, vectors, backend="triton")
    assert half.dtype == torch.float16
    kept = rows["keep"][:, None, :, None].expand_as(exact)
    assert float((half.float() - exact)[kept].abs().max()) < 0.02


def test_the_run_of_positions_starts_behind_the_longest_schema(tiny: Checkpoint) -> None:
    prompts = _prompts(tiny, 61, 6, 50)
    rows = _rows(prompts)
    start = run_of(rows["position_ids"], rows["keep"])
    assert 0 < start < max(prompt.text_start for prompt in prompts)
    for row in range(len(prompts)):
        inside = rows["position_ids"][row, start : int(rows["keep"][row].sum())]
        assert torch.equal(inside.diff(), torch.ones_like(inside[1:]))
    assert run_of(torch.arange(9)[None], None) == 0


def test_the_choice_names_backends_that_exist_and_covers_every_length() -> None:
    for rules in CHOICE.values():
        limits = [limit for limit, _ in rules]
        assert limits == sorted(limits) and limits[-1] >= 2**31
        assert {name for _, name in rules} <= set(BACKENDS)
    assert choose_backend(torch.device("cpu"), torch.float32, 128) == "sdpa"
    assert choose_backend(torch.device("meta"), torch.float32, 128) == "eager"
    with pytest.raises(DeviceError, match="int32"):
        choose_backend(torch.device("cpu"), torch.int32, 128)
    with pytest.raises(DeviceError, match="没有名为“fast”"):
        attend(
            *(torch.zeros(1, 1, 1, 4),) * 3, None, None, relations(NETWORK, torch.zeros(1, 1).long()), backend="fast"
        )


def test_a_frozen_network_projects_its_relative_table_once() -> None:
    model = _network()
    rows = {"input_ids": torch.arange(1, 8)[None], "position_ids": torch.arange(7)[None]}
    assert model.plm.projections.size_bytes == 0
    _logits(model, "sdpa", rows)
    held = model.plm.projections.size_bytes
    assert held == 2 * NETWORK.num_hidden_layers * 2 * NETWORK.span * NETWORK.hidden_size * 4
    _logits(model, "eager", rows | {"position_ids": torch.zeros_like(rows["position_ids"])})
    assert model.plm.projections.size_bytes == held
    model.plm.projections.drop()
    assert model.plm.projections.size_bytes == 0


@pytest.mark.parametrize("way", ["load", "edit", "replace", "half"])
def test_new_weights_are_never_met_with_old_projections(way: str) -> None:
    model, other = _network(), RexModel(NETWORK).eval().requires_grad_(False)
    rows = {"input_ids": torch.arange(1, 8)[None], "position_ids": torch.arange(7)[None]}
    _logits(model, "sdpa", rows)
    if way == "load":
        model.load_state_dict(other.state_dict())
    elif way == "edit":
        model.plm.encoder["rel_embeddings"].weight.mul_(-1)  # type: ignore[operator]
    elif way == "replace":
        model.load_state_dict(other.state_dict(), assign=True)
    else:
        model.to(torch.bfloat16)
    fresh = build_model(NETWORK, {k: v.clone() for k, v in model.state_dict().items()}, dtype=model.ffnq.weight.dtype)
    assert torch.equal(_logits(model, "sdpa", rows), _logits(fresh, "sdpa", rows))


def test_a_network_that_learns_uses_eager_attention_and_caches_nothing() -> None:
    torch.manual_seed(3)
    encoder = Encoder(NETWORK).train()
    ids, positions = torch.arange(1, 8)[None], torch.arange(7)[None]
    encoder(ids, positions, max_distance=6).sum().backward()
    assert encoder.projections.size_bytes == 0
    gradient = encoder.encoder["rel_embeddings"].weight.grad
    assert gradient is not None and float(gradient.abs().sum()) > 0
    with torch.no_grad():
        encoder.eval()(ids, positions)
    assert encoder.projections.size_bytes == 0


def test_a_layer_compiles_as_one_graph_with_its_gradient() -> None:
    torch.manual_seed(5)
    encoder = Encoder(replace(NETWORK, attention_probs_dropout_prob=0.0, hidden_dropout_prob=0.0))
    pairs = relations(NETWORK, torch.arange(12)[None], max_distance=11)
    table, x = encoder.relative_table(pairs.rows), torch.randn(1, 12, 32)
    layer = encoder.layers[0]
    wanted = layer(x, pairs, table)
    found = torch.compile(layer, backend="eager", fullgraph=True)(x, pairs, table)
    torch.testing.assert_close(found, wanted)
    found.sum().backward()
    assert encoder.encoder["rel_embeddings"].weight.grad is not None


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("backend", [needs(name) for name in BACKENDS])
def test_a_backend_gives_on_the_card_what_eager_gives_on_the_cpu(
    tiny: Checkpoint, backend: str, dtype: torch.dtype
) -> None:
    model = _network(replace(NETWORK, hidden_size=128))  # heads of 64, as real networks have
    rows = _rows(_prompts(tiny, 91, 5, 200))
    wanted = _logits(model, "eager", rows)
    card = build_model(model.config, model.state_dict(), dtype=dtype).to("cuda")
    found = _logits(card, backend, {name: row.to("cuda") for name, row in rows.items()}).cpu()
    both = rows["keep"][:, :, None] & rows["keep"][:, None, :]
    # The norm of all differences, and not the largest of them: this network's weights are large and random, so that
    # the rounding of half precision alone moves single logits by 3 % (float16) and 20 % (bfloat16), step by step too.
    error = float((found - wanted)[both].norm() / wanted[both].norm())
    assert error < LARGEST_RELATIVE_ERROR[dtype], error
