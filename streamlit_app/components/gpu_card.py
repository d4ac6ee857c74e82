"""One card: whose memory it is, load, heat, power, clocks, health, and what could not be read."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from core.gpu.records import ALERTS, WARNINGS, GpuSnapshot, memory_segments
from streamlit_app.components.gpu_gauge import card_name, memory_bar, size
from streamlit_app.components.gpu_tiles import BAD, GOOD, WARN, Tile, chips, tiles
from streamlit_app.components.messages import plain
from streamlit_app.i18n import catalogue, t

FRAGMENTED = 0.5
"""Share of PyTorch's memory that lies unused; with more than a GiB of it under load a flush is worth a thought."""
NEAR_C = 5
"""Degrees below the slowdown temperature from which on heat is amber."""
# What no Linux server has, or what only says that there is none: not worth a line among the missing values.
UNREMARKABLE = ("driver_model", "fan_percent", "torch", "remap_failed", "remap_pending")


def card_panel(card: GpuSnapshot) -> None:
    """Everything about one card."""
    st.subheader(plain(card_name(card)), anchor=False)
    if card.problem:
        st.error(plain(card.problem), icon=":material/error:")
    chips(facts(card))
    alarms(card)
    if card.total_bytes is not None or not card.problem:
        memory_bar(memory_segments(card))
    for note in notes(card):
        st.caption(plain(note))
    if card.problem and card.total_bytes is None:
        return
    tiles(load_tiles(card) + health_tiles(card))
    clock_reasons(card)
    missing_values(card)


def facts(card: GpuSnapshot) -> list[tuple[str, str, str]]:
    """What the card is; unknown facts are left to the list of missing values."""
    switch = {True: t("gpu.on"), False: t("gpu.off")}
    mode = card.compute_mode if card.compute_mode == "default" or card.compute_mode is None else card.compute_mode
    listed = [
        (t("gpu.fact.driver"), card.driver_version),
        ("CUDA", card.cuda_version),
        (t("gpu.fact.capability"), card.capability),
        (t("gpu.fact.number"), None if card.cuda_index is None else f"cuda:{card.cuda_index}"),
        (t("gpu.fact.mode"), None if mode is None else t(f"gpu.mode.{mode}")),
        ("ECC", None if card.ecc_enabled is None else switch[card.ecc_enabled]),
        ("MIG", None if card.mig_enabled is None else switch[card.mig_enabled]),
        (t("gpu.fact.model"), card.driver_model),
        ("PCI", card.pci_bus_id),
        ("UUID", card.uuid),
    ]
    shown = [(name, value, GOOD) for name, value in listed if value]
    if card.visible is False:
        shown.insert(0, ("", t("gpu.invisible"), WARN))
    return shown


def alarms(card: GpuSnapshot) -> None:
    """Red and amber, one box each, only for what slows work down or says that the card is ill."""
    bad = [t(f"gpu.throttle.{name}") for name in card.throttle or () if name in ALERTS]
    warn = [t(f"gpu.throttle.{name}") for name in card.throttle or () if name in WARNINGS]
    if card.xids:
        last = card.xids[-1]
        when = datetime.fromtimestamp(last.time_s).strftime("%H:%M:%S")
        bad.append(t("gpu.health.xid", number=last.number, when=when, meaning=xid_meaning(last.number)))
    if card.ecc_uncorrected:
        bad.append(t("gpu.health.ecc", count=card.ecc_uncorrected))
    if card.remap_failed:
        bad.append(t("gpu.health.remap_failed"))
    if card.remap_pending:
        warn.append(t("gpu.health.remap_pending"))
    if bad:
        st.error("  \n".join(map(plain, bad)), icon=":material/error:")
    if warn:
        st.warning("  \n".join(map(plain, warn)), icon=":material/warning:")


def xid_meaning(number: int) -> str:
    """What NVIDIA's number of an error means, where it is one that users meet."""
    key = f"gpu.xid.{number}"
    return t(key) if key in catalogue("zh") else t("gpu.xid.other")


def notes(card: GpuSnapshot) -> list[str]:
    """What a reader of the memory bar must know."""
    told = []
    if card.own_source == "hidden":
        told.append(t("gpu.hidden"))
    elif card.own_source != "none" and card.own_bytes is None:
        told.append(t("gpu.wddm"))
    if card.mig_instance is not None:
        told.append(t("gpu.mig"))
    return told


def load_tiles(card: GpuSnapshot) -> list[Tile]:
    """How busy, hot and fast the card is."""
    return [
        _percent(card, "gpu.metric.utilisation", "utilisation_percent"),
        _percent(card, "gpu.metric.bus", "memory_utilisation_percent"),
        _heat(card),
        Tile(
            t("gpu.metric.memory_temperature"),
            _text(card.memory_temperature_c),
            "°C",
            why=card.missing.get("memory_temperature_c", ""),
        ),
        _power(card),
        Tile(
            t("gpu.metric.energy"),
            None if card.energy_j is None else f"{card.energy_j / 3_600_000:,.2f}",
            "kWh",
            t("gpu.metric.energy.since"),
            about=t("gpu.help.energy"),
            why=card.missing.get("energy_j", ""),
        ),
        _clock(card, "sm_clock"),
        _clock(card, "memory_clock"),
        *([Tile(t("gpu.metric.fan"), f"{card.fan_percent}", "%")] if card.fan_percent is not None else []),
    ]


def health_tiles(card: GpuSnapshot) -> list[Tile]:
    """Fragmentation, errors of the memory, and faults."""
    shown = []
    if card.torch is not None:
        torch, unused = card.torch, card.torch.reserved_bytes - card.torch.allocated_bytes
        worth = torch.unused_share > FRAGMENTED and unused > 1024**3
        shown.append(
            Tile(
                t("gpu.metric.fragmentation"),
                f"{torch.unused_share:.0%}",
                t("gpu.metric.fragmentation.unit"),
                t("gpu.metric.fragmentation.detail", split=size(torch.inactive_split_bytes), segments=torch.segments),
                share=torch.unused_share,
                level=WARN if worth else GOOD,
                about=t("gpu.help.fragmentation", retries=torch.alloc_retries, ooms=torch.ooms),
            )
        )
        shown.append(
            Tile(
                t("gpu.metric.ooms"),
                f"{torch.ooms}",
                "",
                t("gpu.metric.ooms.detail", retries=torch.alloc_retries),
                level=WARN if torch.ooms else GOOD,
                about=t("gpu.help.ooms"),
            )
        )
    ever = "" if card.ecc_lifetime is None else t("gpu.metric.ecc.ever", count=card.ecc_lifetime)
    shown.append(
        Tile(
            t("gpu.metric.ecc"),
            _text(card.ecc_uncorrected),
            "",
            ever,
            level=BAD if card.ecc_uncorrected else GOOD,
            about=t("gpu.help.ecc_uncorrected"),
            why=card.missing.get("ecc_uncorrected", ""),
        )
    )
    shown.append(
        Tile(
            t("gpu.metric.rows"),
            _text(card.remapped_rows),
            level=BAD if card.remap_failed else WARN if card.remap_pending else GOOD,
            about=t("gpu.help.rows"),
            why=card.missing.get("remapped_rows", ""),
        )
    )
    shown.append(
        Tile(
            "XID",
            None if card.xids is None else str(card.xids[-1].number) if card.xids else t("gpu.xid.none"),
            detail=t("gpu.xid.count", count=len(card.xids)) if card.xids else "",
            level=BAD if card.xids else GOOD,
            about=t("gpu.help.xid"),
            why=card.missing.get("xids", ""),
        )
    )
    return shown


def clock_reasons(card: GpuSnapshot) -> None:
    """Everything that decides the clocks now, the harmless too."""
    if card.throttle is None:
        return
    levels = {name: BAD if name in ALERTS else WARN if name in WARNINGS else GOOD for name in card.throttle}
    listed = [("", t(f"gpu.reason.{name}"), level) for name, level in levels.items()]
    chips(listed or [("", t("gpu.reason.none"), GOOD)], title=t("gpu.reasons"))


def missing_values(card: GpuSnapshot) -> None:
    """What the driver would not tell, each with its reason, for those who cannot point at a tile."""
    reasons = {name: reason for name, reason in card.missing.items() if name not in UNREMARKABLE}
    if not reasons:
        return
    with st.expander(t("gpu.missing.title", count=len(reasons)), icon=":material/help:"):
        words = catalogue("zh")
        lines = []
        for name, reason in reasons.items():
            key = f"gpu.value.{name}"
            lines.append(f"- {plain(t(key) if key in words else name)} — {plain(reason)}")
        st.markdown("\n".join(lines))


def _percent(card: GpuSnapshot, label: str, name: str) -> Tile:
    value: int | None = getattr(card, name)
    return Tile(
        t(label),
        _text(value),
        "%",
        share=None if value is None else value / 100,
        about=t(f"gpu.help.{name}"),
        why=card.missing.get(name, ""),
    )


def _heat(card: GpuSnapshot) -> Tile:
    value, slow, off = card.temperature_c, card.slowdown_temperature_c, card.shutdown_temperature_c
    limits = [t("gpu.metric.slowdown", degrees=slow)] if slow else []
    limits += [t("gpu.metric.shutdown", degrees=off)] if off else []
    level = GOOD
    if value is not None and slow:
        level = BAD if value >= slow else WARN if value >= slow - NEAR_C else GOOD
    whole = off or (slow + NEAR_C if slow else 100)
    return Tile(
        t("gpu.metric.temperature"),
        _text(value),
        "°C",
        " · ".join(limits),
        share=None if value is None else value / whole,
        mark=slow / whole if slow else None,
        level=level,
        why=card.missing.get("temperature_c", ""),
    )


def _power(card: GpuSnapshot) -> Tile:
    value, limit = card.power_w, card.power_limit_w
    return Tile(
        t("gpu.metric.power"),
        None if value is None else f"{value:.0f}",
        "W",
        t("gpu.metric.limit", watts=f"{limit:.0f}") if limit else "",
        share=value / limit if value is not None and limit else None,
        why=card.missing.get("power_w", ""),
    )


def _clock(card: GpuSnapshot, name: str) -> Tile:
    value: int | None = getattr(card, f"{name}_mhz")
    highest: int | None = getattr(card, f"{name}_max_mhz")
    state = f" · P{card.performance_state}" if name == "sm_clock" and card.performance_state is not None else ""
    return Tile(
        t(f"gpu.metric.{name}"),
        _text(value),
        "MHz",
        (t("gpu.metric.highest", mhz=highest) if highest else "") + state,
        share=value / highest if value is not None and highest else None,
        why=card.missing.get(f"{name}_mhz", ""),
    )


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)
