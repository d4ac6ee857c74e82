"""Asks the driver value by value: a query that fails leaves None and its reason, and spares the others."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from core.gpu import nvml
from core.gpu.nvml import Driver, NvmlFailure
from core.gpu.records import GpuSnapshot

_FIELDS = frozenset(field.name for field in fields(GpuSnapshot))


class Reading:
    """Collects the values of one card."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.values: dict[str, Any] = {}
        self.missing: dict[str, str] = {}
        self.lost = False

    def ask(self, name: str, functions: tuple[str, ...] | str, *arguments: Any) -> Any:
        """The first answer among `functions`; later ones are older names of the same question."""
        for function in (functions,) if isinstance(functions, str) else functions:
            try:
                return self.driver.query(function, *arguments)
            except NvmlFailure as failure:
                self.missing[name] = failure.reason
                self.lost = self.lost or failure.code == nvml.LOST
        return None

    def keep(self, name: str, value: Any) -> None:
        """Store one value; what has a value is not missing."""
        self.values[name] = value
        if value is not None:
            self.missing.pop(name, None)

    def read(self, name: str, functions: tuple[str, ...] | str, *arguments: Any) -> Any:
        """Ask and store under the same name; returns the answer."""
        answer = self.ask(name, functions, *arguments)
        self.keep(name, answer)
        return answer

    def snapshot(self, index: int) -> GpuSnapshot:
        """All that was collected."""
        return GpuSnapshot(
            index=index,
            missing={name: reason for name, reason in self.missing.items() if name in _FIELDS},
            problem=NvmlFailure(nvml.LOST).reason if self.lost else None,
            **self.values,
        )
