"""Which way a type points, by its name: good, bad or neither. Pure."""

from __future__ import annotations

POSITIVE, NEGATIVE, NEUTRAL = "positive", "negative", "neutral"
_WORDS = {
    POSITIVE: ("正向", "正面", "积极", "好评", "褒义", "满意"),
    NEGATIVE: ("负向", "负面", "消极", "差评", "贬义", "不满"),
    NEUTRAL: ("中性", "中立", "一般"),
}


def polarity(name: str) -> str | None:
    """Which way a sentiment type points, by its name; None when it does not say."""
    return next((which for which, words in _WORDS.items() if name.startswith(words)), None)
