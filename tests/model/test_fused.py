"""What is done in one step instead of several (sum and norm; query, key and value), and where that cannot be done."""

from __future__ import annotations

import importlib.util
import os

import pytest
import torch
from torch import nn

from core.errors import DeviceError
from core.model import backends, fused
from core.model.attention import DisentangledAttention
from core.model.backends import check_attention, choose_backend
from core.model.config import RexConfig
from core.model.encoder import Encoder

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when the kernel is imported: it then runs on the CPU

NO_TRITON = importlib.util.find_spec("triton") is None
CONFIG = RexConfig(vocab_size=40, hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
CARD, CPU = torch.device("cuda"), torch.device("cpu")


def _norm(size: int, dtype: torch.dtype = torch.float32) -> nn.LayerNorm:
    norm = nn.LayerNorm(size, 1e-7).to(dtype).requires_grad_(False)
    generator = torch.Generator().manual_seed(3)
    norm.weight.data = torch.randn(size, generator=generator).to(dtype)
    norm.bias.data = torch.randn(size, generator=generator).to(dtype)
    return norm


@pytest.mark.skipif(NO_TRITON, reason="triton is not installed")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("shape", [(1, 1, 16), (3, 7, 48), (2, 5, 768)], ids=str)
def test_the_kernel_gives_the_norm_of_the_unrounded_sum(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    from core.model.fused_norm import add_norm

    device = "cuda" if torch.cuda.is_available() else "cpu"
    x, residual = (3 * torch.randn(2, *shape, generator=torch.Generator().manual_seed(1)) + 1).to(device, dtype)
    norm = _norm(shape[-1], dtype).to(device)
    found = add_norm(x, residual, norm.weight, norm.bias, norm.eps)
    exact = nn.functional.layer_norm(
        x.double() + residual.double(), shape[-1:], norm.weight.double(), norm.bias.double(), norm.eps
    )
    assert found.dtype == dtype and found.shape == x.shape
    close = {torch.float32: 1e-5, torch.float16: 4e-3}[dtype]
    torch.testing.assert_close(found.double(), exact, atol=close, rtol=close)


def test_off_a_card_sum_and_norm_are_torch_s_own_and_learn() -> None:
    x, residual, norm = torch.randn(2, 3, 24, requires_grad=True), torch.randn(2, 3, 24), _norm(24)
    found = fused.add_norm(x, residual, norm)
    assert torch.equal(found, norm(x + residual))
    found.sum().backward()
    assert x.grad is not None


@pytest.mark.gpu
def test_a_card_can_compile_the_kernels() -> None:
    assert fused.triton_fault(CARD) == ""


@pytest.mark.skipif(torch.cuda.is_available(), reason="a card is there")
def test_without_a_card_triton_is_named_as_what_is_missing_and_nothing_fails() -> None:
    fused.triton_fault.cache_clear()
    assert fused.triton_fault(CARD)


@pytest.mark.parametrize("fault", ["", "RuntimeError: Failed to find C compiler"])
def test_half_precision_on_a_card_takes_the_kernel_or_where_it_cannot_be_compiled_sdpa(
    monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(backends, "triton_fault", lambda device: fault)
    expected = "sdpa" if fault else "triton"
    for dtype in (torch.float16, torch.bfloat16):
        assert choose_backend(CARD, dtype, 128) == choose_backend(CARD, dtype, 5000) == expected
        told = check_attention("auto", CARD, dtype)
        assert (fault in told and "sdpa" in told) if fault else told == ""
    assert choose_backend(CARD, torch.float32, 128) == "sdpa"
    assert check_attention("auto", CARD, torch.float32) == check_attention("auto", CPU, torch.float32) == ""


def test_a_backend_of_the_settings_that_cannot_work_is_refused_when_the_network_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backends, "triton_fault", lambda device: "没有安装 triton")
    with pytest.raises(DeviceError, match="REX_ATTENTION=triton.*没有安装 triton"):
        check_attention("triton", CARD, torch.float16)
    with pytest.raises(DeviceError, match="REX_ATTENTION=triton.*没有显卡"):
        check_attention("triton", CPU, torch.float32)
    with pytest.raises(DeviceError, match="REX_ATTENTION=flash.*auto、eager、sdpa、triton"):
        check_attention("flash", CARD, torch.float16)
    assert check_attention("sdpa", CARD, torch.float16) == check_attention("eager", CPU, torch.float32) == ""


def _encoder() -> Encoder:
    torch.manual_seed(7)
    return Encoder(CONFIG).eval().requires_grad_(False)


def _hidden(encoder: Encoder) -> torch.Tensor:
    with torch.inference_mode():
        return encoder(torch.arange(1, 10)[None], torch.arange(9)[None], max_distance=8)


def _first(encoder: Encoder) -> DisentangledAttention:
    layer = encoder.layers[0].attention["self"]
    assert isinstance(layer, DisentangledAttention)
    return layer


def test_joined_weights_are_the_weights_and_take_no_second_memory() -> None:
    encoder = _encoder()
    apart, names = _hidden(encoder), encoder.state_dict().keys()
    encoder.join()
    torch.testing.assert_close(_hidden(encoder), apart, atol=1e-5, rtol=1e-5)
    attention = _first(encoder)
    joined = attention._joined_weights()
    assert joined is not None and encoder.state_dict().keys() == names
    assert torch.equal(
        joined[0], torch.cat([attention.query_proj.weight, attention.key_proj.weight, attention.value_proj.weight])
    )
    assert attention.key_proj.weight.untyped_storage().data_ptr() == joined[0].untyped_storage().data_ptr()


@pytest.mark.parametrize("way", ["edit", "replace", "cast", "train"])
def test_weights_that_changed_after_they_were_joined_are_the_ones_used(way: str) -> None:
    encoder, other = _encoder(), _encoder()
    encoder.join()
    attention, plain = _first(encoder), _first(other)
    new = torch.randn(24, 24, generator=torch.Generator().manual_seed(9))
    plain.key_proj.weight.data = new.clone()
    if way == "edit":
        attention.key_proj.weight.copy_(new)
    elif way == "replace":
        attention.key_proj.weight.data = new
    elif way == "cast":
        attention.key_proj.weight.copy_(new)
        encoder.double()
        other.double()
    else:
        attention.key_proj.weight.copy_(new)
        encoder.requires_grad_(True)
    assert (attention._joined_weights() is None) == (way != "edit")
    torch.testing.assert_close(_hidden(encoder), _hidden(other), atol=1e-5, rtol=1e-5)
