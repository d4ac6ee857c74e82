"""How far a fine-tuning by epochs is: what is told of it while it runs, and what it writes down to go on later."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import InputError
from core.training.scoring import Score


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of a run. phase: before (scoring first), train, score, save. share: of all passes, in [0, 1].

    loss: mean of the step that has just ended. held_back_f1, held_back_loss: at the end of a pass. before: the scores
    of the checkpoint as it was, told once.
    """

    phase: str
    epoch: int = 0
    epochs: int = 0
    share: float = 0.0
    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    loss: float | None = None
    held_back_f1: float | None = None
    held_back_loss: float | None = None
    before: tuple[Score, ...] = ()


Watch = Callable[[Progress], None]


def unwatched(progress: Progress) -> None:
    """The watch of a run that nobody looks at."""


@dataclass(slots=True)
class Left:
    """What a run needs to go on behind a pass: the best weights so far and where it stands. kept: the best pass."""

    kept: int
    epoch: int = 0
    best: tuple[float, float] = (-1.0, 0.0)
    scores: tuple[Score, ...] = ()
    weights: dict[str, Tensor] | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    steps: int = 0
    tokens: int = 0
    lost: int = 0


def save_left(path: Path | None, left: Left, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Write all that `load_left` reads; the file is whole at any moment."""
    if path is None:
        return
    values = {one.name: getattr(left, one.name) for one in fields(Left)}
    values |= {"scores": [asdict(score) for score in left.scores], "best": list(left.best)}
    values |= {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "random": torch.get_rng_state()}
    part = path.with_name(path.name + ".part")
    torch.save(values, part)
    os.replace(part, path)


def load_left(path: Path | None, model: nn.Module, optimizer: torch.optim.Optimizer) -> Left | None:
    """Bring network and optimiser where the run was; None when there is nothing to go on from.

    Raises InputError for a file that cannot be read.
    """
    if path is None or not path.is_file():
        return None
    device = next(model.parameters()).device
    try:
        values = torch.load(path, map_location=device, weights_only=True)
        model.load_state_dict(values.pop("model"))
        optimizer.load_state_dict(values.pop("optimizer"))
        torch.set_rng_state(values.pop("random").cpu())
        scores = tuple(Score(**score) for score in values.pop("scores"))
        return Left(**values | {"scores": scores, "best": tuple(values["best"])})
    except Exception as error:  # torch raises errors of pickle, zip and its own for a damaged file
        raise InputError(f"无法接着 {path} 继续训练：{type(error).__name__}: {error}。请删除它后重新开始") from error
