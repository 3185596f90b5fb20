"""What a page tells of a run beside its summary: a fold over the events, whose size grows with ranks, not epochs."""

from __future__ import annotations

from dataclasses import dataclass, field

from raytrain import formatting
from raytrain.run import events
from raytrain.run.accounting import Accounting
from raytrain.run.event_lines import event_line
from raytrain.run.status_words import reason_in_words
from raytrain.run.summary import RunSummary

# Lines of the timeline: so many of the beginning, and of the end.
_MOST_LINES = 100


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A line of the timeline: `time` in seconds since the epoch; `is_trouble`: something did not go as it should."""

    time: float
    attempt: int
    words: str
    is_trouble: bool = False


@dataclass(kw_only=True)
class RankTimes:
    """What a rank's epochs came to: their number, seconds, those without rows, and rows."""

    epochs: int = 0
    seconds: float = 0.0
    waited_s: float = 0.0
    rows: float = 0.0


@dataclass(kw_only=True)
class History:
    """Grows by `add`, one event at a time.

    Attributes:
        accounting: where the time went.
        ranks: by rank, over all epochs that it has trained.
        places: of the newest worker group, by rank.
        splits: how rows are divided, as last told, and the `tier` that keeps them.
        versions: of the newest worker group.
        first, last: the timeline's beginning and its end; `left_out` lines stood between them.
        checkpoints, checkpoint_s: how many were saved, and the seconds from copy to commit.
    """

    accounting: Accounting = field(default_factory=Accounting)
    ranks: dict[int, RankTimes] = field(default_factory=dict)
    places: list[events.RankPlace] = field(default_factory=list)
    splits: dict[str, events.SplitShards] = field(default_factory=dict)
    tier: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    first: list[Moment] = field(default_factory=list)
    last: list[Moment] = field(default_factory=list)
    left_out: int = 0
    checkpoints: int = 0
    checkpoint_s: float = 0.0

    def add(self, event: events.Event, summary: RunSummary) -> None:
        """Takes in the next event; `summary` is what all up to it add up to."""
        self.accounting.add(event)
        match event:
            case events.EpochEnd():
                self._add_ranks(event)
                return
            case events.Placed():
                self.places = event.ranks
            case events.Sharded():
                self.splits, self.tier = event.splits, event.tier
            case events.GroupStarted():
                self.versions = event.versions or self.versions
            case events.CheckpointSaved():
                self.checkpoints += 1
                self.checkpoint_s += event.seconds
        if words := _words(event) or event_line(event, summary):
            self._note(
                Moment(time=event.time, attempt=event.attempt, words=words, is_trouble=isinstance(event, _TROUBLE))
            )

    def _add_ranks(self, event: events.EpochEnd) -> None:
        for rank, seconds in enumerate(event.rank_seconds):
            times = self.ranks.setdefault(rank, RankTimes())
            times.epochs += 1
            times.seconds += seconds
            times.waited_s += event.rank_wait_s[rank] if rank < len(event.rank_wait_s) else 0.0
            times.rows += event.rank_rows_per_s[rank] * seconds if rank < len(event.rank_rows_per_s) else 0.0

    def _note(self, moment: Moment) -> None:
        if len(self.first) < _MOST_LINES:
            self.first.append(moment)
            return
        self.last.append(moment)
        if len(self.last) > _MOST_LINES:
            self.last.pop(0)
            self.left_out += 1


_TROUBLE = (
    *(events.GroupFailed, events.WorkerLost, events.Hung, events.FellBack, events.CheckpointFailed),
    *(events.CheckpointSkipped, events.AnswerDiffers, events.Warned),
)


_PHASES = {
    "driver": "the driver has started",
    "data": "the data is read and split",
    "workers": "the workers have started",
    "tensorflow": "TensorFlow is imported on all workers",
    "model": "the model is built",
    "first_step": "the first step is done",
}


def _words(event: events.Event) -> str:
    """Of what the job's log has no line for, but a timeline should."""
    match event:
        case events.Submitted(attempt=1):
            return (
                f"submitted, {formatting.plural(event.workers, 'worker')}, {formatting.plural(event.epochs, 'epoch')}"
            )
        case events.GroupStarted(restart=0, attempt=1):
            return f"{formatting.plural(event.workers, 'worker')} asked for"
        case events.Phase():
            return _PHASES.get(event.name, f"{event.name.replace('_', ' ')} done")
        case events.Placed():
            nodes = len({place.node for place in event.ranks})
            ranks = formatting.plural(len(event.ranks), "rank")
            return f"{ranks} placed on {formatting.plural(nodes, 'node')}"
        case events.AnswerDiffers():
            return (
                f"not the answer of one process: {event.what[0] if event.what else 'it'} differs by {event.largest:.0e}"
            )
        case events.TestEnd():
            return f"tested: {formatting.metrics(event.metrics)}"
        case events.ModelSaved():
            return f"model saved: {event.path}"
        case events.GroupFailed(retrying=False):
            return f"failed: {event.error.message or event.error.kind}"
        case events.RunFinished():
            return f"{event.status}: {reason_in_words(event.reason)}"
    return ""
