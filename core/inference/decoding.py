"""Link logits → scored spans and classes (SPEC 6, 7.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.inference.prompts import Prompt


@dataclass(frozen=True, slots=True)
class Fired:
    """Links of one prompt above the threshold.

    heads, tails: (S,) token indices of spans; markers: (S,) index into `prompt.markers`; probabilities: (S, 3)
    of span, head and tail link. classes: (M, 3) probabilities at the class token, for every marker, or None.
    """

    heads: np.ndarray
    tails: np.ndarray
    markers: np.ndarray
    probabilities: np.ndarray
    classes: np.ndarray | None


def logit(probability: float) -> float:
    """The logit of a probability; 0 → -inf, 1 → inf."""
    if probability <= 0 or probability >= 1:
        return math.copysign(math.inf, probability - 0.5)
    return math.log(probability / (1 - probability))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Probabilities of logits, in float64, without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x.astype(np.float64)))


def temper(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """sigmoid(logit(p) / temperature), float64: the order, 0, 0.5 and 1 stay, above 1 the rest moves towards 0.5."""
    if temperature == 1.0:
        return probabilities
    with np.errstate(divide="ignore"):  # the logits of 0 and 1 are infinite
        logits = np.log(probabilities) - np.log1p(-probabilities)
    return sigmoid(logits / temperature)


def decode(logits: Tensor, prompts: Sequence[Prompt], *, threshold: float | Sequence[float] = 0.5) -> list[Fired]:
    """logits: (B, L, L), rows in the order of `prompts`; threshold: probability a link must exceed, or one a prompt.

    A span of a type needs three links: head→tail, head→[TYPE], [TYPE]→tail. The closing [SEP] is no candidate.
    Only what fired is copied from the device: one nonzero a batch.
    """
    size = logits.shape[-1]
    text = np.zeros((len(prompts), size), bool)
    asked = np.zeros((len(prompts), size), bool)
    for row, prompt in enumerate(prompts):
        if prompt.class_index is None:
            text[row, prompt.text_start : len(prompt) - 1] = True
            asked[row, [marker.index for marker in prompt.markers]] = True
    words, marks = (torch.from_numpy(x).to(logits.device) for x in (text, asked))
    ordered = torch.ones(size, size, dtype=torch.bool, device=logits.device).triu()
    cells = (words[:, :, None] & words[:, None, :] & ordered) | (
        words[:, :, None] & marks[:, None, :] | marks[:, :, None] & words[:, None, :]
    )
    levels = np.broadcast_to(np.asarray(threshold, np.float64), len(prompts))
    bars = torch.tensor([logit(level) for level in levels], dtype=torch.float32, device=logits.device)
    where = (cells & (logits > bars[:, None, None])).nonzero()
    values = sigmoid(logits[tuple(where.T)].float().cpu().numpy())
    places = where.cpu().numpy()
    starts = np.searchsorted(places[:, 0], np.arange(len(prompts) + 1))
    fired = []
    for row, prompt in enumerate(prompts):
        part = slice(starts[row], starts[row + 1])
        if prompt.class_index is None:
            fired.append(_join(places[part, 1:], values[part], prompt))
        else:
            fired.append(_classes(logits[row], prompt))
    return fired


def _join(cells: np.ndarray, values: np.ndarray, prompt: Prompt) -> Fired:
    """Match span cells with the head and tail cells of each type."""
    columns = {marker.index: number for number, marker in enumerate(prompt.markers)}
    size = len(prompt)
    head = np.zeros((size, len(columns)))
    tail = np.zeros((size, len(columns)))
    rows, cols = cells[:, 0], cells[:, 1]
    for target, tokens, marks in ((head, rows, cols), (tail, cols, rows)):
        chosen = marks < prompt.text_start
        numbers = [columns[mark] for mark in marks[chosen]]
        target[tokens[chosen], numbers] = values[chosen]
    spans = (rows >= prompt.text_start) & (cols >= prompt.text_start)
    heads, tails, strength = rows[spans], cols[spans], values[spans]
    pair, marker = np.nonzero((head[heads] > 0) & (tail[tails] > 0))
    heads, tails = heads[pair], tails[pair]
    probabilities = np.stack((strength[pair], head[heads, marker], tail[tails, marker]), axis=-1)
    return Fired(heads, tails, marker, probabilities, None)


def _classes(logits: Tensor, prompt: Prompt) -> Fired:
    index = prompt.class_index
    marks = torch.tensor([marker.index for marker in prompt.markers], device=logits.device)
    cells = torch.stack((logits[index, index].expand(len(marks)), logits[index, marks], logits[marks, index]), dim=-1)
    none = np.zeros(0, int)
    return Fired(none, none, none, np.zeros((0, 3)), sigmoid(cells.float().cpu().numpy()))
