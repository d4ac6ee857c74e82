"""The driver as the sampler uses it: begun once, begun again after it was gone, let go at the end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from core.gpu.card_health import XidWatch
from core.gpu.cards import read_cards
from core.gpu.nvml import Driver, NvmlFailure
from core.gpu.records import GpuSnapshot, TorchMemory, Xid
from core.gpu.torch_view import torch_memory
from core.gpu.visible import Visible

if TYPE_CHECKING:
    from core.gpu.monitor import Worker

NO_CARD = "NVIDIA 驱动正常，但没有可见的 GPU：请检查 CUDA_VISIBLE_DEVICES 与容器的 --gpus 设置"


class DriverSession:
    """Used by one thread at a time; `worker` holds the network, None before there is one."""

    def __init__(self, driver: Driver, visible: Visible) -> None:
        self.worker: Worker | None = None
        self._driver, self._visible = driver, visible
        self._xids = XidWatch(driver)
        self._opened = False

    @property
    def worker_pid(self) -> int | None:
        """The process of the model where it is not this one."""
        info = None if self.worker is None else self.worker.info
        return None if info is None or info.pid == os.getpid() else info.pid

    def read(self) -> tuple[tuple[GpuSnapshot, ...], str | None, list[Xid]]:
        """The cards, why there are none, and the XID errors since the last reading."""
        try:
            if not self._opened:
                self._driver.query("nvmlInit")
                self._opened = True
                self._xids.open()
            heard = self._xids.poll()
            pids = (os.getpid(),) if self.worker_pid is None else (self.worker_pid, os.getpid())
            cards = read_cards(self._driver, self.torch_memory(), own_pids=pids, visible=self._visible, xids=self._xids)
        except NvmlFailure as failure:
            # Begin again next time: the driver may come back.
            self.close()
            return (), failure.reason, []
        except Exception as error:  # a sampler that died would leave an old reading on the screen for ever
            return (), f"读取 GPU 时出错（{type(error).__name__}：{error}）：请把这句话连同驱动版本反馈给维护者", []
        return cards, None if cards else NO_CARD, heard

    def torch_memory(self) -> dict[str, TorchMemory] | None:
        """PyTorch's memory here and in the worker, None when CUDA refuses to answer (for instance after a fault)."""
        try:
            own = torch_memory()
        except RuntimeError:
            return None
        if self.worker is None:
            return own
        told = self.worker.cards()
        return None if told is None else {**own, **told}

    def close(self) -> None:
        """Let the driver go; the next reading begins it again."""
        if self._opened:
            self._opened = False
            try:
                self._driver.query("nvmlShutdown")
            except NvmlFailure:
                return  # the driver is gone already; there is nothing left to release
