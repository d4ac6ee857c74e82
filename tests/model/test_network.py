"""The network against plain loops over the formulas, and its independence of padding and batch."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.inference.batching import stack
from core.inference.prompts import Group, PieceEncoder, Prompt, assemble, build_hints
from core.model.attention import DisentangledAttention
from core.model.backends.eager import look_up
from core.model.checkpoint import Checkpoint, build_model, load_checkpoint
from core.model.config import RexConfig
from core.model.relations import bucket, relations
from core.model.rex import RexModel, RotaryEmbedding

TINY = Path(__file__).parents[1] / "fixtures" / "tiny"
SMALL = RexConfig(
    vocab_size=20,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=24,
    position_buckets=4,
    share_att_key=False,
    conv_kernel_size=3,
    conv_act="gelu",
    initializer_range=0.5,
)


@pytest.fixture(scope="module")
def tiny() -> Checkpoint:
    return load_checkpoint(str(TINY), device="cpu")


def test_log_buckets_equal_a_loop_over_the_formula() -> None:
    config = RexConfig(max_relative_positions=512, position_buckets=256)
    middle = 128
    together = bucket(torch.arange(-511, 512), config).tolist()
    for distance in range(-511, 512):
        size = abs(distance)
        wanted = distance
        if size > middle:
            # Rounded before the ceiling: ln(x)/ln(x) is 1 on paper.
            steps = math.ceil(round(math.log(size / middle) / math.log(511 / middle) * (middle - 1), 6))
            wanted = int(math.copysign(steps + middle, distance))
        assert int(bucket(torch.tensor(distance), config)) == wanted, distance
        assert together[distance + 511] == wanted, distance


def test_log_buckets_are_off_when_max_relative_positions_is_minus_one() -> None:
    distances = torch.arange(-600, 600)
    assert torch.equal(bucket(distances, RexConfig(max_relative_positions=-1)), distances)
    assert RexConfig(max_relative_positions=-1).span == 256


def _naive(attention: DisentangledAttention, x: Tensor, table: Tensor, positions: list[int], allowed: Tensor) -> Tensor:
    """Every score of every pair and head by itself; x: (L, H), allowed: (L, L)."""
    heads, size = attention.heads, attention.head_size
    shared = attention.share_att_key
    project = {
        "q": attention.query_proj(x),
        "k": attention.key_proj(x),
        "v": attention.value_proj(x),
        "kr": (attention.key_proj if shared else attention.pos_key_proj)(table),
        "qr": (attention.query_proj if shared else attention.pos_query_proj)(table),
    }
    length, rows = len(x), len(table)
    out = torch.zeros_like(x)
    for head in range(heads):
        part = {name: value[:, head * size : (head + 1) * size] for name, value in project.items()}
        for i in range(length):
            scores = {}
            for j in range(length):
                if allowed[i, j]:
                    slot = min(max(positions[i] - positions[j] + rows // 2, 0), rows - 1)
                    total = part["q"][i] @ part["k"][j] + part["q"][i] @ part["kr"][slot]
                    scores[j] = float(total + part["k"][j] @ part["qr"][slot]) / math.sqrt(3 * size)
            weights = {j: math.exp(score) for j, score in scores.items()}
            for j, weight in weights.items():
                out[i, head * size : (head + 1) * size] += weight / sum(weights.values()) * part["v"][j]
    return out


@pytest.mark.parametrize("shared", [True, False])
@torch.no_grad()
def test_attention_equals_a_loop_over_every_pair(shared: bool) -> None:
    torch.manual_seed(3)
    config = replace(SMALL, share_att_key=shared)
    attention = DisentangledAttention(config).eval()
    positions = [0, 1, 2, 3, 2, 3, 9, 14]  # distances beyond the span are clamped
    type_ids = torch.tensor([[0, 0, 1, 1, 2, 2, 0, 0]])
    x, table = torch.randn(1, 8, 16), torch.randn(2 * config.span, 16)
    pairs = relations(config, torch.tensor([positions]), type_ids=type_ids)
    found = attention(x, pairs, attention.position_projections(table))[0]
    assert pairs.allowed is not None
    assert not pairs.allowed[0, 0, 2, 4]
    wanted = _naive(attention, x[0], table, positions, pairs.allowed[0, 0])
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_narrowing_the_relative_table_changes_nothing() -> None:
    torch.manual_seed(4)
    model = RexModel(replace(SMALL, position_buckets=16)).eval()
    ids, positions = torch.randint(1, 20, (1, 7)), torch.tensor([[0, 1, 2, 3, 2, 4, 5]])
    torch.testing.assert_close(model(ids, positions, max_distance=5), model(ids, positions), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_padding_of_any_length_leaves_the_logits_alone() -> None:
    torch.manual_seed(5)
    model = RexModel(SMALL).eval()
    ids, positions = torch.randint(1, 20, (1, 6)), torch.arange(6)[None]
    alone = model(ids, positions, keep=torch.ones(1, 6, dtype=torch.bool))[0]
    for padding in (1, 2, 9):
        # Padding ids other than 0, so that a leak through attention or the convolution shows.
        wide = torch.cat((ids, torch.full((1, padding), 7)), 1)
        places = torch.cat((positions, torch.full((1, padding), 3)), 1)
        keep = torch.arange(6 + padding)[None] < 6
        torch.testing.assert_close(model(wide, places, keep=keep)[0, :6, :6], alone, atol=1e-5, rtol=1e-5)


def _prompt(checkpoint: Checkpoint, text: str, *types: str) -> Prompt:
    hints, _ = build_hints([Group((), types)], PieceEncoder(checkpoint.tokenizer))
    encoding = checkpoint.tokenizer.encode_text(text)
    return assemble(hints[0], encoding.ids, encoding.offsets, checkpoint.tokenizer)


@torch.no_grad()
def test_logits_in_a_padded_batch_are_those_of_the_prompt_alone(tiny: Checkpoint) -> None:
    prompts = [
        _prompt(tiny, "张伟住上海", "人物"),
        _prompt(
            tiny, "小说家陈静1972年3月出生于杭州，毕业于浙江大学，丈夫是画家林涛。", "人物", "地理位置", "组织机构"
        ),
        _prompt(tiny, "", "时间", "地点"),
    ]

    def logits(members: list[Prompt]) -> Tensor:
        batch = stack(members, pad_id=tiny.tokenizer.pad_id)
        rows = (batch.input_ids, batch.position_ids, batch.prefix_ids, batch.type_ids, batch.keep)
        return tiny.model(*rows, batch.max_distance)

    together = logits(prompts)
    for row, prompt in enumerate(prompts):
        size = len(prompt)
        torch.testing.assert_close(together[row, :size, :size], logits([prompt])[0], atol=1e-5, rtol=1e-5)


def test_rotary_angles_stay_float32_in_a_bfloat16_model(tiny: Checkpoint) -> None:
    model = build_model(tiny.model.config, dict(tiny.model.state_dict()), dtype=torch.bfloat16)
    assert model.ffnq.weight.dtype == torch.bfloat16
    assert model.rotary_emb.freqs.dtype == torch.float32
    cos, sin = model.rotary_emb(torch.tensor([[511]]))
    angles = 511.0 * tiny.model.rotary_emb.freqs.double()
    torch.testing.assert_close(cos[0, 0].double(), angles.cos(), atol=1e-4, rtol=0)
    torch.testing.assert_close(sin[0, 0].double(), angles.sin(), atol=1e-4, rtol=0)
    logits = model(torch.tensor([[2, 9, 9, 3]]), torch.arange(4)[None])
    assert logits.dtype == torch.float32


def test_rotary_frequencies_follow_the_hidden_size() -> None:
    freqs = RotaryEmbedding(8).freqs
    torch.testing.assert_close(freqs, torch.tensor([1.0, 0.1, 0.01, 0.001]), rtol=1e-5, atol=0)


@pytest.mark.parametrize("transposed", [False, True])
def test_the_gradient_of_a_look_up_is_that_of_a_gather(transposed: bool) -> None:
    torch.manual_seed(0)
    config = RexConfig(hidden_size=8, num_attention_heads=2, num_hidden_layers=1, intermediate_size=8)
    positions = torch.randint(0, 17, (3, 17))
    pairs = relations(config, positions, max_distance=16)
    gradients = []
    for one in (pairs, replace(pairs, positions=None)):
        generator = torch.Generator().manual_seed(1)
        products = torch.randn(3, 2, 17, 33, dtype=torch.double, generator=generator).requires_grad_()
        found = look_up(products, one, transposed=transposed)
        found.backward(torch.randn(found.shape, dtype=torch.double, generator=generator))
        gradients.append(products.grad)
    assert torch.allclose(gradients[0], gradients[1], atol=1e-12)
