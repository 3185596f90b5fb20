"""Keeps `progress.json`: how far the ranks are within the epoch, for who watches.

Runs in: a thread of the driver, of its own: a storage that hangs holds up nobody else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from time import time

from raytrain.driver.rank_progress import RankProgress
from raytrain.periodic import Periodic
from raytrain.run.run_paths import RunPaths
from raytrain.run.step_progress import StepProgress

_EVERY_S = 2.0


@contextlib.contextmanager
def kept_progress(paths: RunPaths, progress: RankProgress, *, attempt: int, steps: int) -> Iterator[None]:
    """While the block runs, the file follows the ranks; not in an object store, where each change is a request."""
    if paths.uri is not None:
        yield
        return
    telling = Periodic(
        lambda: _tell(paths, progress, attempt, steps), every_s=_EVERY_S, name=f"raytrain-{paths.progress.name}"
    )
    telling.start()
    try:
        yield
    finally:
        telling.stop()


def _tell(paths: RunPaths, progress: RankProgress, attempt: int, steps: int) -> None:
    states = progress.states()
    training = [(state.epoch, state.step) for state in states if state.phase == "train"]
    if not training:
        return
    epoch, step = min(training)
    busy = [state.gpu_utilization for state in states if state.gpu_utilization is not None]
    gpu_memory = [state.gpu_memory_bytes for state in states if state.gpu_memory_bytes is not None]
    with contextlib.suppress(OSError):  # the next comes in a moment
        StepProgress(
            attempt=attempt,
            time=time(),
            epoch=epoch,
            step=step,
            steps=steps,
            steps_per_s=progress.steps_per_s,
            memory_bytes=max(state.memory_bytes for state in states),
            gpu_utilization=min(busy, default=None),
            gpu_memory_bytes=max(gpu_memory, default=None),
        ).write(paths.progress)
