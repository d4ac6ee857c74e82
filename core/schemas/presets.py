"""Ready-made schemas with a sample text: `data/presets/<task>.json`, one file a task.

An entry is `{"name", "name_en", "schema", "sample"}`; the schema is null where the task needs none, and the sample is a
string or an object with `text` and what the task needs besides (`text_pair`, `aspects`, `candidates`, `pronouns`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.config import ROOT
from core.errors import SchemaError
from core.types import Document, Span

PRESET_DIR = ROOT / "data" / "presets"


@dataclass(frozen=True, slots=True)
class Preset:
    """A named schema of a task, and a text to try it on."""

    task: str
    name: str
    name_en: str
    schema: dict[str, Any] | None
    sample: Document


@lru_cache(maxsize=32)
def list_presets(task: str) -> tuple[Preset, ...]:
    """The presets of `task` in the order of its file; none when the task has no file."""
    path = PRESET_DIR / f"{task}.json"
    return tuple(_preset(task, entry) for entry in _entries(path)) if path.is_file() else ()


def find_preset(name: str) -> Preset:
    """The preset called `name`, in Chinese or English. Raises SchemaError with the known names."""
    known = [preset for path in sorted(PRESET_DIR.glob("*.json")) for preset in list_presets(path.stem)]
    for preset in known:
        if name in (preset.name, preset.name_en):
            return preset
    raise SchemaError(f"没有名为“{name}”的预设；可用的预设：{'、'.join(preset.name for preset in known)}")


def _entries(path: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return entries


def _preset(task: str, entry: Mapping[str, Any]) -> Preset:
    sample = entry["sample"]
    fields: Mapping[str, Any] = {"text": sample} if isinstance(sample, str) else sample
    text = fields["text"]
    document = Document(
        text=text,
        text_pair=fields.get("text_pair"),
        aspects=tuple(fields.get("aspects", ())),
        candidates=tuple(_first(text, word) for word in fields.get("candidates", ())),
        pronouns=tuple(_first(text, word) for word in fields.get("pronouns", ())),
    )
    return Preset(task, entry["name"], entry["name_en"], entry["schema"], document)


def _first(text: str, word: str) -> Span:
    start = text.index(word)
    return Span(start, start + len(word), word)
