"""Which PyTorch runs with which driver on which card (pure).

The driver versions are NVIDIA's (CUDA compatibility guide and release notes of the toolkit): within one major version
of CUDA a build runs on every driver from the first on, without compiling PTX; on the driver of its own release, wholly.
"""

from __future__ import annotations

import re

Version = tuple[int, ...]

MIN_DRIVER = {11: "450.80.02", 12: "525.60.13", 13: "580.65.06"}
MIN_DRIVER_WINDOWS = {11: "452.39", 12: "528.33", 13: "580"}
"""First driver for a build of a CUDA major version; WSL uses the driver of Windows, with its numbers."""

OWN_DRIVER = {
    "11.8": "520.61.05",
    "12.0": "525.60.13",
    "12.1": "530.30.02",
    "12.4": "550.54.14",
    "12.6": "560.28.03",
    "12.8": "570.26",
    "12.9": "575.51.03",
    "13.0": "580.65.06",
}
"""Driver that came with a release of the toolkit, on Linux; from it on, PTX is compiled too."""

ARTICLE = {"driver": "525.85.12", "cuda": "11.8", "torch": "2.0.1"}
"""The versions that instructions for deployments on A10 and A100 fix; users ask whether they need these."""

PYTHON_RANGE: tuple[Version, Version] = ((3, 11), (3, 13))
MIN_TORCH: Version = (2, 6)
"""Before, reading weights without running code had a hole (CVE-2025-32434)."""
TESTED_TORCH: tuple[Version, Version] = ((2, 11), (2, 13))
MIN_CAPABILITY: Version = (7, 0)
"""First cards with tensor cores; the table of profiles begins at 7.5."""


def version_of(text: str) -> Version:
    """The leading numbers of a version: "525.85.12" → (525, 85, 12), "2.13.0+cu130" → (2, 13, 0)."""
    match = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def least_driver(cuda: str, *, windows: bool) -> str | None:
    """The first driver that runs a build of this CUDA version; None for a major version that is not in the table."""
    table = MIN_DRIVER_WINDOWS if windows else MIN_DRIVER
    return table.get(version_of(cuda)[0]) if version_of(cuda) else None


def compiles_ptx(cuda: str, driver: str) -> bool:
    """Whether the driver is no older than the release of CUDA, and therefore compiles its PTX."""
    own = OWN_DRIVER.get(".".join(map(str, version_of(cuda)[:2])))
    return own is None or version_of(driver) >= version_of(own)


def runs_on(capability: str, archs: tuple[str, ...]) -> str:
    """How a build runs on a card: "binary" (compiled for it), "ptx" (the driver must compile), or "" (not at all)."""
    major, minor = version_of(capability)[:2]
    compiled = [_arch(one) for one in archs if one.startswith("sm_")]
    if any(have[0] == major and have[1] <= minor for have in compiled):
        return "binary"
    portable = [_arch(one) for one in archs if one.startswith("compute_")]
    return "ptx" if any(have <= (major, minor) for have in portable) else ""


def _arch(name: str) -> tuple[int, int]:
    digits = re.sub(r"\D", "", name)
    return int(digits[:-1]), int(digits[-1])


def dotted(version: Version) -> str:
    """(525, 60, 13) → "525.60.13"."""
    return ".".join(map(str, version))
