"""A tiny network with a character vocabulary, for the tests of training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from core.inference.prompts import PieceEncoder
from core.model.checkpoint import save_checkpoint
from core.model.config import RexConfig
from core.model.rex import RexModel
from core.model.tokenizer import RexTokenizer

WORDS = ["iphone", "##s", "ok"]


@pytest.fixture
def tiny_checkpoint(tmp_path: Path) -> Callable[[str], Path]:
    """Characters that must be known → a checkpoint directory of a network of two layers."""

    def write(characters: str) -> Path:
        source, target = tmp_path / "vocabulary", tmp_path / "tiny"
        source.mkdir()
        specials = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
        vocabulary = [*specials, *WORDS, *sorted(set(characters) - set(" \n"))]
        (source / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
        config = RexConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            conv_kernel_size=3,
            conv_act="gelu",
        )
        torch.manual_seed(0)
        save_checkpoint(RexModel(config), target, tokenizer_from=source)
        return target

    return write


@pytest.fixture
def pieces(tiny_checkpoint: Callable[[str], Path]) -> PieceEncoder:
    """The tokenizer of a tiny checkpoint that knows the characters of the tests' texts."""
    known = "张三在北京买了李四的苹果，王五去上海。人物地理位置组织机构配偶属性词正负中向情感段落蕴含矛盾:：;；#好很不"
    return PieceEncoder(RexTokenizer.from_directory(tiny_checkpoint(known)))
