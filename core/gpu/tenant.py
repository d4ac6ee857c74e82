"""Settles on a device before the model does: the card found, the profile in force, and the governor of its memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import psutil
import torch

from core.config import Settings
from core.gpu.governor import Governor, GovernorStatus
from core.gpu.meter import NoMeter
from core.gpu.profiles import Card, Profile, budget_bytes, settle
from core.gpu.torch_meter import TorchMeter, read_card


@dataclass(frozen=True, slots=True)
class TenantStatus:
    """For the screen: the card (None on the CPU), the profile in force, and the memory against its budget."""

    card: Card | None
    profile: Profile
    memory: GovernorStatus


@dataclass(frozen=True, slots=True)
class Tenant:
    """A device with its profile and governor, ready for `governor.load`."""

    card: Card | None
    profile: Profile
    governor: Governor

    def status(self) -> TenantStatus:
        """Figures for the screen; can be pickled."""
        return TenantStatus(self.card, self.profile, self.governor.status())


def move_in(settings: Settings, device: torch.device, *, record: Callable[[str, str], None]) -> Tenant:
    """Choose the profile for `device` and bound its memory; on a card this starts CUDA.

    Load with `governor.load`, then measure with `governor.calibrate`. Raises DeviceError for a profile that is
    unknown or meant for another kind of device.
    """
    card = read_card(device)
    profile = settle(settings, card, cores=physical_cores())
    if card is None:
        return Tenant(card, profile, Governor(NoMeter(), budget_bytes=0, record=record))
    meter = TorchMeter(device, allocator=profile.allocator)
    budget = budget_bytes(profile, settings.budget, total_bytes=card.total_bytes)
    return Tenant(card, profile, Governor(meter, budget_bytes=budget, record=record))


def physical_cores() -> int:
    """Cores for one pass on the CPU: physical ones, those given to this process, and no more than torch would take."""
    process = psutil.Process()
    affinity = getattr(process, "cpu_affinity", None)  # not on every system
    allowed = len(affinity()) if affinity else psutil.cpu_count() or 1
    return max(1, min(psutil.cpu_count(logical=False) or allowed, allowed, torch.get_num_threads()))
