"""Which checkpoints are on this machine: the included one, downloads, those fine-tuned here, and directories named."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.checkpoints.choice import COMPLETE, included_source
from core.checkpoints.files import SUMS, count_parameters, read_licence, read_origin, tree_size
from core.config import ROOT, Settings
from core.errors import CheckpointError

INCLUDED, DOWNLOADED, TUNED, OTHER = "included", "downloaded", "tuned", "other"


@dataclass(frozen=True, slots=True)
class Installed:
    """A checkpoint on this machine.

    source: how jobs and settings name it. kind: included, downloaded, tuned (made here) or other. size_bytes: on the
    disk. parameters: None when the weights cannot be read. base: what a tuned one was made from. has_sums: whether
    the hashes of its files are recorded. complete: False for a download that stopped half-way.
    """

    source: str
    name: str
    revision: str
    kind: str
    directory: Path
    size_bytes: int
    parameters: int | None
    licence: str
    base: str = ""
    has_sums: bool = False
    complete: bool = True


def tuned_dir(settings: Settings) -> Path:
    """Where checkpoints made on this desk are kept."""
    return settings.data_dir / "models"


def list_installed(settings: Settings) -> list[Installed]:
    """Every checkpoint on this machine, each once: the included one first, then downloads, then the others by name."""
    found: dict[Path, Installed] = {}
    for source, directory, kind in _places(settings):
        key = directory.resolve()
        if key not in found:
            found[key] = _describe(source, directory, kind)
    return list(found.values())


def find_installed(settings: Settings, name: str) -> Installed:
    """The checkpoint of a source, a directory or a name of the list. Raises CheckpointError naming those there are."""
    there = list_installed(settings)
    folder = Path(name).expanduser()
    same = [one for one in there if name in (one.source, f"{one.name}@{one.revision}")]
    same = same or [one for one in there if one.name == name]
    if not same and folder.is_dir():
        same = [one for one in there if one.directory.resolve() == folder.resolve()]
        if not same and (folder / "config.json").is_file():
            same = [_describe(str(folder.resolve()), folder, OTHER)]
    if len(same) != 1:
        reason = "有几个版本，请写成 名称@版本" if same else "没有安装"
        names = "、".join(one.name if one.revision == "local" else f"{one.name}@{one.revision}" for one in there)
        raise CheckpointError(f"检查点“{name}”{reason}。这台机器上有：{names}")
    return same[0]


def remove(settings: Settings, one: Installed, *, active: str) -> int:
    """Delete a checkpoint from the disk; returns the bytes that this freed.

    Raises CheckpointError for the included one, the `active` one (a source), and directories that the desk did not
    make: those are the user's own.
    """
    if one.source == active:
        raise CheckpointError(f"{one.name} 正在使用，不能删除：请先换用另一个检查点")
    if one.kind not in (DOWNLOADED, TUNED):
        raise CheckpointError(f"{one.name} 不是在这里下载或训练的（{one.directory}），不能在这里删除")
    inside = (settings.download_dir, tuned_dir(settings))
    if not any(one.directory.resolve().is_relative_to(folder.resolve()) for folder in inside):
        raise CheckpointError(f"{one.directory} 不在数据目录里，不能在这里删除")
    try:
        shutil.rmtree(one.directory)
        if one.kind == DOWNLOADED and not any(one.directory.parent.iterdir()):
            one.directory.parent.rmdir()
    except OSError as error:
        raise CheckpointError(f"无法删除 {one.directory}：{error}。请检查目录权限") from error
    return one.size_bytes


def _places(settings: Settings) -> Iterator[tuple[str, Path, str]]:
    included = Path(included_source())
    yield str(included), included, INCLUDED
    for folder in sorted(settings.download_dir.glob("*--*/*")):
        if folder.is_dir():
            yield f"{folder.parent.name.replace('--', '/', 1)}@{folder.name}", folder, DOWNLOADED
    for root in dict.fromkeys((tuned_dir(settings), ROOT / "data" / "models")):
        for config in sorted(root.glob("*/config.json")):
            folder = config.parent
            tuned = root == tuned_dir(settings) and bool(read_origin(folder))
            yield str(folder.resolve()), folder, TUNED if tuned else OTHER
    named = Path(settings.model).expanduser()
    if (named / "config.json").is_file():
        yield str(named.resolve()), named, OTHER


def _describe(source: str, directory: Path, kind: str) -> Installed:
    origin = read_origin(directory)
    name, at, revision = source.rpartition("@") if kind == DOWNLOADED else (directory.name, "", "local")
    return Installed(
        source=source,
        name=name,
        revision=revision,
        kind=kind,
        directory=directory,
        size_bytes=tree_size(directory),
        parameters=count_parameters(directory),
        licence=read_licence(directory) or str(origin.get("licence", "")),
        base=str(origin.get("base", "")),
        has_sums=(directory / SUMS).is_file(),
        complete=kind != DOWNLOADED or (directory / COMPLETE).is_file(),
    )
