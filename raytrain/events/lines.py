"""The line that an event is worth in a log: one an epoch, in the job's log on the dashboard and off a terminal."""

from __future__ import annotations

from raytrain.events import figures, types
from raytrain.events.summary import RunSummary

# Waiting for rows that is worth a word: so much of an epoch, and no mere moment.
_LONG_WAIT_SHARE, _LONG_WAIT_S = 0.2, 0.1


def epoch_line(event: types.EpochEnd, planned: int | None) -> str:
    """`epoch 3/10 loss=0.1234 val_loss=0.2345 0.41s 3500 rows/s`; epochs are counted from 1.

    Where a good part of the time went into waiting for rows, `(waited 0.20s for data)` follows.
    """
    of = f"/{planned}" if planned else ""
    pace = f"{figures.seconds(event.seconds)} {event.rows_per_s:.0f} rows/s"
    waited = max(event.rank_wait_s, default=0.0)
    if waited > max(_LONG_WAIT_SHARE * event.seconds, _LONG_WAIT_S):
        pace += f" (waited {figures.seconds(waited)} for data)"
    return f"epoch {event.epoch + 1}{of} {figures.metrics(event.metrics)} {pace}"


def event_line(event: types.Event, summary: RunSummary) -> str:
    """The line that an event is worth; empty for those that people need not see."""
    match event:
        case types.EpochEnd():
            return epoch_line(event, summary.epochs_planned)
        case types.AttemptStarted(restart=restart) if restart or event.attempt > 1:
            return f"attempt {event.attempt}, restart {restart}: starting {figures.plural(event.workers, 'worker')}"
        case types.Queued():
            return f"waiting for {event.needs}"
        case types.Submitted() if event.attempt > 1:
            return f"attempt {event.attempt} takes up the run"
        case types.Restored(step=0):
            return f"restored the checkpoint of epoch {event.epoch + 1}"
        case types.Restored():
            return f"restored the checkpoint of epoch {event.epoch + 2}, step {event.step}"
        case types.CheckpointFailed():
            return f"a checkpoint could not be saved: {event.why}" + (", given up" if event.given_up else "")
        case types.CheckpointSkipped():
            return f"checkpoint {event.path} left aside: {event.why}"
        case types.EarlyStop():
            where = f"in epoch {event.epoch + 1}, step {event.step}" if event.step else f"after epoch {event.epoch + 1}"
            return f"stopping {where}: {event.message}"
        case types.WorkerLost():
            return f"worker lost: {event.message}"
        case types.Hung():
            place = f"in epoch {event.epoch + 1}, step {event.step} ({event.phase})"
            saved = f"; the stacks of all ranks are in {event.stacks}" if event.stacks else ""
            return f"no worker advanced for {figures.seconds(event.limit_s)}, rank {event.rank} least, {place}{saved}"
        case types.Resized():
            return f"going on with {figures.plural(event.workers, 'worker')} instead of {event.before}"
        case types.FellBack():
            rate = f"learning rate times {event.learning_rate_factor:g}"
            return f"epoch {event.epoch + 1} diverged: back to the last finite checkpoint, {rate}"
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
