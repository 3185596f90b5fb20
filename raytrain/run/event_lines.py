"""The line that an event is worth in a log: one an epoch, in the job's log on the dashboard and off a terminal."""

from __future__ import annotations

from raytrain import formatting
from raytrain.run import events
from raytrain.run.status_words import collectives_in_words
from raytrain.run.summary import RunSummary

# Waiting for rows that is worth a word: so much of an epoch, and no mere moment.
_LONG_WAIT_SHARE, _LONG_WAIT_S = 0.2, 0.1


def epoch_line(event: events.EpochEnd, planned: int | None) -> str:
    """`epoch 3/10 loss=0.1234 val_loss=0.2345 0.41s 3500 rows/s`; epochs are counted from 1.

    Where a good part of the time went into waiting for rows, `(waited 0.20s for data)` follows.
    """
    of = f"/{planned}" if planned else ""
    pace = f"{formatting.seconds(event.seconds)} {event.rows_per_s:.0f} rows/s"
    waited = max(event.rank_wait_s, default=0.0)
    if waited > max(_LONG_WAIT_SHARE * event.seconds, _LONG_WAIT_S):
        pace += f" (waited {formatting.seconds(waited)} for data)"
    return f"epoch {event.epoch + 1}{of} {formatting.metrics(event.metrics)} {pace}"


def initialised_line(event: events.Initialised) -> str:
    """`of the saved model: taken a, b; left head (of another shape); frozen a`."""
    left = [f"{name} (of another shape)" if name in event.other_shape else name for name in event.left]
    parts = {"taken": event.taken, "left": left, "frozen": event.frozen}
    return "layers: " + "; ".join(f"{what} {', '.join(names)}" for what, names in parts.items() if names)


def event_line(event: events.Event, summary: RunSummary) -> str:
    """The line that an event is worth; empty for those that people need not see."""
    match event:
        case events.EpochEnd():
            return epoch_line(event, summary.epochs_planned)
        case events.GroupStarted(restart=restart) if restart or event.attempt > 1:
            return f"attempt {event.attempt}, restart {restart}: starting {formatting.plural(event.workers, 'worker')}"
        case events.Queued():
            return f"waiting for {event.needs}"
        case events.Submitted() if event.attempt > 1:
            return f"attempt {event.attempt} takes up the run"
        case events.Extended():
            return f"goes on after epoch {event.epoch + 1} of {event.extends}"
        case events.Initialised():
            return initialised_line(event)
        case events.Restored(step=0):
            return f"restored the checkpoint of epoch {event.epoch + 1}"
        case events.Restored():
            return f"restored the checkpoint of epoch {event.epoch + 2}, step {event.step}"
        case events.CheckpointFailed():
            return f"a checkpoint could not be saved: {event.why}" + (", given up" if event.given_up else "")
        case events.CheckpointSkipped():
            return f"checkpoint {event.path} left aside: {event.why}"
        case events.TrainingEnded():
            where = f"in epoch {event.epoch + 1}, step {event.step}" if event.step else f"after epoch {event.epoch + 1}"
            return f"stopping {where}: {event.message}"
        case events.WorkerLost():
            return f"worker lost: {event.message}"
        case events.Hung():
            place = f"in epoch {event.epoch + 1}, step {event.step} ({event.phase})"
            saved = f"; the stacks of all ranks are in {event.stacks}" if event.stacks else ""
            return (
                f"no worker advanced for {formatting.seconds(event.limit_s)}, rank {event.rank} least, {place}{saved}"
            )
        case events.Resized():
            return f"going on with {formatting.plural(event.workers, 'worker')} instead of {event.before}"
        case events.FellBack():
            rate = f"learning rate times {event.learning_rate_factor:g}"
            return f"epoch {event.epoch + 1} diverged: back to the last finite checkpoint, {rate}"
        case events.GroupFailed(retrying=True):
            return f"failed, starting again: {event.error.message}"
        case events.AnswerProven():
            return f"proven to give the answer of one process, to {event.largest:.0e}"
        case events.CollectivesChosen() if words := collectives_in_words(event):
            return f"workers sum over {words}"
        case events.Warned():
            return f"warning: {event.message}"
    return ""


def final_line(event: events.Event) -> str:
    """The last line of a job's own log, where no verdict follows it: why a run did not succeed."""
    if not isinstance(event, events.RunFinished) or event.error is None:
        return ""
    error = event.error
    where = f" ({error.place})" if error.place else ""
    return f"{event.status} ({event.reason}): {error.kind}: {error.message}{where}"


def success_line(event: events.Event, summary: RunSummary) -> str:
    """The last line of a job's own log that ends well: `SUCCEEDED (completed): 10 epochs, best val_loss=0.04 in 8`."""
    if not isinstance(event, events.RunFinished) or event.error is not None:
        return ""
    best = summary.best
    at_best = f", best {formatting.metrics({best.monitor: best.value})} in epoch {best.epoch + 1}" if best else ""
    return f"{event.status} ({event.reason}): {formatting.plural(len(summary.epochs), 'epoch')}{at_best}"
