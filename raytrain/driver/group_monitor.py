"""Looks after a worker group while it runs: says what it waits for, notices a hang, nodes that go, room to grow.

Runs in: a thread of the driver. What to make of what it sees is decided by `watchdog` and `elastic`.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, Self

import ray

from raytrain.driver import elastic
from raytrain.driver.cluster_nodes import draining_nodes, free_resources, own_node
from raytrain.driver.mailbox import WorkerProcess
from raytrain.driver.rank_processes import kill, save_stacks
from raytrain.driver.rank_progress import RankProgress
from raytrain.driver.recorder import Recorder
from raytrain.driver.watchdog import Hang, find_hang
from raytrain.periodic import Periodic
from raytrain.run import events
from raytrain.run.job_log import say
from raytrain.run.run_paths import RunPaths
from raytrain.spec.job import ScalingSpec
from raytrain.spec.placement import needs_in_words, needs_of
from raytrain.spec.request import JobRequest
from raytrain.spec.tier_choice import Tier

_LOOK_EVERY_S = 1.0
_STACKS_WITHIN_S = 90.0
_ASK_CLUSTER_EVERY_S = 5.0
# Workers that are placed at once are no news; those that are not, after this.
_QUEUED_AFTER_S = 5.0


class GroupMonitor:
    """A context around one worker group.

    Args:
        request: as the group's workers have it, with its size.
        wanted: what the job asks for, where the group may be smaller.
        tier: where the group's rows are kept.
        group: the number of groups before it in this attempt.

    Attributes:
        workers: the group's processes, once they run.
        hang: what the watchdog found; the group was ended for it.
        preempted: a node of the group, or the driver's, is going away, so the workers were asked to stop.
    """

    def __init__(
        self,
        request: JobRequest,
        paths: RunPaths,
        mailbox: Any,
        recorder: Recorder,
        progress: RankProgress,
        *,
        wanted: ScalingSpec,
        tier: Tier,
        group: int,
    ) -> None:
        self._request, self._paths, self._wanted, self._group = request, paths, wanted, group
        self._tier = tier
        self._mailbox, self._recorder, self._progress = mailbox, recorder, progress
        self._began = self._asked_at = time.monotonic()
        self._placed_at: float | None = None
        self._queued = False
        self._more_room: list[int] = []
        self._looking = Periodic(self._try_to_look, every_s=_LOOK_EVERY_S, name="raytrain-monitor")
        self.workers: list[WorkerProcess] = []
        self.hang: Hang | None = None
        self.preempted = False

    def __enter__(self) -> Self:
        self._looking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._looking.end()

    def _try_to_look(self) -> None:
        try:
            self._look()
        except (ray.exceptions.RayError, OSError) as error:  # of one look; the next comes in a second
            say(f"warning: the workers could not be looked after: {error}")

    def _look(self) -> None:
        asks_cluster = time.monotonic() - self._asked_at >= _ASK_CLUSTER_EVERY_S
        if asks_cluster:
            self._asked_at = time.monotonic()
            self._look_at_nodes()
        if self._placed_at is None:
            self._look_for_workers()
            return
        states = self._progress.states()
        self._recorder.ranks(states)
        hang = find_hang(states, self._request.spec.watchdog)
        if hang is not None:
            self._end(hang)
            return
        if asks_cluster:
            self._look_for_room(self._placed_at)

    def _look_for_workers(self) -> None:
        self.workers = ray.get(self._mailbox.placed.remote())
        if self.workers:
            self._placed_at = time.monotonic()
            self._progress.placed()
            ranks = [events.RankPlace(node=worker.address, pid=worker.pid) for worker in self.workers]
            self._recorder.record(events.Placed(ranks=ranks))
        elif not self._queued and time.monotonic() - self._began >= _QUEUED_AFTER_S:
            self._say_queued()

    def _say_queued(self) -> None:
        """Workers that have their place and only start slowly are not queued."""
        needs, workers = needs_of(self._wanted), self._request.spec.scaling.workers
        asked = [needs] * workers
        groups = ray.util.placement_group_table().values()
        if any(list(group["bundles"].values()) == asked and group["state"] == "PENDING" for group in groups):
            self._queued = True
            self._recorder.record(events.Queued(needs=needs_in_words(needs, workers)))

    def _end(self, hang: Hang) -> None:
        """Keeps what shows why, then ends the workers, which Ray Train notices as a loss."""
        self.hang = hang
        self._looking.stop()
        stacks = self._paths.stacks(self._request.attempt, self._group)
        saving = threading.Thread(target=_save_stacks, args=(self.workers, stacks), daemon=True)
        saving.start()
        saving.join(_STACKS_WITHIN_S)  # the storage may be what hangs
        kill(self.workers)
        self._recorder.record(events.Hung(**vars(hang), stacks=self._paths.shown(stacks)))

    def _look_at_nodes(self) -> None:
        going = draining_nodes()
        if self.preempted or own_node() in going:  # where the driver goes all stop: see `raytrain.driver.stop_signal`
            return
        if any(worker.node_id in going for worker in self.workers):
            self.preempted = True
            where = ", ".join(sorted({worker.address for worker in self.workers if worker.node_id in going}))
            self._recorder.record(events.Warned(message=f"node {where} is going away: saving, then going on elsewhere"))
            ray.get(self._mailbox.ask.remote("stop"))

    def _look_for_room(self, placed_at: float) -> None:
        if self._wanted.min_workers is None:
            return
        self._more_room.append(elastic.workers_that_fit(free_resources(), self._wanted, self._tier))
        trained_s = time.monotonic() - placed_at if self._progress.started else 0.0
        grow = elastic.should_grow(
            self._wanted, workers=len(self.workers), more_room=self._more_room, trained_s=trained_s
        )
        if grow:
            ray.get(self._mailbox.ask.remote("resize"))


def _save_stacks(workers: list[WorkerProcess], file: Path) -> None:
    try:
        save_stacks(workers, file)
    except (OSError, ray.exceptions.RayError) as error:
        say(f"warning: the stacks could not be saved: {error}")
