"""Ray Train's barrier actor, started by the first worker that calls it; most never do.

Runs in: every Train worker, in whose context it stands for the actor's handle. `ray.train.report` and
`ray.train.collective` in the user's code meet there; raytrain's own workers tell the mailbox.
"""

from __future__ import annotations

from typing import Any


class LazyBarrier:
    """Has the methods of the actor's handle.

    Args:
        name: of this group's, which no other of the job has. The actor ends with the worker that has started it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._started: Any = None  # the actor ends when nobody holds its handle any more

    def __getattr__(self, method: str) -> Any:
        if method.startswith("_"):
            raise AttributeError(method)
        if self._started is None:
            from ray.train.v2._internal.execution.checkpoint.sync_actor import SynchronizationActor

            self._started = SynchronizationActor.options(name=self._name, get_if_exists=True).remote()
        return getattr(self._started, method)
