"""Replaced-token pre-training: find the tokens that a generator put in, and say what stood there.

A frozen masked language model fills the masked places; the network learns to tell its words from the author's
(ELECTRA, arXiv 2003.10555) and to restore those (the corrective head of COCO-LM, arXiv 2102.08473). Every token
gives a signal, not only the masked ones, and the network never sees [MASK], as it never will in use.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.model.encoder import Encoder
from core.training.contiguous import MaskedHead, MaskedLanguageModel, at_places, encode
from core.training.masking import NO_LABEL, is_ordinary


class DetectionHead(nn.Module):
    """One logit a token: above 0 where the token is not the author's."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(size, size)
        self.score = nn.Linear(size, 1)
        for layer in (self.dense, self.score):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, L, H) → (B, L)."""
        logits: Tensor = self.score(functional.gelu(self.dense(hidden)))
        return logits[..., 0]


class ReplacedTokenModel(nn.Module):
    """Encoder and both heads → correction loss + `weight` × detection loss."""

    def __init__(self, encoder: Encoder, generator: MaskedLanguageModel, *, weight: float) -> None:
        super().__init__()
        self.plm = encoder
        self.mlm = MaskedHead(encoder.config.hidden_size, encoder.config.vocab_size)
        self.rtd = DetectionHead(encoder.config.hidden_size)
        self.generator = generator.requires_grad_(False)
        self.weight = weight

    def forward(self, input_ids: Tensor, positions: Tensor, labels: Tensor) -> Tensor:
        """As MaskedLanguageModel: a masked batch, (B, L), (B, K) and (B, K) int64 → scalar float32."""
        known = labels != NO_LABEL
        original = input_ids.scatter(1, positions, torch.where(known, labels, input_ids.gather(1, positions)))
        with torch.no_grad():
            guesses = self._sample(input_ids, positions)
            shown = original.scatter(1, positions, torch.where(known, guesses, original.gather(1, positions)))
        hidden = encode(self.plm, shown)
        logits = self.mlm(at_places(hidden, positions), self.plm.embeddings.word_embeddings.weight)
        correction = functional.cross_entropy(logits.float(), labels.flatten(), ignore_index=NO_LABEL)
        changed = (shown != original).float()
        each = functional.binary_cross_entropy_with_logits(self.rtd(hidden).float(), changed, reduction="none")
        counted = is_ordinary(original).float()
        return correction + self.weight * (each * counted).sum() / counted.sum()

    def _sample(self, input_ids: Tensor, positions: Tensor) -> Tensor:
        """A token for each place, drawn from what the generator thinks of it: (B, K)."""
        hidden = encode(self.generator.plm, input_ids)
        table = self.generator.plm.embeddings.word_embeddings.weight
        logits = self.generator.mlm(at_places(hidden, positions), table).float()
        uniform = torch.rand_like(logits).clamp_(1e-9, 1 - 1e-7)
        return (logits - torch.log(-torch.log(uniform))).argmax(-1).view_as(positions)  # the Gumbel trick
