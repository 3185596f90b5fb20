"""The mailbox between the workers and the driver: an actor that takes messages at once and hands them on in order.

Runs in: an actor process beside the driver. Ray Train's own reports wait for the controller's poll; these do not.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raytrain.worker.messages import Message


class Mailbox:
    """Queue of messages, and the flag that asks the workers to stop."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._arrived = asyncio.Event()
        self._stop_asked = False
        self._group = 0

    async def begin(self, group: int) -> None:
        """From now on only messages of this worker group count: one that was lost may still have some on their way."""
        self._group = group
        self._messages.clear()

    async def put(self, message: Message, group: int = 0) -> None:
        if group != self._group:
            return
        self._messages.append(message)
        self._arrived.set()

    async def take(self, wait_s: float) -> list[Message]:
        """All messages that have come since the last call; waits up to `wait_s` seconds for the first."""
        if not self._messages:  # to wait 0 s for an event that is set times out in Python 3.11
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), wait_s)
        self._arrived.clear()
        taken, self._messages = self._messages, []
        return taken

    async def ask_to_stop(self) -> None:
        self._stop_asked = True

    async def stop_asked(self) -> bool:
        return self._stop_asked


def start_mailbox() -> Any:
    """A mailbox actor on the driver's own node, taking no CPU from the workers."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    return ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=here, max_concurrency=1000).remote()
