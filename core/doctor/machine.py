"""Gathers the facts of this machine; changes nothing, and what cannot be read is told in the facts."""

from __future__ import annotations

import ctypes
import platform
import re
import shutil
import sqlite3
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from core.config import ROOT, Settings, allocator_setting, c_compiler, caching_off
from core.doctor.machine_files import read_database, read_model
from core.doctor.machine_ports import read_ports
from core.doctor.records import CardFacts, Facts, TorchFacts
from core.gpu.cards import read_cards
from core.gpu.nvml import NvmlDriver, NvmlFailure

OPTIONAL = ("psycopg", "ray", "authlib")
TIME_ERROR = 5  # adjtimex: the clock is not kept by anything
TIMEX_BYTES = 208


def gather(
    settings: Settings, *, port: int = 0, whole: bool = True, told: Callable[[str], None] = lambda step: None
) -> Facts:
    """The facts of this machine; `told(step)` hears of every step before it begins.

    port: of the desk, 0 for none; whole: read all of the database and of the model's files, which takes seconds.
    """
    told("machine")
    facts = Facts(
        python=platform.python_version(),
        system=platform.system(),
        machine=platform.machine(),
        wsl="microsoft" in platform.release().lower(),
        container=Path("/.dockerenv").exists() or Path("/run/.containerenv").exists(),
        wanted_device=settings.device,
        allocator=allocator_setting(),
        caching_off=caching_off(),
        triton=_version("triton"),
        compiler=_compiler(),
        headers=Path(sysconfig.get_path("include"), "Python.h").is_file(),
        sqlite=sqlite3.sqlite_version,
        required=pinned(ROOT / "requirements.txt"),
        optional={name: found for name in OPTIONAL if (found := _version(name))},
        cores=psutil.cpu_count() or 0,
        now_s=time.time(),
        synchronized=_synchronized(),
    )
    facts = replace(facts, packages={one: found for one in facts.required if (found := _version(one))})
    facts = _memory(_disk(facts, settings.data_dir))
    told("card")
    facts = replace(_cards(facts), torch=_torch())
    told("database")
    url = settings.resolved_database_url
    facts = replace(facts, database=read_database(url, whole=whole), newest_s=_newest(settings.data_dir))
    told("model")
    facts = replace(facts, model=read_model(settings, whole=whole))
    told("ports")
    return replace(facts, ports=read_ports({"工作台": port, "健康检查": settings.health_port}))


def pinned(path: Path) -> dict[str, str]:
    """The versions that a requirements file asks for; empty where there is none."""
    text = path.read_text("utf-8") if path.is_file() else ""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;#]+)", text, re.MULTILINE))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _compiler() -> str:
    """As Triton looks for it: CC, then clang or gcc."""
    for name in (c_compiler(), "gcc", "clang", "cc"):
        if name and (path := shutil.which(name)):
            return path
    return ""


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _disk(facts: Facts, data_dir: Path) -> Facts:
    folder = _existing(data_dir.absolute())
    problem = ""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        problem = str(error)
    mounts = [one for one in psutil.disk_partitions(all=True) if folder.is_relative_to(one.mountpoint)]
    nearest = max(mounts, key=lambda one: len(one.mountpoint), default=None)
    return replace(
        facts,
        data_dir=str(data_dir),
        write_problem=problem,
        free_bytes=shutil.disk_usage(folder).free,
        filesystem="" if nearest is None else nearest.fstype,
    )


def _memory(facts: Facts) -> Facts:
    """Of the machine, or what the container may still take."""
    host = psutil.virtual_memory()
    total, available = int(host.total), int(host.available)
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
    except (OSError, ValueError):  # no limit ("max"), or no such control group
        return replace(facts, total_bytes=total, available_bytes=available)
    return replace(facts, total_bytes=min(total, limit), available_bytes=min(available, max(0, limit - used)))


def _cards(facts: Facts) -> Facts:
    nvml = NvmlDriver()
    try:
        nvml.query("nvmlInit")
    except NvmlFailure as failure:
        return replace(facts, driver_problem=failure.reason)
    try:
        cuda = int(nvml.query("nvmlSystemGetCudaDriverVersion_v2"))
        driver = nvml.query("nvmlSystemGetDriverVersion")
        found = read_cards(nvml, {})
    except NvmlFailure as failure:
        return replace(facts, driver_problem=failure.reason)
    finally:
        nvml.query("nvmlShutdown")
    cards = tuple(
        CardFacts(
            name=one.name or f"GPU {one.index}",
            capability=one.capability,
            total_bytes=one.total_bytes,
            free_bytes=one.free_bytes,
            mig_enabled=one.mig_enabled,
            mig_instance=one.mig_instance,
            problem=one.problem,
        )
        for one in found
    )
    return replace(facts, driver=str(driver), driver_cuda=f"{cuda // 1000}.{cuda % 1000 // 10}", cards=cards)


def _torch() -> TorchFacts:
    try:
        import torch
    except Exception as error:  # whatever a broken installation raises: missing libraries, wrong architecture
        return TorchFacts(problem=f"{type(error).__name__}: {error}")
    sees = torch.cuda.is_available()
    return TorchFacts(str(torch.__version__), torch.version.cuda, tuple(torch.cuda.get_arch_list()), sees)


def _newest(data_dir: Path) -> float | None:
    """When the database was last written to, by its files."""
    files = [path for path in data_dir.glob("app.db*") if path.is_file()]
    return max((path.stat().st_mtime for path in files), default=None)


def _synchronized() -> bool | None:
    """Whether the kernel's clock is kept by something, as adjtimex tells; None where there is no such call."""
    if sys.platform != "linux":
        return None
    try:
        state = int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES)))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != TIME_ERROR
