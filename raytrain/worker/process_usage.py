"""What a worker's process takes of its machine: memory, and how busy its GPU is.

Runs in: the heartbeat's thread of every Train worker.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from raytrain import ray_internals


@dataclass(frozen=True, kw_only=True)
class Usage:
    """`memory_bytes`: resident. Of the GPU, shared with others or not: the share of time that it worked, its memory in
    use; None without one, or where NVIDIA's library does not tell.
    """

    memory_bytes: int
    gpu_utilization: float | None = None
    gpu_memory_bytes: int | None = None


class ProcessUsage:
    """Looks at this process, and at the first GPU that it may use."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._process = psutil.Process()
        device = environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
        self._device = device if device and ray_internals.is_there(ray_internals.GPU_USAGE) else ""
        self._handle: Any = None

    def look(self) -> Usage:
        """Now; takes well below a millisecond."""
        memory = int(self._process.memory_info().rss)
        if not self._device:
            return Usage(memory_bytes=memory)
        from ray._private.thirdparty import pynvml

        try:
            if self._handle is None:
                self._handle = self._open(pynvml)
            rates = pynvml.nvmlDeviceGetUtilizationRates(self._handle)
            used = int(pynvml.nvmlDeviceGetMemoryInfo(self._handle).used)
        except pynvml.NVMLError:  # no driver, no such GPU, or one in slices, which tell of no rate
            self._device = ""
            return Usage(memory_bytes=memory)
        return Usage(memory_bytes=memory, gpu_utilization=rates.gpu / 100, gpu_memory_bytes=used)

    def _open(self, pynvml: Any) -> Any:
        pynvml.nvmlInit()
        if self._device.isdecimal():
            return pynvml.nvmlDeviceGetHandleByIndex(int(self._device))
        return pynvml.nvmlDeviceGetHandleByUUID(self._device)
