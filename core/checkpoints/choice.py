"""The checkpoint that was chosen on the desk, kept in the data directory; the setting REX_MODEL goes before it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from core.config import EMBEDDED_MODEL, Settings
from core.errors import StorageError

FILE = "model.json"
COMPLETE = ".complete"
"""Stands in the directory of a download that has come in whole (see `core.model.checkpoint.locate`)."""


def is_pinned(settings: Settings) -> bool:
    """Whether the checkpoint was named by a setting, which no choice changes; an engine elsewhere has its own."""
    return "model" in settings.model_fields_set or bool(settings.engine_url)


def remembered(settings: Settings) -> str:
    """The `model_source` that was chosen last; empty without one."""
    try:
        kept = json.loads((settings.data_dir / FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    source = kept.get("source") if isinstance(kept, dict) else None
    return source if isinstance(source, str) else ""


def remember(settings: Settings, source: str) -> None:
    """Keep the choice for the next start. Raises StorageError when the data directory cannot be written."""
    target = settings.data_dir / FILE
    part = target.with_name(FILE + ".part")
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps({"source": source}, ensure_ascii=False) + "\n", "utf-8")
        os.replace(part, target)
    except OSError as error:
        raise StorageError(f"无法记住所选的检查点 {target}：{error}。请检查目录权限或 REX_DATA_DIR") from error


def with_choice(settings: Settings) -> Settings:
    """The settings with the checkpoint that was chosen; unchanged when one is set or the chosen one is gone."""
    source = "" if is_pinned(settings) else remembered(settings)
    return settings.with_model(source) if source and is_here(settings, source) else settings


def is_here(settings: Settings, source: str) -> bool:
    """Whether a `model_source` can be loaded without a network."""
    return place(settings, source) is not None


def place(settings: Settings, source: str) -> Path | None:
    """The directory of a `model_source`; None when it is not on this machine."""
    named = settings.with_model(source)
    folder = Path(named.model).expanduser()
    if not folder.is_dir():
        folder = named.download_dir / named.model.replace("/", "--") / named.model_revision
        if not (folder / COMPLETE).is_file():
            return None
    return folder if (folder / "config.json").is_file() else None


def included_source() -> str:
    """The `model_source` of the included checkpoint."""
    return str(EMBEDDED_MODEL.resolve())
