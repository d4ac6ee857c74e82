"""Cards in every state that users meet, from a scripted driver."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from core.gpu.card_load import decode_throttle
from core.gpu.cards import TORCH_UNREADABLE, read_cards
from core.gpu.nvml import NvmlFailure
from core.gpu.records import GpuSnapshot, TorchMemory, memory_segments

GIB = 1024**3


def torch_on_card(*, allocated: int, reserved: int) -> TorchMemory:
    return TorchMemory(
        device_index=0,
        allocated_bytes=allocated,
        reserved_bytes=reserved,
        peak_allocated_bytes=allocated,
        peak_reserved_bytes=reserved,
        inactive_split_bytes=0,
        alloc_retries=0,
        ooms=0,
    )


def sizes(card: GpuSnapshot) -> dict[str, int]:
    return {segment.kind: segment.size_bytes for segment in memory_segments(card)}


def test_a_healthy_card_is_read_in_plain_units(scripted):
    (card,) = read_cards(scripted(), {})
    assert (card.name, card.driver_version, card.cuda_version, card.capability) == (
        "NVIDIA H200",
        "580.95.05",
        "13.0",
        "9.0",
    )
    assert (card.total_bytes, card.used_bytes, card.free_bytes, card.driver_bytes) == (
        80 * GIB,
        20 * GIB,
        59 * GIB,
        1 * GIB,
    )
    assert (card.utilisation_percent, card.memory_utilisation_percent) == (37, 12)
    assert (card.temperature_c, card.memory_temperature_c, card.slowdown_temperature_c) == (41, 48, 90)
    assert (card.power_w, card.power_limit_w) == (123.4, 700.0)
    assert card.throttle == ("idle",)
    assert card.mig_enabled is False and card.problem is None


def test_a_value_that_fails_is_none_with_its_reason_and_spares_the_others(scripted):
    (card,) = read_cards(scripted(nvmlDeviceGetPowerUsage=NvmlFailure(4)), {})
    assert card.power_w is None and card.missing["power_w"] == "当前用户没有读取权限"
    assert card.fan_percent is None and card.missing["fan_percent"] == "此卡或此模式不提供"
    assert card.power_limit_w == 700.0 and "power_limit_w" not in card.missing


@pytest.mark.parametrize("name", ["total_bytes", "used_bytes", "free_bytes"])
def test_memory_that_is_refused_is_unknown_and_never_zero(scripted, name):
    (card,) = read_cards(scripted(nvmlDeviceGetMemoryInfo=NvmlFailure(4)), {})
    assert getattr(card, name) is None and card.missing[name] == "当前用户没有读取权限"
    assert memory_segments(card) == () and card.others_bytes is None


def test_old_drivers_that_know_only_the_first_memory_form_are_read(scripted):
    def first_form(handle: str, version: int | None = None) -> object:
        return NvmlFailure(13) if version else SimpleNamespace(total=80 * GIB, used=21 * GIB, free=59 * GIB)

    (card,) = read_cards(scripted(nvmlDeviceGetMemoryInfo=first_form), {})
    assert card.used_bytes == 21 * GIB and card.driver_bytes is None and "total_bytes" not in card.missing


def test_old_names_of_a_question_are_tried(scripted):
    driver = scripted(nvmlDeviceGetTemperatureV=NvmlFailure(13), nvmlDeviceGetTemperature=55)
    (card,) = read_cards(driver, {})
    assert card.temperature_c == 55 and "temperature_c" not in card.missing


def test_without_cuda_here_all_used_memory_belongs_to_others(scripted):
    (card,) = read_cards(scripted(), {})
    assert card.own_source == "none" and card.own_bytes == 0 and card.others_bytes == 20 * GIB
    assert [(process.name, process.own) for process in card.processes] == [("python3", False)]


def test_our_process_is_found_by_its_number(scripted):
    listed = [
        SimpleNamespace(pid=4_000_001, usedGpuMemory=15 * GIB),
        SimpleNamespace(pid=os.getpid(), usedGpuMemory=3 * GIB),
    ]
    driver = scripted(nvmlDeviceGetComputeRunningProcesses=listed)
    (card,) = read_cards(driver, {"abc-card-0": torch_on_card(allocated=GIB, reserved=2 * GIB)})
    assert card.own_source == "pid" and card.own_bytes == 3 * GIB and card.others_bytes == 17 * GIB
    assert sizes(card) == {
        "driver": GIB,
        "others": 17 * GIB,
        "outside_torch": GIB,
        "torch_cached": GIB,
        "torch_allocated": GIB,
        "free": 59 * GIB,
    }


def test_the_only_process_on_a_card_that_we_use_is_ours_even_under_a_foreign_number(scripted):
    (card,) = read_cards(scripted(), {"abc-card-0": torch_on_card(allocated=GIB, reserved=2 * GIB)})
    assert card.own_source == "only" and card.own_bytes == 15 * GIB
    assert card.processes[0].own


def test_a_container_that_hides_process_numbers_leaves_the_rest_unattributed(scripted):
    driver = scripted(nvmlDeviceGetComputeRunningProcesses=[])
    (card,) = read_cards(driver, {"abc-card-0": torch_on_card(allocated=GIB, reserved=2 * GIB)})
    assert card.own_source == "hidden" and card.own_bytes is None and card.others_bytes is None
    assert sizes(card)["unattributed"] == 18 * GIB and "others" not in sizes(card)


def test_windows_hides_the_memory_of_processes_without_turning_it_into_zero(scripted):
    listed = [SimpleNamespace(pid=os.getpid(), usedGpuMemory=None)]
    driver = scripted(nvmlDeviceGetComputeRunningProcesses=listed)
    (card,) = read_cards(driver, {"abc-card-0": torch_on_card(allocated=1, reserved=2)})
    assert card.processes[0].memory_bytes is None and card.own_bytes is None


def test_a_torch_that_cannot_be_read_is_named_and_nothing_is_guessed(scripted):
    (card,) = read_cards(scripted(nvmlDeviceGetComputeRunningProcesses=[]), None)
    assert card.torch is None and card.missing["torch"] == TORCH_UNREADABLE
    assert card.own_bytes is None


def test_cards_are_matched_to_torch_by_uuid_and_not_by_order(scripted):
    driver = scripted(nvmlDeviceGetCount=2)
    first, second = read_cards(driver, {"abc-card-1": torch_on_card(allocated=1, reserved=2)})
    assert first.torch is None and second.torch is not None


def test_mig_instances_have_their_own_memory_and_no_utilisation(scripted):
    def instance(handle: str, number: int) -> object:
        return f"mig-{number}" if number < 2 else NvmlFailure(6)

    def memory(handle: str, version: int | None = None) -> object:
        if handle == "card-0":
            return NvmlFailure(4)
        return SimpleNamespace(total=10 * GIB, used=4 * GIB, free=6 * GIB, reserved=0)

    driver = scripted(
        nvmlDeviceGetMigMode=[1, 1],
        nvmlDeviceGetMaxMigDeviceCount=7,
        nvmlDeviceGetMigDeviceHandleByIndex=instance,
        nvmlDeviceGetMemoryInfo=memory,
        nvmlDeviceGetUUID=lambda handle: f"MIG-{handle}",
    )
    cards = read_cards(driver, {"mig-1": torch_on_card(allocated=GIB, reserved=GIB)})
    assert [card.mig_instance for card in cards] == [0, 1]
    assert all(card.mig_enabled and card.total_bytes == 10 * GIB for card in cards)
    assert all(card.utilisation_percent is None and "utilisation_percent" in card.missing for card in cards)
    assert cards[0].power_w == 123.4


def test_a_mig_container_that_sees_no_instance_still_shows_the_card(scripted):
    driver = scripted(nvmlDeviceGetMigMode=[1, 1], nvmlDeviceGetMaxMigDeviceCount=NvmlFailure(4))
    (card,) = read_cards(driver, {})
    assert card.mig_enabled is True and card.mig_instance is None


def test_a_card_that_fell_off_the_bus_says_so_and_the_other_is_read(scripted):
    def handle(index: int) -> object:
        return NvmlFailure(15) if index == 0 else f"card-{index}"

    lost, healthy = read_cards(scripted(nvmlDeviceGetCount=2, nvmlDeviceGetHandleByIndex=handle), {})
    assert "掉线" in lost.problem and lost.total_bytes is None
    assert healthy.problem is None and healthy.total_bytes == 80 * GIB


def test_a_card_lost_while_it_is_read_says_so(scripted):
    (card,) = read_cards(scripted(nvmlDeviceGetUtilizationRates=NvmlFailure(15)), {})
    assert "掉线" in card.problem and card.utilisation_percent is None


def test_throttling_is_decoded_bit_by_bit(scripted):
    (card,) = read_cards(scripted(nvmlDeviceGetCurrentClocksEventReasons=0x44), {})
    assert card.throttle == ("sw_power_cap", "hw_thermal")
    assert decode_throttle(0) == () and decode_throttle(None) is None


def test_the_segments_add_up_to_the_total_even_when_torch_was_read_later(scripted):
    for reserved in (0, GIB, 19 * GIB, 30 * GIB):
        (card,) = read_cards(scripted(), {"abc-card-0": torch_on_card(allocated=reserved // 2, reserved=reserved)})
        assert sum(sizes(card).values()) == card.total_bytes
        assert min(sizes(card).values()) >= 0
