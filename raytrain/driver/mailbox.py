"""The mailbox between the workers and the driver: an actor that takes messages at once and hands them on in order.

Runs in: an actor process beside the driver. Ray Train's own reports wait for the controller's poll; these do not.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raytrain.protocol import Message


@dataclass(frozen=True, kw_only=True)
class WorkerProcess:
    """Where a rank runs."""

    rank: int
    node_id: str
    address: str
    pid: int


class Mailbox:
    """Queue of messages, what is asked of the workers, and where they are.

    Plain methods on two threads, one of them for whoever waits in `take`.
    """

    def __init__(self, run: str = "") -> None:
        self._run = run
        self._changed = threading.Condition()
        self._messages: list[Message] = []
        self._asked = ""
        self._group = 0
        self._placed: list[WorkerProcess] = []

    def __repr__(self) -> str:
        """How the dashboard's Actors page calls it."""
        return f"mailbox of {self._run}"

    def begin(self, group: int) -> None:
        """From now on only messages of this worker group count: one that was lost may still have some on their way."""
        with self._changed:
            self._group = group
            self._asked = ""
            self._messages.clear()
            self._placed = []

    def put(self, message: Message, group: int = 0) -> str:
        """Takes a message of this group and answers with what is asked of its workers."""
        with self._changed:
            if group == self._group:
                self._messages.append(message)
                self._changed.notify()
            return self._asked

    @ray.method(concurrency_group="waiting")  # type: ignore[untyped-decorator]
    def take(self, wait_s: float) -> list[Message]:
        """All messages that have come since the last call; waits up to `wait_s` seconds for the first."""
        with self._changed:
            self._changed.wait_for(lambda: self._messages, wait_s)
            taken, self._messages = self._messages, []
            return taken

    def ask(self, what: str) -> None:
        """Asks this group's workers to `stop` after the step, or for a `resize` after the epoch; a stop outweighs."""
        with self._changed:
            if self._asked != "stop":
                self._asked = what

    def place(self, group: int, workers: list[WorkerProcess]) -> None:
        """The group's processes run."""
        with self._changed:
            if group == self._group:
                self._placed = workers

    def placed(self) -> list[WorkerProcess]:
        """The group's processes, none before they run."""
        with self._changed:
            return self._placed


def start_mailbox(run: str = "") -> Any:
    """A mailbox actor on the driver's own node, taking no CPU from the workers."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    groups = {"concurrency_groups": {"waiting": 1}}
    # Events of its calls would cost more than the calls.
    options = {"num_cpus": 0, "scheduling_strategy": here, "enable_task_events": False}
    return (
        ray.remote(**groups)(Mailbox).options(**options).remote(run)
    )  # events of calls would cost more than the calls
