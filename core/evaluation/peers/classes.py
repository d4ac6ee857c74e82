"""The form in which classes are asked and answered: a marker before the text, and a path that spans the marker."""

from __future__ import annotations

from core.errors import InputError
from core.evaluation.metrics import Element
from core.tasks import CLASS_MARKERS


def split_marker(text: str) -> tuple[str, str]:
    """The class marker that a text begins with, and the rest; raises InputError when it has none."""
    for marker in CLASS_MARKERS.values():
        if text.startswith(marker):
            return marker, text.removeprefix(marker)
    raise InputError(f"分类记录应以 {' 或 '.join(CLASS_MARKERS.values())} 开头：“{text[:30]}”，请重新转换该数据集")


def class_path(label: str, marker: str) -> tuple[Element, ...]:
    """A class as gold paths hold it."""
    return ((label, marker, 0, len(marker)),)
