"""Which card CUDA calls by which number: it follows CUDA_VISIBLE_DEVICES, the driver does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.gpu.torch_view import bare_uuid

BUS_ORDER = "PCI_BUS_ID"


@dataclass(frozen=True, slots=True)
class Visible:
    """CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER as they are set; `devices` is None where it is not set."""

    devices: str | None = None
    order: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """What CUDA may use, in the driver's order: a card, or one MIG instance of the card `index`."""

    index: int
    uuid: str
    name: str = ""
    parent_uuid: str = ""
    instance: int | None = None


def cuda_numbers(parts: Sequence[Part], visible: Visible) -> dict[int, int | None] | None:
    """The place in `parts` → CUDA's number, for those that CUDA may see; None where the numbers cannot be known.

    Without CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA puts the fastest card first, so the number (not the visibility) of
    unlike cards is None until CUDA itself tells it. The first entry that names nothing ends the list, as in CUDA.
    """
    alike = len({part.name for part in parts}) <= 1
    ordered = alike or visible.order == BUS_ORDER
    if visible.devices is None:
        # Of MIG instances CUDA uses the first alone.
        shown = [place for place, part in enumerate(parts) if part.instance is None] or list(range(min(1, len(parts))))
        return {place: number if ordered else None for number, place in enumerate(shown)}
    chosen: list[int] = []
    by_number = False
    for entry in (one.strip() for one in visible.devices.split(",")):
        place = _find(parts, entry)
        if place is None or place in chosen:
            break
        by_number = by_number or entry.isdigit()
        chosen.append(place)
    if by_number and not ordered:
        return None if len(chosen) < len(parts) else dict.fromkeys(chosen)
    return {place: number for number, place in enumerate(chosen)}


def _find(parts: Sequence[Part], entry: str) -> int | None:
    """The place that an entry names: the number of a card, the beginning of a UUID, or MIG-GPU-<uuid>/<gi>/<ci>."""
    if entry.isascii() and entry.isdigit():
        found = [place for place, part in enumerate(parts) if part.index == int(entry)]
        return found[0] if found else None
    if entry.startswith("MIG-GPU-"):
        uuid = bare_uuid(entry.removeprefix("MIG-").split("/")[0])
        found = [
            place
            for place, part in enumerate(parts)
            if part.instance is not None and bare_uuid(part.parent_uuid) == uuid
        ]
        return found[0] if len(found) == 1 else None
    if not entry.lower().startswith(("gpu-", "mig-")):
        return None
    found = [place for place, part in enumerate(parts) if part.uuid.lower().startswith(entry.lower())]
    return found[0] if len(found) == 1 else None
