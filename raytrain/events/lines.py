"""The line that an event is worth in a log: one an epoch, in the job's log on the dashboard and off a terminal."""

from __future__ import annotations

from raytrain.events import figures, types
from raytrain.events.summary import RunSummary


def epoch_line(event: types.EpochEnd, planned: int | None) -> str:
    """`epoch 3/10 loss=0.1234 val_loss=0.2345 0.41s 3500 rows/s`; epochs are counted from 1."""
    of = f"/{planned}" if planned else ""
    pace = f"{figures.seconds(event.seconds)} {event.rows_per_s:.0f} rows/s"
    return f"epoch {event.epoch + 1}{of} {figures.metrics(event.metrics)} {pace}"


def event_line(event: types.Event, summary: RunSummary) -> str:
    """The line that an event is worth; empty for those that people need not see."""
    match event:
        case types.EpochEnd():
            return epoch_line(event, summary.epochs_planned)
        case types.AttemptStarted(restart=restart) if restart or event.attempt > 1:
            return f"attempt {event.attempt}, restart {restart}: starting {figures.plural(event.workers, 'worker')}"
        case types.Restored():
            return f"restored the checkpoint of epoch {event.epoch + 1}"
        case types.CheckpointSkipped():
            return f"checkpoint {event.path} left aside: {event.why}"
        case types.EarlyStop():
            return f"stopping after epoch {event.epoch + 1}: {event.message}"
        case types.WorkerLost():
            return f"worker lost: {event.message}"
        case types.AttemptFailed(retrying=True):
            return f"failed, starting again: {event.error.get('message')}"
        case types.Warned():
            return f"warning: {event.message}"
    return ""


def final_line(event: types.Event) -> str:
    """The last line of a job's own log, where no verdict follows it: why a run did not succeed."""
    if not isinstance(event, types.RunFinished) or event.error is None:
        return ""
    error = event.error
    place = ":".join(str(error[key]) for key in ("file", "line") if error.get(key))
    where = f" ({place})" if place else ""
    return f"{event.status} ({event.reason}): {error.get('kind')}: {error.get('message')}{where}"
