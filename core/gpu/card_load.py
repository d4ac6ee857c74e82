"""How busy, hot, hungry and fast a card is."""

from __future__ import annotations

from typing import Any

from core.gpu import nvml
from core.gpu.nvml import NvmlFailure
from core.gpu.reading import Reading
from core.gpu.records import THROTTLE_REASONS


def read_load(reading: Reading, handle: Any, *, whole: bool) -> None:
    """Utilisation (of a `whole` card only), heat with its limits, power, clocks and what holds them down."""
    ask, keep = reading.ask, reading.keep
    # NVML has no utilisation of a MIG instance, and the whole card's would mislead.
    rates = ask("utilisation_percent", "nvmlDeviceGetUtilizationRates", handle) if whole else None
    reason = reading.missing.get("utilisation_percent", NvmlFailure(nvml.NOT_SUPPORTED).reason)
    for name, attribute in (("utilisation_percent", "gpu"), ("memory_utilisation_percent", "memory")):
        keep(name, getattr(rates, attribute, None))
        if rates is None:
            reading.missing[name] = reason
    _read_heat(reading, handle)
    for name, function in (
        ("power_w", "nvmlDeviceGetPowerUsage"),
        ("power_limit_w", "nvmlDeviceGetEnforcedPowerLimit"),
        ("energy_j", "nvmlDeviceGetTotalEnergyConsumption"),
    ):
        thousandths = ask(name, function, handle)
        keep(name, None if thousandths is None else thousandths / 1000)
    for name, function, clock in (
        ("sm_clock_mhz", "nvmlDeviceGetClockInfo", nvml.CLOCK_SM),
        ("sm_clock_max_mhz", "nvmlDeviceGetMaxClockInfo", nvml.CLOCK_SM),
        ("memory_clock_mhz", "nvmlDeviceGetClockInfo", nvml.CLOCK_MEMORY),
        ("memory_clock_max_mhz", "nvmlDeviceGetMaxClockInfo", nvml.CLOCK_MEMORY),
    ):
        keep(name, ask(name, function, handle, clock))
    reading.read("performance_state", "nvmlDeviceGetPerformanceState", handle)
    reasons = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
    keep("throttle", decode_throttle(ask("throttle", reasons, handle)))
    reading.read("fan_percent", "nvmlDeviceGetFanSpeed", handle)


def _read_heat(reading: Reading, handle: Any) -> None:
    temperature = ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature")
    reading.read("temperature_c", temperature, handle, nvml.SENSOR_GPU)
    for name, threshold in (
        ("slowdown_temperature_c", nvml.THRESHOLD_SLOWDOWN),
        ("shutdown_temperature_c", nvml.THRESHOLD_SHUTDOWN),
    ):
        reading.read(name, "nvmlDeviceGetTemperatureThreshold", handle, threshold)
    name = "memory_temperature_c"
    values = reading.ask(name, "nvmlDeviceGetFieldValues", handle, [nvml.FIELD_MEMORY_TEMPERATURE])
    known = bool(values) and values[0].nvmlReturn == 0
    reading.keep(name, int(values[0].value.uiVal) if known else None)
    if values and not known:
        reading.missing[name] = NvmlFailure(int(values[0].nvmlReturn)).reason


def decode_throttle(bits: int | None) -> tuple[str, ...] | None:
    """The names behind NVML's clock event bits; None stays None."""
    return None if bits is None else tuple(name for bit, name in THROTTLE_REASONS.items() if bits & bit)
