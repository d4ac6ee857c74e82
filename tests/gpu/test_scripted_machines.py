"""Machines as users meet them, played to the monitor: what it must say of each, and what it must not invent."""

from __future__ import annotations

import pytest

from core.gpu.records import ALERTS, INFORMATION, WARNINGS, Sample, memory_segments
from scripts.scripted_cards import GIB, WORKER_PID, played
from scripts.scripted_scenarios import SCENARIOS

NOW = 1_800_000_150.0


def read(name: str) -> Sample:
    monitor = played(SCENARIOS[name], lambda: NOW)
    sample = monitor.sample()
    monitor.close()
    return sample


@pytest.mark.parametrize("name", SCENARIOS)
def test_whatever_is_missing_has_a_reason_and_memory_adds_up(name):
    sample = read(name)
    assert sample.host.rss_bytes
    assert bool(sample.reason) == (not sample.cards)
    for card in sample.cards:
        assert all(reason.strip() and getattr(card, field) is None for field, reason in card.missing.items())
        segments = memory_segments(card)
        assert not segments or sum(one.size_bytes for one in segments) == card.total_bytes
        assert all(one.size_bytes >= 0 for one in segments)


def test_an_ordinary_card_is_told_by_owner():
    (card,) = read("normal").cards
    sizes = {one.kind: one.size_bytes for one in memory_segments(card)}
    assert sizes["others"] == 4 * GIB and sizes["torch_allocated"] == card.torch.allocated_bytes
    listed = {one.pid: one for one in card.processes}
    assert {pid: one.own for pid, one in listed.items()} == {WORKER_PID: True, 2211: False}
    assert card.own_source == "pid" and listed[WORKER_PID].sm_percent is not None and card.xids == ()
    assert (card.slowdown_temperature_c, card.shutdown_temperature_c) == (95, 98)
    assert card.compute_mode == "default" and card.pci_bus_id == "00000000:1B:00.0" and card.energy_j > 0
    assert (card.cuda_index, card.visible) == (0, True)
    assert card.memory_temperature_c is None and card.missing["memory_temperature_c"] == "此卡或此模式不提供"


@pytest.mark.parametrize(
    ("name", "words"), [("no_driver", "没有找到"), ("not_loaded", "没有加载"), ("mismatch", "重启机器")]
)
def test_a_driver_that_cannot_be_used_says_what_to_do(name, words):
    sample = read(name)
    assert sample.cards == () and words in sample.reason


def test_mig_instances_have_their_own_memory_and_the_heat_of_the_whole_card():
    ours, other = read("mig").cards
    assert (ours.mig_instance, other.mig_instance) == (0, 3)
    assert ours.total_bytes == other.total_bytes == round(9.75 * GIB)
    assert ours.utilisation_percent is None and ours.temperature_c and ours.temperature_c == other.temperature_c
    assert ours.torch and other.torch is None and other.visible is False and ours.cuda_index == 0


def test_windows_tells_no_memory_of_processes_and_none_is_made_up():
    (card,) = read("wddm").cards
    assert card.driver_model == "WDDM" and [one.memory_bytes for one in card.processes] == [None, None]
    assert card.own_bytes is None and "unattributed" in {one.kind for one in memory_segments(card)}
    assert card.ecc_uncorrected is None and card.xids is None and "xids" in card.missing


def test_a_container_hides_the_processes_but_not_what_pytorch_holds():
    (card,) = read("container").cards
    assert card.own_source == "hidden" and card.processes == ()
    assert {"unattributed", "torch_cached", "torch_allocated"} <= {one.kind for one in memory_segments(card)}


def test_a_card_that_is_lost_keeps_its_place():
    (card,) = read("lost").cards
    assert "掉线" in card.problem and card.total_bytes is None
    kinds = [bool(one.problem) for one in read("several").cards]
    assert kinds == [False, False, True, False]


def test_reasons_for_slow_clocks_are_sorted_by_how_bad_they_are():
    (card,) = read("throttled").cards
    assert set(card.throttle) == {"app_clocks", "sw_power_cap", "sw_thermal", "hw_thermal"}
    assert set(card.throttle) & ALERTS == {"hw_thermal"} and set(card.throttle) & INFORMATION == {"app_clocks"}
    assert set(card.throttle) & WARNINGS == {"sw_power_cap", "sw_thermal"}


def test_faults_of_the_card_are_counted_and_named():
    monitor = played(SCENARIOS["sick"], lambda: NOW)
    (card,) = monitor.sample().cards
    assert [one.number for one in card.xids] == [48]
    assert (card.ecc_uncorrected, card.ecc_lifetime, card.remapped_rows) == (2, 5, 3)
    assert (card.remap_pending, card.remap_failed) == (True, False)
    assert [event.kind for event in monitor.events()] == ["xid"]
    assert len(monitor.sample().cards[0].xids) == 1, "an error is told once"
    monitor.close()


def test_out_of_memory_is_seen_in_the_counters_of_pytorch():
    (card,) = read("oom").cards
    assert card.torch.ooms == 3 and card.free_bytes < GIB


def test_only_the_card_of_the_model_counts_as_ours_among_several():
    cards = read("several").cards
    assert [card.visible for card in cards] == [False, True, False, False]
    assert cards[1].own_bytes == round(7.4 * GIB) and cards[0].others_bytes == round(61.2 * GIB)
