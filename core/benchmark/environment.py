"""What a measurement was made on: machine, versions, revision, load. Reads nothing that needs a package of its own."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from core.benchmark.texts import ROOT

PACKAGES = ("torch", "numpy", "tokenizers", "triton", "transformers", "flashdeberta")


def describe(device: torch.device) -> dict[str, Any]:
    """Hardware, versions and git revision; sizes in bytes, load as the mean of the last minute."""
    return {
        "hardware": hardware(device),
        "processor": _first("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "memory_bytes": _memory_bytes(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "card_bytes": torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else None,
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "revision": _git("rev-parse", "--short=12", "HEAD"),
        "modified": bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


def hardware(device: torch.device) -> str:
    """The card's name, or the processor with its cores."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_first('/proc/cpuinfo', 'model name') or platform.machine()}, {os.cpu_count()} cores"


def rss_bytes(pid: int) -> int | None:
    """Resident memory of a process, None when it is gone or the system does not say."""
    field = _first(f"/proc/{pid}/status", "VmRSS")
    return int(field.split()[0]) * 1024 if field else None


def _memory_bytes() -> int | None:
    field = _first("/proc/meminfo", "MemTotal")
    return int(field.split()[0]) * 1024 if field else None


def _first(path: str, name: str) -> str | None:
    try:
        lines = Path(path).read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
