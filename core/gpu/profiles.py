"""What suits a card: number type, batch size, share of its memory; one table, one choice (pure).

Known from the makers: names, memory, and which cards compute in bfloat16 (compute capability 8.0 and later). Chosen
and not measured yet: batch sizes (large enough to fill the card, small enough that an urgent request waits for one
short batch) and shares of the memory. The window length is the one the network was trained with, on every card: other
windows could mean other answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from core.config import MemoryBudget, Settings
from core.errors import DeviceError

GIB = 2**30
CARD_DTYPE = "float16"
"""What `REX_DTYPE=auto` means on cards of capability 8.0 and later: "float32", "bfloat16" or "float16".

Measured on an H200 with the embedded model and 2,000 real texts: of the annotations of float32 0.032 % differ in
float16 and 0.51 % in bfloat16; F1 moves by 0.001 and 0.15 points. A network whose numbers leave float16's range is
refused with a message, batch by batch (`core.inference.forward`).
"""

ALLOCATOR = "expandable_segments:True"
"""PyTorch's documented answer to batches of many shapes."""

GRAPHS = True
"""Whether cards run small batches as recorded CUDA graphs, unless `REX_GRAPHS` says otherwise.

Measured on an H200, one batch of 1 × 64 to 4 × 120 tokens: 1.6 to 2.6 ms against 8.8 to 13.8 ms, same logits.
"""

WINDOW = 512
TOKEN_BYTES = 256 * 2**10
"""Generous memory of one token of a batch in float32, for cards without a row in the table."""


@dataclass(frozen=True, slots=True)
class Card:
    """A card as the driver describes it; a MIG slice has its own `total_bytes`. `capability`: (major, minor)."""

    name: str
    total_bytes: int
    capability: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Profile:
    """How to treat a kind of card.

    `matches`: regular expression for the driver's name; `at_least_gib`: memory that the card or slice must have;
    `memory_budget`: share of the memory; `allocator`: value of PYTORCH_ALLOC_CONF; `attention`: backend, or auto;
    `graphs`: whether small batches run as recorded CUDA graphs.
    """

    name: str
    matches: str
    at_least_gib: float
    dtype: str
    batch_tokens: int
    memory_budget: float
    max_length: int = WINDOW
    cpu_threads: int = 1
    allocator: str = ALLOCATOR
    attention: str = "auto"
    graphs: bool = GRAPHS


GEFORCE = r"GeForce RTX [345]0\d0"
PROFILES = (
    Profile("H100", r"\bH100\b|\bG?H200\b", 75, CARD_DTYPE, 16384, 0.5),
    Profile("A100-80", r"\bA100\b", 75, CARD_DTYPE, 16384, 0.5),
    Profile("A100-40", r"\bA100\b", 36, CARD_DTYPE, 16384, 0.5),
    Profile("A10", r"\bA10G?\b", 21, CARD_DTYPE, 8192, 0.5),
    Profile("L4", r"\bL4\b", 21, CARD_DTYPE, 8192, 0.5),
    # Turing has no bfloat16, and nobody measured float16 there.
    Profile("T4", r"\bT4\b", 14, "float32", 4096, 0.7),
    Profile("RTX-32", GEFORCE, 30, CARD_DTYPE, 8192, 0.5),
    Profile("RTX-24", GEFORCE, 22, CARD_DTYPE, 8192, 0.5),
    Profile("RTX-16", GEFORCE, 14, CARD_DTYPE, 8192, 0.5),
    Profile("RTX-12", GEFORCE, 11, CARD_DTYPE, 8192, 0.5),
    Profile("RTX-8", GEFORCE, 7, CARD_DTYPE, 4096, 0.5),
)
CPU = Profile("CPU", "", 0, "float32", 1024, 1.0, cpu_threads=0, allocator="", graphs=False)
"""On the CPU: batches that fit the caches; `cpu_threads` 0 stands for the physical cores."""


def choose_profile(card: Card | None, *, cores: int = 1) -> Profile:
    """The row for a card, the derived profile where no row fits, or the CPU's with its number of physical cores."""
    if card is None:
        return replace(CPU, cpu_threads=cores)
    rows = (row for row in PROFILES if re.search(row.matches, card.name, re.IGNORECASE))
    fitting = (row for row in rows if card.total_bytes >= row.at_least_gib * GIB)
    return next(fitting, None) or derive_profile(card)


def derive_profile(card: Card) -> Profile:
    """A profile from memory and capability alone: for unknown cards and for MIG slices."""
    slice_of_card = re.search(r"\bMIG\b", card.name) is not None
    # A slice is nobody else's; an unknown card may also drive a screen.
    share = 0.9 if slice_of_card else 0.5
    # Half of the budget for a batch: the rest is for weights, context and what the estimate misses.
    affordable = int(card.total_bytes * share / 2 / TOKEN_BYTES)
    batch_tokens = 1024
    while batch_tokens * 2 <= min(affordable, 8192):
        batch_tokens *= 2
    dtype = CARD_DTYPE if card.capability >= (8, 0) else "float32"
    return Profile("MIG" if slice_of_card else "unknown", "", 0, dtype, batch_tokens, share)


def find_profile(name: str) -> Profile:
    """A row of the table by its name. Raises DeviceError with all names when there is none."""
    for row in (*PROFILES, CPU):
        if row.name.lower() == name.strip().lower():
            return row
    names = "、".join(row.name for row in (*PROFILES, CPU))
    raise DeviceError(f"没有名为“{name}”的显卡配置：REX_PROFILE 可取 auto、{names}")


def settle(settings: Settings, card: Card | None, *, cores: int = 1) -> Profile:
    """The profile in force: chosen by `card`, or named in the settings; every value set there comes before it.

    A named row may stand on another card (with REX_MEMORY_BUDGET it imitates a smaller one); the CPU keeps its own.
    """
    profile = choose_profile(card, cores=cores)
    if settings.profile.lower() != "auto":
        named = find_profile(settings.profile)
        if (card is None) != (named.name == CPU.name):
            where = "CPU" if card is None else card.name
            raise DeviceError(f"REX_PROFILE={settings.profile} 不适用于当前设备 {where}：请改用 auto 或更改 REX_DEVICE")
        profile = replace(named, cpu_threads=cores) if card is None else named
    # bfloat16 of a named row on an older card would only be emulated.
    dtype = "float32" if card and card.capability < (8, 0) and profile.dtype == "bfloat16" else profile.dtype
    return replace(
        profile,
        dtype=dtype if settings.dtype == "auto" else settings.dtype,
        batch_tokens=settings.batch_tokens or profile.batch_tokens,
        max_length=settings.max_length if "max_length" in settings.model_fields_set else profile.max_length,
        cpu_threads=settings.cpu_threads or profile.cpu_threads,
        attention=profile.attention if settings.attention == "auto" else settings.attention,
        graphs=profile.graphs if settings.graphs == "auto" else settings.graphs == "on",
    )


def budget_bytes(profile: Profile, budget: MemoryBudget, *, total_bytes: int) -> int:
    """How much of a card of `total_bytes` may be used: what was asked for, else the profile's share."""
    return budget.of(total_bytes) or int(profile.memory_budget * total_bytes)
