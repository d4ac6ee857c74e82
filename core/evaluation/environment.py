"""What a measurement was made with: versions, machine, and the hashes of the model's files."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path
from typing import Any

import torch

from core.gpu.host import read_host
from core.inference.engine import Engine
from core.model.checkpoint import TOKENIZER_FILES

_WEIGHTS = ("*.safetensors", "*.bin")
_CPU_INFO = Path("/proc/cpuinfo")


def describe(engine: Engine) -> dict[str, Any]:
    """Model, versions, hardware and the settings that can change an answer or the speed; sizes in bytes."""
    checkpoint, info, limits = engine.checkpoint, engine.info, engine.limits
    device = torch.device(info.device)
    host = read_host()
    return {
        "model": {
            "name": checkpoint.name,
            "revision": checkpoint.revision,
            "parameters": info.parameters,
            "sha256": file_hashes(checkpoint.directory),
        },
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "cuda": torch.version.cuda if device.type == "cuda" else None,
        },
        "hardware": {
            "device": device_name(device),
            "processor": processor(),
            "cores": host.cores,
            "threads": info.threads,
            "memory_bytes": host.total_bytes,
            "platform": platform.platform(),
        },
        "settings": {
            "dtype": info.dtype,
            "max_length": limits.max_length,
            "stride": limits.stride,
            "max_hint_length": limits.max_hint_length,
            "batch_tokens": engine.batch_tokens,
        },
    }


def file_hashes(directory: Path) -> dict[str, str]:
    """SHA-256 of every file of a checkpoint that decides its answers: weights, configuration, tokenizer."""
    names = {path.name for pattern in _WEIGHTS for path in directory.glob(pattern)} | {"config.json", *TOKENIZER_FILES}
    hashes = {}
    for path in sorted(directory / name for name in names):
        if path.is_file():
            with path.open("rb") as file:
                hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def device_name(device: torch.device) -> str:
    """`cpu`, or the name of the card."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def processor() -> str:
    """The processor's name as the kernel gives it, else the architecture."""
    try:
        lines = _CPU_INFO.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
