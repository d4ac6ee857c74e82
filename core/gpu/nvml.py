"""The one seam to the NVIDIA driver: reads through NVML, changes nothing on the card."""

from __future__ import annotations

from typing import Any, Protocol

LIBRARY_MISSING = -1  # our own code: the Python package itself is not installed
NOT_SUPPORTED, TIMED_OUT, FUNCTION_MISSING, LOST = 3, 10, 13, 15

MEMORY_V2 = 0x02000028  # nvmlMemory_v2: reports the driver's own memory apart from what is used
SENSOR_GPU, THRESHOLD_SHUTDOWN, THRESHOLD_SLOWDOWN = 0, 0, 1
CLOCK_SM, CLOCK_MEMORY = 1, 2
ECC_UNCORRECTED, ECC_VOLATILE, ECC_AGGREGATE = 1, 0, 1
EVENT_XID = 8
FIELD_MEMORY_TEMPERATURE = 82

_REASONS = {
    LIBRARY_MISSING: "没有安装 nvidia-ml-py：请运行 pip install nvidia-ml-py",
    1: "NVML 未初始化",
    3: "此卡或此模式不提供",
    4: "当前用户没有读取权限",
    6: "没有找到这一项",
    9: "NVIDIA 驱动没有加载：请检查 nvidia-smi 能否运行",
    10: "驱动没有及时回答",
    12: "没有找到 NVIDIA 驱动（缺少 libnvidia-ml），按 CPU 模式运行",
    13: "驱动版本太旧，没有此项读数",
    15: "GPU 已掉线（可能已从总线脱落）：请查看 dmesg，通常需要重启机器",
    16: "GPU 需要重置后才能使用",
    17: "操作系统或容器禁止读取",
    18: "驱动刚升级而内核模块仍是旧版：请重启机器",
    28: "没有找到这张 GPU",
}


class NvmlFailure(Exception):
    """A query that NVML refused; `code` is NVML's number, `reason` the plain words for it."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.reason = _REASONS.get(code, f"NVML 错误 {code}")
        super().__init__(self.reason)


class Driver(Protocol):
    """Whatever answers NVML questions: the real library, or a script in tests."""

    def query(self, function: str, *arguments: Any) -> Any:
        """The answer of one NVML function by its full name; raises NvmlFailure."""


class NvmlDriver:
    """The real library, imported on first use so that a machine without it still starts."""

    def query(self, function: str, *arguments: Any) -> Any:
        """The answer of one NVML function by its full name; raises NvmlFailure."""
        try:
            import pynvml
        except ImportError:
            raise NvmlFailure(LIBRARY_MISSING) from None
        try:
            return getattr(pynvml, function)(*arguments)
        except pynvml.NVMLError as error:
            raise NvmlFailure(int(error.value)) from error
        except AttributeError:  # an older Python package does not know this function
            raise NvmlFailure(FUNCTION_MISSING) from None
