"""All worker groups of one attempt, one after another, until the run has ended.

Runs in: the driver. What follows a failed group is decided by `attempts`, the size of the next one by `elastic`.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from raytrain import formatting
from raytrain.data.tiers.tier_datasets import Dataset
from raytrain.data.tiers.worker_shards import Shards
from raytrain.driver import elastic, failure_policy
from raytrain.driver.cluster_nodes import free_resources
from raytrain.driver.group_monitor import GroupMonitor
from raytrain.driver.mailbox_reader import MailboxReader
from raytrain.driver.progress_file import kept_progress
from raytrain.driver.rank_progress import RankProgress
from raytrain.driver.recorder import Recorder
from raytrain.driver.stop_signal import StopSignal
from raytrain.driver.trainers import Trainers
from raytrain.driver.versions import installed_versions
from raytrain.driver.worker_group import GroupResult, run_group
from raytrain.errors import Failure
from raytrain.protocol import Pause
from raytrain.run import events
from raytrain.run.event_log import read_events
from raytrain.run.run_paths import RunPaths
from raytrain.run.run_status import Reason, RunStatus
from raytrain.spec.placement import needs_in_words, needs_of
from raytrain.spec.request import JobRequest
from raytrain.worker import fault_injection
from raytrain.worker.train_loop import LoopConfig

_LOOK_EVERY_S = 1.0

Outcome = tuple[RunStatus, Reason, Failure | None]


@dataclass(frozen=True, kw_only=True)
class GroupEnd:
    """How a group ended.

    Attributes:
        finished: why training ended, from workers that all did; empty when the group failed.
        stopped: their decision to stop, where they took one.
    """

    finished: str
    stopped: events.TrainingEnded | None
    preempted: bool
    queue_timed_out: bool
    failure: failure_policy.GroupFailure


class WorkerGroups:
    """Starts one group after another and records what becomes of them."""

    def __init__(
        self,
        request: JobRequest,
        paths: RunPaths,
        recorder: Recorder,
        dataset: Dataset,
        mailbox: Any,
        stop: StopSignal,
        trainers: Trainers,
        folder: Path,
    ) -> None:
        self._request, self._paths, self._recorder = request, paths, recorder
        self._dataset, self._mailbox, self._stop = dataset, mailbox, stop
        self._trainers = trainers
        self._folder = folder
        self._past = failure_policy.History()
        self._group = 0
        self._fall_backs = sum(isinstance(event, events.FellBack) for event in read_events(paths.events))
        self._workers = 0
        self._fault = fault_injection.from_environment(os.environ)

    def run(self) -> Outcome:
        """Runs groups until one finishes, or no other may follow."""
        while not self._stop.asked:
            self._resize(self._next_size())
            end = self._run_group()
            outcome = self._outcome(end)
            if outcome is not None:
                return outcome
            self._group += 1
        return RunStatus.STOPPED, self._stop.reason, None

    def _next_size(self) -> int:
        scaling, began, most = self._request.spec.scaling, time.monotonic(), 0
        while True:
            free = elastic.workers_that_fit(free_resources(), scaling, self._dataset.tier.tier)
            if free > most:  # what the last group held comes free piece by piece
                most, began = free, time.monotonic()
            size = elastic.first_size(scaling, free, waited_s=time.monotonic() - began)
            if size is not None:
                return size
            self._stop.wait(_LOOK_EVERY_S)

    def _resize(self, workers: int) -> None:
        if self._workers not in (0, workers):
            self._recorder.record(events.Resized(workers=workers, before=self._workers))
        if workers != (self._workers or self._request.spec.scaling.workers):
            self._recorder.sharded(self._dataset.plans_for(workers), self._dataset.tier.tier)
        self._workers = workers

    def _run_group(self) -> GroupEnd:
        request = _sized(self._request, self._workers)
        self._recorder.begin_group(self._workers)
        restart = self._past.restarts + self._past.startups
        started = events.GroupStarted(workers=self._workers, restart=restart, versions=installed_versions())
        self._recorder.record(started)
        ray.get(self._mailbox.begin.remote(self._group))
        progress = RankProgress(self._workers)
        monitor = GroupMonitor(
            request,
            self._paths,
            self._mailbox,
            self._recorder,
            progress,
            wanted=self._request.spec.scaling,
            tier=self._dataset.tier.tier,
            group=self._group,
        )
        self._stop.group_begins(monitor, progress)
        steps_per_epoch = self._dataset.plans_for(self._workers)["train"].steps
        injector = fault_injection.Injector(
            self._fault, root=self._paths.root, rank=fault_injection.DRIVER, group=self._group
        )
        with (
            MailboxReader(self._mailbox, self._recorder, progress, injector) as reader,
            monitor,
            kept_progress(self._paths, progress, attempt=request.attempt, steps=steps_per_epoch),
            self._serve() as shards,
        ):
            result = run_group(
                request,
                LoopConfig(
                    request=request.model_dump_json(),
                    paths=self._paths,
                    folder=str(self._folder),
                    shards=shards,
                    mailbox=self._mailbox,
                    group=self._group,
                    fall_backs=self._fall_backs,
                    proven=self._proven(),
                ),
                self._trainers,
            )
        self._stop.group_ends()
        return _end(self._workers, result, reader, monitor, progress, steps_per_epoch)

    def _proven(self) -> events.AnswerProven | None:
        answer = self._recorder.summary.answer
        return answer if isinstance(answer, events.AnswerProven) else None

    def _serve(self) -> contextlib.AbstractContextManager[Shards]:
        def notice(text: str) -> None:
            self._recorder.record(events.Warned(message=text))

        return self._dataset.serve(workers=self._workers, notice=notice)

    def _outcome(self, end: GroupEnd) -> Outcome | None:
        """The run's end, or None when another group is to follow."""
        if end.finished == Pause.RESIZE:
            return None
        if end.finished == Reason.STOPPED_BY_USER and not self._stop.asked and end.preempted:
            return None  # a node goes, not the run
        if end.finished == Pause.FALL_BACK:
            return self._fall_back(end)
        if end.finished not in ("", Reason.STOPPED_BY_USER):
            return verdict(Reason(end.finished), end.stopped)
        if end.finished or self._stop.asked:
            return RunStatus.STOPPED, self._stop.reason, None
        if end.queue_timed_out:
            return RunStatus.FAILED, Reason.RESOURCES, self._no_room()
        return self._restart(end.failure)

    def _restart(self, failure: failure_policy.GroupFailure) -> Outcome | None:
        decision = failure_policy.decide(failure, self._past, self._request.spec.restarts)
        self._past = self._past.after(failure, decision.budget)
        if decision.reason is Reason.WORKER_LOST:
            self._recorder.record(events.WorkerLost(message=decision.error.message, ranks=list(failure.lost_ranks)))
        self._recorder.record(events.GroupFailed(error=decision.error, retrying=decision.restart))
        if not decision.restart:
            return RunStatus.FAILED, decision.reason, decision.error
        self._stop.wait(decision.back_off_s)
        return None

    def _fall_back(self, end: GroupEnd) -> Outcome | None:
        rule = self._request.spec.divergence
        if self._fall_backs >= rule.max:
            return verdict(Reason.DIVERGED, end.stopped)
        self._fall_backs += 1
        factor = rule.learning_rate_factor**self._fall_backs
        epoch = end.stopped.epoch if end.stopped else 0
        self._recorder.record(events.FellBack(epoch=epoch, learning_rate_factor=factor))
        return None

    def _no_room(self) -> Failure:
        scaling = self._request.spec.scaling
        needs = needs_in_words(needs_of(scaling), self._workers)
        waited = formatting.seconds(scaling.queue_timeout)
        message = f"the cluster had no room for {needs} within {waited}"
        fix = "a longer scaling.queue_timeout, fewer workers, or scaling.min_workers"
        return Failure(kind="QueueTimeout", message=message, fix=fix, field="scaling.queue_timeout")


def verdict(reason: Reason, stopped: events.TrainingEnded | None) -> Outcome:
    """How a run ends whose workers all came to their end; `stopped`: their decision to, where they took one."""
    if reason is Reason.DIVERGED:
        message = "the loss was no number any more"
        if stopped is not None:
            step = f", seen at step {stopped.step}" if stopped.step else ""
            message = f"{stopped.message} in epoch {stopped.epoch + 1}{step}"
        fix = "lower the learning rate, scale the inputs, or set clipnorm on the optimizer"
        return RunStatus.FAILED, reason, Failure(kind="Diverged", message=message, fix=fix)
    return RunStatus.SUCCEEDED, reason, None


def _end(
    workers: int,
    result: GroupResult,
    reader: MailboxReader,
    monitor: GroupMonitor,
    progress: RankProgress,
    steps_per_epoch: int,
) -> GroupEnd:
    return GroupEnd(
        finished=reader.reason if reader.finished_ranks == workers else "",
        stopped=reader.stopped,
        preempted=monitor.preempted or result.preempted,
        queue_timed_out=result.queue_timed_out,
        failure=failure_policy.GroupFailure(
            errors=reader.errors,
            lost_ranks=result.lost_ranks,
            account=result.account,
            hang=monitor.hang,
            preempted=monitor.preempted or result.preempted,
            started=progress.started,
            position=progress.position,
            steps_per_epoch=steps_per_epoch,
            steps_per_s=progress.steps_per_s,
            progressed=reader.progressed,
        ),
    )


def _sized(request: JobRequest, workers: int) -> JobRequest:
    """The request as a group of this size has it; the global batch stays what it is."""
    scaling = request.spec.scaling
    fewest = None if scaling.min_workers is None else min(scaling.min_workers, workers)
    sized = scaling.model_copy(update={"workers": workers, "min_workers": fewest})
    return request.model_copy(update={"spec": request.spec.model_copy(update={"scaling": sized})})
