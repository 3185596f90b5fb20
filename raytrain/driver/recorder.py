"""The one writer of a run's event log: makes events of what the workers say, and tells each sink of every event.

Runs in: the driver, its mailbox-reading thread included.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic, time

from raytrain import protocol
from raytrain.driver.rank_progress import RankState
from raytrain.driver.sinks.event_log_sink import EventLogSink
from raytrain.driver.sinks.gauges import Gauges
from raytrain.driver.sinks.job_log_lines import JobLogLines
from raytrain.driver.sinks.metrics_file import MetricsFile
from raytrain.driver.sinks.page_file import PageFile
from raytrain.driver.sinks.sink import SinkThread
from raytrain.driver.sinks.status_file import StatusFile
from raytrain.run import events
from raytrain.run.event_log import read_events
from raytrain.run.run_paths import RunPaths
from raytrain.run.summary import RunSummary, summarize
from raytrain.spec.request import JobRequest
from raytrain.spec.shards import ShardPlan

# How long the end of a run waits for sinks that are slow: storage may come back meanwhile.
_CLOSE_WITHIN_S = 120.0


class Recorder:
    """Hands each event to the sinks, and knows what they add up to.

    Attributes:
        summary: that, events of earlier attempts included.
    """

    def __init__(
        self,
        request: JobRequest,
        earlier: Iterable[events.Event],
        sinks: Sequence[SinkThread],
        *,
        gauges: Gauges | None = None,
    ) -> None:
        self._request = request
        self._sinks, self._gauges = sinks, gauges
        self.summary: RunSummary = summarize(request.run, earlier)
        self._lock = threading.Lock()
        self._phase_ranks: dict[str, set[int]] = defaultdict(set)
        self._workers = request.spec.scaling.workers

    def record(self, event: events.Event) -> None:
        """Tells the sinks of an event of this run and attempt, which has happened now where it does not say when."""
        moment = event.time or time()
        event = replace(event, run=self._request.run, attempt=self._request.attempt, time=moment)
        with self._lock:
            self.summary.add(event)
            for sink in self._sinks:
                sink.put(event, self.summary.copy())

    def phase(self, name: str, moment: float | None = None) -> None:
        moment = moment or time()
        if name not in self.summary.phases:
            since_submit_s = moment - self._request.submitted_at
            self.record(events.Phase(name=name, since_submit_s=since_submit_s, time=moment))

    def sharded(self, plans: Mapping[str, ShardPlan], tier: str) -> None:
        """How the workers of a group divide each split's rows among them."""
        splits = {
            split: events.SplitShards(
                rows=plan.rows, steps=plan.steps, rows_per_worker=plan.rows_per_worker, dropped=plan.dropped
            )
            for split, plan in plans.items()
        }
        self.record(events.Sharded(splits=splits, tier=tier))

    def take(self, message: protocol.Message) -> None:
        """Records what a worker says has happened."""
        match message:
            case protocol.PhaseDone():
                self._take_phase(message)
            case protocol.GoesOn():
                self._catch_up(message.reports)
                self.record(message.restored)
            case protocol.Happened(event=events.TrainingEnded(reason=reason)) if reason in list(protocol.Pause):
                pass  # the driver says itself what follows
            case protocol.Happened():
                self.record(replace(message.event, time=message.time))

    def ranks(self, states: Sequence[RankState]) -> None:
        """Exports where the ranks are, of which there is no event."""
        if self._gauges is not None:
            self._gauges.ranks(states)

    def begin_group(self, workers: int) -> None:
        """A worker group of this size begins."""
        self._workers = workers
        self._phase_ranks.clear()

    def close(self, *, within_s: float = _CLOSE_WITHIN_S) -> None:
        """Waits until the sinks have taken in everything, but not for ever."""
        for sink in self._sinks:
            sink.begin_to_close()
        deadline = monotonic() + within_s
        for sink in self._sinks:
            sink.finish(deadline)

    def _take_phase(self, message: protocol.PhaseDone) -> None:
        ranks = self._phase_ranks[message.name]
        ranks.add(message.rank)
        if len(ranks) == self._workers:
            self.phase(message.name, message.time)

    def _catch_up(self, reports: Sequence[events.EpochEnd]) -> None:
        """Records what was trained and saved while no driver noted it, or not in this life of the epoch."""
        for report in reports:
            noted = self.summary.epochs.get(report.epoch)
            if noted is None or noted.epoch_s != report.seconds:
                self.record(report)


def open_recorder(request: JobRequest, paths: RunPaths, *, mirror: Path | None, exports: bool = True) -> Recorder:
    """The recorder of an attempt, with all its sinks.

    Args:
        mirror: where a second copy of the log is kept; nowhere when None.
        exports: metrics go to Ray, too.
    """
    earlier = read_events(paths.events)
    sinks = [
        SinkThread(EventLogSink(paths.events), paths.events.name, keeps_all=True),
        SinkThread(StatusFile(paths.status), paths.status.name, newest_only=True),
        SinkThread(MetricsFile(paths.metrics), paths.metrics.name, keeps_all=True),
        SinkThread(JobLogLines(), "the job's log"),
        SinkThread(PageFile(paths, earlier=earlier), paths.report.name, keeps_all=True),
    ]
    if mirror is not None:
        sinks.append(SinkThread(EventLogSink(mirror, earlier=earlier), "the mirror of the event log", keeps_all=True))
    gauges = Gauges(request.run) if exports else None
    if gauges is not None:
        sinks.append(SinkThread(gauges, "the metrics that Ray exports"))
    return Recorder(request, earlier, sinks, gauges=gauges)
