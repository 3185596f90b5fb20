"""The one writer of a run's event log: turns the workers' messages into events, files, log lines and metrics.

Runs in: the driver, its collecting thread included.
"""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import time
from typing import Any

from raytrain import protocol
from raytrain.driver.sinks.gauges import Gauges
from raytrain.driver.sinks.metrics_file import MetricsFile
from raytrain.files import write_whole
from raytrain.run import events
from raytrain.run.event_lines import event_line, final_line
from raytrain.run.event_log import EventWriter, read_events
from raytrain.run.job_log import say
from raytrain.run.run_paths import RunPaths
from raytrain.run.summary import RunSummary, summarize
from raytrain.spec.request import JobRequest
from raytrain.spec.shards import ShardPlan
from raytrain.worker.early_stopping import Pause


class Recorder:
    """Appends events to the run's log and to its mirror, and keeps `status.json` and `metrics.jsonl` up to date.

    Args:
        mirror: a second copy of this attempt's events in Ray's session directory, from where a client that cannot see
            the storage reads it through the dashboard; none when None.

    Attributes:
        summary: what the events add up to so far, earlier attempts included.
    """

    def __init__(self, request: JobRequest, paths: RunPaths, *, mirror: Path | None) -> None:
        self._request = request
        self._paths = paths
        earlier = read_events(paths.events)
        self.summary: RunSummary = summarize(request.run, earlier)
        self._metrics = MetricsFile(paths.metrics)
        self._writers = [EventWriter(paths.events)]
        if mirror is not None:
            self._writers.append(EventWriter(mirror))
            for event in earlier:
                self._writers[-1].append(event)
        self._lock = threading.Lock()
        self._phase_ranks: dict[str, set[int]] = defaultdict(set)
        self._workers = request.spec.scaling.workers
        self._gauges: Gauges | None = None

    def start_gauges(self) -> None:
        """Exports metrics through Ray; needs `ray.init`."""
        self._gauges = Gauges(self._request.run)

    def record(self, kind: type[events.Event], **fields: Any) -> None:
        """Writes one event, prints the line it is worth, and brings the other files up to date."""
        moment = fields.pop("time", None) or time()
        event = kind(run=self._request.run, attempt=self._request.attempt, time=moment, **fields)
        with self._lock:
            self.summary.add(event)
            for writer in self._writers:
                with _survived():
                    writer.append(event)
            with _survived():
                write_whole(self._paths.status, events.json_line(self.summary.to_json()))
            if isinstance(event, (events.EpochEnd, events.Restored)):
                with _survived():
                    self._metrics.follow(self.summary)
        line = event_line(event, self.summary) or final_line(event)
        if line:
            say(line)

    def phase(self, name: str, moment: float | None = None) -> None:
        moment = moment or time()
        if name not in self.summary.phases:
            self.record(events.Phase, name=name, since_submit_s=moment - self._request.submitted_at, time=moment)

    def sharded(self, plans: Mapping[str, ShardPlan], tier: str) -> None:
        """How the workers of a group divide each split's rows among them."""
        splits = {
            split: {
                "rows": plan.rows,
                "steps": plan.steps,
                "rows_per_worker": list(plan.rows_per_worker),
                "dropped": plan.dropped,
            }
            for split, plan in plans.items()
        }
        self.record(events.Sharded, splits=splits, tier=tier)

    def take(self, message: protocol.Message) -> None:
        """Turns one message of a worker into the events it stands for."""
        match message:
            case protocol.PhaseDone():
                self._take_phase(message)
            case protocol.EpochDone():
                self._record_epoch(message)
            case protocol.Built():
                self.record(
                    events.ModelBuilt,
                    parameters=message.parameters,
                    trainable_parameters=message.trainable_parameters,
                )
            case protocol.CheckpointWritten():
                self.record(
                    events.CheckpointSaved,
                    epoch=message.epoch,
                    path=message.path,
                    seconds=message.seconds,
                    step=message.step,
                    blocked_s=message.blocked_s,
                )
            case protocol.CheckpointFailed():
                self.record(events.CheckpointFailed, epoch=message.epoch, why=message.why, given_up=message.given_up)
            case protocol.CheckpointBroken(rank=0):
                self.record(events.CheckpointSkipped, path=message.path, why=message.why)
            case protocol.RestoredFrom():
                self._catch_up(message.reports)
                self.record(events.Restored, epoch=message.epoch, path=message.path, step=message.step)
            case protocol.StopDecided(reason=Pause.RESIZE | Pause.FALL_BACK):
                pass  # the driver says itself what follows
            case protocol.StopDecided():
                self.record(
                    events.TrainingEnded,
                    epoch=message.epoch,
                    reason=message.reason,
                    message=message.text,
                    best=message.best,
                    step=message.step,
                )
            case protocol.Tested():
                self.record(events.TestEnd, metrics=message.metrics)
            case protocol.ModelWritten():
                self.record(events.ModelSaved, path=message.path)
            case protocol.Notice():
                self.record(events.Warned, message=message.text)

    def begin_group(self, workers: int) -> None:
        """A worker group of this size begins."""
        self._workers = workers
        self._phase_ranks.clear()

    def close(self) -> None:
        """Closes the log, which gets what could not be written before."""
        for writer in self._writers:
            with _survived():
                writer.close()

    def _take_phase(self, message: protocol.PhaseDone) -> None:
        ranks = self._phase_ranks[message.name]
        ranks.add(message.rank)
        if len(ranks) == self._workers:
            self.phase(message.name, message.time)

    def _catch_up(self, reports: list[protocol.EpochDone]) -> None:
        """Records what was trained and saved while no driver noted it, or not in this life of the epoch."""
        for report in reports:
            noted = self.summary.epochs.get(report.epoch, {})
            if noted.get("epoch_s") != max(report.rank_seconds):
                self._record_epoch(report)

    def _record_epoch(self, report: protocol.EpochDone) -> None:
        seconds = max(report.rank_seconds)
        speeds = [rows / took_s for rows, took_s in zip(report.rank_rows, report.rank_seconds, strict=True)]
        self.record(
            events.EpochEnd,
            epoch=report.epoch,
            metrics=report.metrics,
            seconds=seconds,
            rows_per_s=sum(report.rank_rows) / seconds,
            rank_seconds=report.rank_seconds,
            rank_rows_per_s=speeds,
            rank_wait_s=report.rank_wait_s,
            learning_rate=report.learning_rate,
            best=report.best,
            patience_left=report.patience_left,
            time=report.time,
        )
        if self._gauges is not None:
            self._gauges.set(report.epoch, report.metrics, speeds)


@contextlib.contextmanager
def _survived() -> Iterator[None]:
    """Storage that fails for a moment ends nothing: a log keeps its lines and writes them with the next one."""
    try:
        yield
    except OSError as error:
        say(f"warning: the run's directory cannot be written: {error}")
