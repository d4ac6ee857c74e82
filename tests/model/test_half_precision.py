"""Half precision: what stays in float32, and how far the answers move on real sentences."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from core.config import EMBEDDED_MODEL
from core.inference.batching import stack
from core.inference.decoding import decode
from core.inference.prompts import Group, PieceEncoder, Prompt, assemble, build_hints
from core.model.backends import attend, relate
from core.model.checkpoint import Checkpoint, build_model, load_checkpoint
from core.model.config import RexConfig
from core.model.rex import RexModel, widened

SENTENCES = (
    "10月12日上午，云州市轨道交通集团总经理刘志诚介绍，十三号线二期工程已完成铺轨，预计2025年9月开通。",
    "恒川动力10月18日晚披露三季报，前三季度实现营业收入259.04亿元，同比增长12.3%。",
)
LARGEST_ERROR = {torch.float16: 0.03, torch.bfloat16: 0.3}
"""Of any logit of these sentences; the logits' standard deviation is 4, and a link fires above 0."""
MEAN_ERROR = {torch.float16: 0.006, torch.bfloat16: 0.06}


@pytest.fixture(scope="module")
def embedded() -> Checkpoint:
    if not (EMBEDDED_MODEL / "config.json").is_file():
        pytest.skip(f"no checkpoint in {EMBEDDED_MODEL}")
    return load_checkpoint(str(EMBEDDED_MODEL), device="cpu")


@pytest.fixture(scope="module")
def prompts(embedded: Checkpoint) -> list[Prompt]:
    hint = build_hints([Group((), ("人物", "组织机构", "时间"))], PieceEncoder(embedded.tokenizer))[0][0]
    encoded = [embedded.tokenizer.encode_text(sentence) for sentence in SENTENCES]
    return [assemble(hint, one.ids, one.offsets, embedded.tokenizer) for one in encoded]


@pytest.fixture(scope="module")
def logits(embedded: Checkpoint, prompts: list[Prompt]) -> Callable[[RexModel], Tensor]:
    batch = stack(prompts, pad_id=embedded.tokenizer.pad_id)

    def run(model: RexModel) -> Tensor:
        ids = (batch.input_ids, batch.position_ids, batch.prefix_ids, batch.type_ids, batch.keep)
        with torch.inference_mode():
            return model(*ids, batch.max_distance)

    return run


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_moves_no_logit_further_than_stated(
    embedded: Checkpoint, prompts: list[Prompt], logits: Callable[[RexModel], Tensor], dtype: torch.dtype
) -> None:
    exact = logits(embedded.model)
    half = logits(build_model(embedded.model.config, embedded.model.state_dict(), dtype=dtype))
    assert half.dtype == torch.float32
    for row, prompt in enumerate(prompts):
        error = (half - exact)[row, : len(prompt), : len(prompt)].abs()
        print(f"{dtype}: largest {float(error.max()):.4f}, mean {float(error.mean()):.4f}")
        assert float(error.max()) < LARGEST_ERROR[dtype]
        assert float(error.mean()) < MEAN_ERROR[dtype]
    found = [{*zip(f.heads, f.tails, f.markers, strict=True)} for f in decode(half, prompts)]
    wanted = [{*zip(f.heads, f.tails, f.markers, strict=True)} for f in decode(exact, prompts)]
    assert found == wanted and any(wanted)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_the_pair_head_loses_nothing_but_the_rounding_of_its_inputs(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = RexModel(RexConfig(vocab_size=8, hidden_size=64, num_hidden_layers=0, num_attention_heads=1)).eval()
    half = build_model(model.config, model.state_dict(), dtype=dtype)
    rounded = build_model(model.config, half.state_dict(), dtype=torch.float32)
    hidden, positions = torch.randn(1, 6, 64).to(dtype), torch.tensor([[0, 1, 300, 301, 510, 511]])
    with torch.inference_mode():
        found, wanted = half.links(hidden, positions), rounded.links(hidden.float(), positions)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_a_half_product_keeps_its_float32_sums_on_the_card(dtype: torch.dtype) -> None:
    layer = nn.Linear(64, 64).requires_grad_(False).to("cuda", dtype)
    x = torch.randn(2, 5, 64, device="cuda", dtype=dtype)
    wanted = nn.functional.linear(x.double(), layer.weight.double(), layer.bias.double())
    assert widened(layer, x).dtype == torch.float32
    torch.testing.assert_close(widened(layer, x).double(), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_layer_norm_sums_in_float32(dtype: torch.dtype) -> None:
    # The sum of squares is beyond float16, and bfloat16 could not tell 1000 numbers from 1001.
    x = (torch.randn(2, 768, generator=torch.Generator().manual_seed(1)) * 40).to(dtype)
    found = nn.functional.layer_norm(x, (768,)).float()
    wanted = nn.functional.layer_norm(x.float(), (768,))
    assert float(x.float().square().sum(-1).min()) > torch.finfo(torch.float16).max
    torch.testing.assert_close(found, wanted, atol=0, rtol=torch.finfo(dtype).eps)


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
def test_softmax_sums_in_float32(backend: str) -> None:
    length = 3000  # equal weights, whose sum would stop growing at 256 in bfloat16 and at 2048 in float16
    query = torch.zeros(1, 1, length, 16)
    value = torch.ones(1, 1, length, 16)
    config = RexConfig(hidden_size=16, num_attention_heads=1)
    pairs = relate(backend)(config, torch.zeros(1, length, dtype=torch.long), max_distance=0)
    for dtype in (torch.float16, torch.bfloat16):
        found = attend(query.to(dtype), query.to(dtype), value.to(dtype), None, None, pairs, backend=backend)
        torch.testing.assert_close(found, value.to(dtype), atol=2e-3 if dtype == torch.float16 else 1e-2, rtol=0)
