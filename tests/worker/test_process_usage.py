from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from ray._private.thirdparty import pynvml

from raytrain.worker.process_usage import ProcessUsage


@pytest.fixture
def one_gpu(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stands for NVIDIA's library on a machine whose GPU, number 3, works half of the time."""
    told: dict[str, Any] = {}

    def nvmlInit() -> None:
        told["initialised"] = told.get("initialised", 0) + 1

    def nvmlDeviceGetHandleByIndex(index: int) -> str:
        return f"number {index}"

    def nvmlDeviceGetHandleByUUID(uuid: str) -> str:
        return f"named {uuid}"

    def nvmlDeviceGetUtilizationRates(handle: str) -> Any:
        told["asked"] = handle
        return SimpleNamespace(gpu=50)

    def nvmlDeviceGetMemoryInfo(handle: str, version: int | None = None) -> Any:
        return SimpleNamespace(used=64)

    for function in (
        *(nvmlInit, nvmlDeviceGetHandleByIndex, nvmlDeviceGetHandleByUUID),
        *(nvmlDeviceGetUtilizationRates, nvmlDeviceGetMemoryInfo),
    ):
        monkeypatch.setattr(pynvml, function.__name__, function)
    return told


def test_memory_is_this_process_s() -> None:
    usage = ProcessUsage({}).look()
    assert usage.memory_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)
    assert usage.gpu_utilization is usage.gpu_memory_bytes is None


@pytest.mark.parametrize(("visible", "handle"), [("3", "number 3"), ("3,4", "number 3"), ("GPU-ab1", "named GPU-ab1")])
def test_the_gpu_is_the_first_that_the_worker_may_use(visible: str, handle: str, one_gpu: dict[str, Any]) -> None:
    process = ProcessUsage({"CUDA_VISIBLE_DEVICES": visible})
    for _ in range(2):
        usage = process.look()
        assert (usage.gpu_utilization, usage.gpu_memory_bytes) == (0.5, 64)
    assert one_gpu == {"initialised": 1, "asked": handle}


def test_without_nvidia_s_library_there_is_memory_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def nvmlInit() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", nvmlInit)
    usage = ProcessUsage({"CUDA_VISIBLE_DEVICES": "0"}).look()
    assert usage.memory_bytes > 0
    assert usage.gpu_utilization is None
