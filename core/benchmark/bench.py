"""What every scenario is given: the device, the texts, how much to do, and where the base-size network is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from core.benchmark.network import EMBEDDED, few_spans_threshold, save_base
from core.benchmark.texts import of_length
from core.model.checkpoint import resolve_device


@dataclass
class Bench:
    """One run of the benchmark.

    dtype: of the engine, "auto" for what the product would choose. quick: a few requests only, to see that a
    scenario works; its values never enter the summary. scratch: a directory of this run alone. written: a base-size
    network of an earlier run, to save the time of writing it.
    """

    device_name: str
    dtype: str
    texts: list[str]
    records: Path
    quick: bool
    scratch: Path
    progress: Callable[[str], None]
    model: Path = EMBEDDED
    written: Path | None = None

    @cached_property
    def device(self) -> torch.device:
        """The device that is measured; raises DeviceError when it is not there."""
        return resolve_device(self.device_name)

    @property
    def kind(self) -> str:
        """ "cuda" or "cpu"."""
        return self.device.type

    @cached_property
    def base(self) -> Path:
        """The base-size checkpoint with random weights, written on first use."""
        if self.written is not None and (self.written / "config.json").is_file():
            return self.written
        self.progress("写出基准尺寸的随机网络")
        return save_base(self.written or self.scratch / "base")

    @cached_property
    def threshold(self) -> float:
        """The score at which the base-size network gives a few spans a text."""
        return few_spans_threshold(self.base, of_length(self.texts, 4, length=128))

    @cached_property
    def window_threshold(self) -> float:
        """The same for texts that fill windows: there are ten times the pairs of words that might fire at random."""
        return few_spans_threshold(self.base, of_length(self.texts, 4, length=400))

    def count(self, full: int, quick: int) -> int:
        """How many: `quick` in a quick run."""
        return quick if self.quick else full
