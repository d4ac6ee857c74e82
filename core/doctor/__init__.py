"""Is everything in place that the desk needs? Facts of the machine are gathered, then judged; nothing is changed."""

from __future__ import annotations

from collections.abc import Callable

from core.config import Settings
from core.doctor.checks_card import CARD_CHECKS
from core.doctor.checks_desk import DESK_CHECKS
from core.doctor.machine import gather
from core.doctor.records import Check, Facts


def judge(facts: Facts) -> list[Check]:
    """What the facts of a machine mean, in the order of the report (pure)."""
    return [check(facts) for check in (*DESK_CHECKS, *CARD_CHECKS)]


def examine(
    settings: Settings, *, port: int = 0, whole: bool = True, told: Callable[[str], None] = lambda step: None
) -> list[Check]:
    """All checks of this machine; see `gather` for the arguments."""
    return judge(gather(settings, port=port, whole=whole, told=told))
