"""Shape of the network, read from a checkpoint's `config.json` (SPEC 0, 5)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from core.errors import CheckpointError
from core.tasks import TASKS

MARKERS = ("[PREFIX]", "[TYPE]", "[CLASSIFY]", "[MULTICLASSIFY]")
"""Added to the vocabulary in this order; their embedding rows follow the `vocab_size` ordinary ones (SPEC 0.3)."""

FAMILIES = (*(name for name in TASKS if name != "rex"), "choice")
"""What has a temperature of its own: the tasks, and the questions with options, which `mrc` asks as classes."""


@dataclass(frozen=True, slots=True)
class RexConfig:
    """The fields of a DeBERTa-v2 `config.json` that decide this network; defaults are the base size."""

    vocab_size: int = 12800
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    max_relative_positions: int = -1
    position_buckets: int = 256
    layer_norm_eps: float = 1e-7
    norm_rel_ebd: str = "layer_norm"
    pos_att_type: tuple[str, ...] = ("p2c", "c2p")
    share_att_key: bool = True
    conv_kernel_size: int = 0
    conv_act: str = "tanh"
    conv_groups: int = 1
    initializer_range: float = 0.02
    groups_per_hint: int = 0
    """Prefix groups that share a hint, 0: as many as fit, as the reference does. Compact models keep few apart."""
    temperatures: Mapping[str, float] = field(default_factory=dict)
    """By what the logits behind the scores of a task family are divided, 1 where absent; decisions at 0.5 stay."""

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_attention_heads:
            raise CheckpointError(
                f"config.json：hidden_size {self.hidden_size} 不能被 "
                f"num_attention_heads {self.num_attention_heads} 整除"
            )
        for name in ("hidden_act", "conv_act"):
            if getattr(self, name) not in {"gelu", "relu", "tanh"}:
                raise CheckpointError(f"config.json：不支持的 {name} “{getattr(self, name)}”（支持 gelu、relu、tanh）")
        if not isinstance(self.temperatures, Mapping):
            raise CheckpointError(f'config.json：temperatures 应为对象，如 {{"ner": 1.5}}，现为 {self.temperatures!r}')
        for family, value in self.temperatures.items():
            if family not in FAMILIES:
                raise CheckpointError(f"config.json：temperatures 里没有“{family}”这类任务：可选 {'、'.join(FAMILIES)}")
            # A bool is an int to Python, and json reads NaN and Infinity.
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise CheckpointError(f"config.json：temperatures 的 {family} 应为正数，现为 {value!r}")

    @property
    def num_embeddings(self) -> int:
        """Rows of the word embedding: the vocabulary and the markers."""
        return self.vocab_size + len(MARKERS)

    @property
    def head_size(self) -> int:
        """D."""
        return self.hidden_size // self.num_attention_heads

    @property
    def span(self) -> int:
        """S: distances are clamped to [-S, S) (SPEC 5.3)."""
        if self.position_buckets > 0:
            return self.position_buckets
        return self.max_relative_positions if self.max_relative_positions > 0 else self.max_position_embeddings

    @property
    def log_buckets(self) -> bool:
        """Whether far distances share logarithmic buckets; off when max_relative_positions is -1 (SPEC 5.2)."""
        return self.position_buckets > 0 and self.max_relative_positions > 0

    @classmethod
    def from_file(cls, path: Path) -> RexConfig:
        """Read `config.json`; raises CheckpointError when it is missing, broken or of another network."""
        try:
            raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            present = "、".join(sorted(p.name for p in path.parent.iterdir())) or "（空目录）"
            raise CheckpointError(
                f"检查点目录 {path.parent} 缺少 config.json（还需要分词器文件和权重）；现有：{present}"
            ) from None
        except (OSError, ValueError) as error:
            raise CheckpointError(f"模型配置文件 {path} 无法读取：{error}") from error
        if raw.get("model_type", "deberta-v2") != "deberta-v2":
            raise CheckpointError(f"{path}：model_type 是 “{raw['model_type']}”，只支持 deberta-v2")
        for name, wanted in (("position_biased_input", False), ("type_vocab_size", 0), ("relative_attention", True)):
            if raw.get(name, wanted) != wanted:
                raise CheckpointError(f"{path}：{name} 应为 {json.dumps(wanted)}，现为 {json.dumps(raw[name])}")
        if raw.get("embedding_size", raw.get("hidden_size")) != raw.get("hidden_size"):
            raise CheckpointError(f"{path}：不支持与 hidden_size 不同的 embedding_size")
        known = {field.name for field in fields(cls)}
        values = {name: value for name, value in raw.items() if name in known}
        kinds = values.get("pos_att_type", ("p2c", "c2p"))
        values["pos_att_type"] = tuple(kinds.split("|") if isinstance(kinds, str) else kinds)
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """The content of `config.json`, in the official format."""
        values = asdict(self) | {"pos_att_type": list(self.pos_att_type)}
        if not self.temperatures:
            del values["temperatures"]
        return {
            "model_type": "deberta-v2",
            "architectures": ["RexModel"],
            "relative_attention": True,
            "position_biased_input": False,
            "type_vocab_size": 0,
            "pad_token_id": 0,
        } | values
