"""Several processes that train one network together, one to a GPU, each on batches of its own.

Start them with `torchrun --nproc-per-node N -m core.training.finetune …`; started plainly, a process is alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from core.model.checkpoint import resolve_device


@dataclass(frozen=True, slots=True)
class Team:
    """This process's number among `size`, and its device."""

    member: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process scores, logs and saves."""
        return self.member == 0

    def average(self, parameters: Sequence[Tensor]) -> None:
        """Replace each gradient by its mean over all processes; every process must have the same ones."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.size
        parts = flat.split([gradient.numel() for gradient in gradients])
        torch._foreach_copy_(gradients, [part.view_as(one) for part, one in zip(parts, gradients, strict=True)])

    def largest(self, number: float) -> float:
        """The largest of the processes' numbers, so that all of them decide alike; does not wait for the device."""
        if self.size == 1:
            return number
        shared = torch.tensor(number, dtype=torch.float64)
        distributed.all_reduce(shared, op=distributed.ReduceOp.MAX)
        return float(shared)

    def leave(self) -> None:
        """Part from the others."""
        if self.size > 1:
            distributed.destroy_process_group()


def join(device: str) -> Team:
    """Meet the processes that torchrun started beside this one."""
    if not distributed.is_torchelastic_launched():
        return Team(0, 1, resolve_device(device))
    own = torch.device("cuda", distributed.get_node_local_rank()) if torch.cuda.is_available() else torch.device("cpu")
    if own.type == "cuda":
        torch.cuda.set_device(own)
    distributed.init_process_group("cpu:gloo,cuda:nccl" if own.type == "cuda" else "gloo")
    return Team(distributed.get_rank(), distributed.get_world_size(), own)
