"""What a run's state is called in words for people: what it waits for, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from raytrain import formatting
from raytrain.client.takeover import Overtaken, Resubmitted, Resubmitting, Takeover
from raytrain.errors import Failure
from raytrain.run.events import AnswerDiffers, AnswerProven, Best
from raytrain.run.run_status import Reason, RunStatus
from raytrain.run.summary import RunSummary

if TYPE_CHECKING:
    from raytrain.client.run_list import RunRow

# Start-up in order: the phase that ends it, and what goes on until then.
_WAITING_FOR = (
    ("driver", "starting the driver"),
    ("data", "reading and splitting the data"),
    ("workers", "starting the workers"),
    ("tensorflow", "importing TensorFlow on the workers"),
    ("model", "building the model"),
    ("first_step", "running the first step"),
    ("first_epoch", "running the first epoch"),
)

_REASON_IN_WORDS = {
    Reason.COMPLETED: "all epochs done",
    Reason.EARLY_STOPPED: "stopped early: no more improvement",
    Reason.TARGET_REACHED: "stopped early: target reached",
    Reason.TIME_LIMIT: "stopped at its time limit",
    Reason.STOPPED_BY_CALLBACK: "stopped by a callback of the job's",
    Reason.STOPPED_BY_USER: "stopped by the user",
    Reason.ANSWER_DIFFERS: "its workers do not give the answer of one",
    Reason.DIVERGED: "the loss is no number any more",
    Reason.WORKER_LOST: "a worker was lost",
    Reason.HUNG: "the workers hung",
    Reason.PREEMPTED: "its node was taken away",
    Reason.DRIVER_LOST: "the driver was lost",
    Reason.USER_CODE: "the job's own code or data failed",
    Reason.SPEC_REFUSED: "the job was refused on the cluster",
    Reason.RESOURCES: "the cluster could not give what was asked for",
    Reason.STORAGE: "the storage failed",
    Reason.ENVIRONMENT: "the job's environment could not be set up",
    Reason.INTERNAL: "an error in raytrain",
}

# What has to be mended first, and is a job of its own then.
_ENDS_THERE_AGAIN = (Reason.USER_CODE, Reason.SPEC_REFUSED, Reason.ANSWER_DIFFERS)


def waiting_for(summary: RunSummary, job_message: str = "") -> str:
    """What a run without an epoch yet is busy with."""
    if summary.queued_for:
        return f"waiting for {summary.queued_for}"
    if summary.status is RunStatus.RETRYING:
        return "starting again after a failure"
    if not summary.phases and summary.status is RunStatus.PENDING:
        return f"waiting for the cluster ({job_message})" if job_message else "waiting for the cluster"
    return next((words for phase, words in _WAITING_FOR if phase not in summary.phases), "training")


def reason_in_words(reason: str | None) -> str:
    """The reason as a phrase; a reason of a newer raytrain stands as it is."""
    return _REASON_IN_WORDS[Reason(reason)] if reason in list(Reason) else reason or ""


def verdict(summary: RunSummary) -> Iterator[str]:
    """The lines that say how a run stands or ended; what is unknown is left out."""
    yield f"{summary.run}: {summary.status}" + (f" ({reason_in_words(summary.reason)})" if summary.reason else "")
    starting = not summary.epochs and summary.status in (RunStatus.PENDING, RunStatus.RUNNING)
    starting = starting or summary.status is RunStatus.QUEUED
    facts = [
        ("now", waiting_for(summary) if starting else ""),
        ("error", _error(summary.error)),
        ("answer", _answer(summary.answer)),
        ("extends", summary.extended_from or ""),
        ("began with", summary.initialised_from or ""),
        ("overfit", _overfit(summary.overfit_batches)),
        ("epochs", _epochs(summary)),
        ("metrics", formatting.metrics(summary.last_metrics)),
        ("best", _best(summary.best)),
        ("test", formatting.metrics(summary.test or {})),
        ("time", _timing(summary)),
        ("restarts", str(summary.restarts or "")),
        ("model", summary.model or ""),
        ("directory", summary.storage or ""),
        ("dashboard", "" if summary.status.is_terminal else summary.dashboard_url or ""),
    ]
    for label, text in facts:
        first, *more = text.splitlines() or [""]
        if first:
            yield f"  {label:<10} {first}"
            yield from (f"  {'':<10} {line}" for line in more)
    yield from (f"  warning    {line}" for warning in summary.warnings for line in warning.splitlines())


def _overfit(batches: int | None) -> str:
    if batches is None:
        return ""
    return (
        f"trained on the first {formatting.plural(batches, 'batch', 'batches')} alone, and validated on the same rows"
    )


def _answer(answer: AnswerProven | AnswerDiffers | None) -> str:
    if answer is None:
        return ""
    aside = f", {' and '.join(answer.set_aside)} set aside" if answer.set_aside else ""
    if isinstance(answer, AnswerProven):
        over = f", {' and '.join(answer.over_all_rows)} over all rows" if answer.over_all_rows else ""
        return f"that of one process, proven to {answer.largest:.0e}{aside}{over}"
    return f"not that of one process: {answer.what[0]} differs by {answer.largest:.0e}{aside}"


def takeover_lines(item: Takeover) -> Iterator[str]:
    """What is done about a lost driver."""
    match item:
        case Resubmitting():
            yield f"the driver of attempt {item.lost} was lost: submitting attempt {item.attempt} (restarts.driver)"
        case Resubmitted():
            yield from (f"warning: {warning}" for warning in item.warnings)
        case Overtaken():
            yield (
                f"the driver of attempt {item.lost} was lost: attempt {item.attempt} was submitted by another command"
            )


def next_steps(summary: RunSummary) -> Iterator[str]:
    """Commands that a person may want next."""
    run = summary.run
    if summary.status is RunStatus.SUCCEEDED:
        commands = [f"raytrain metrics {run}", f"raytrain status {run} --json"]
    elif summary.status.is_terminal:
        again = [] if summary.reason in _ENDS_THERE_AGAIN else [f"raytrain resume {run}"]
        commands = [*again, f"raytrain logs {run}", f"raytrain logs {run} --rank 0"]
    else:
        commands = [f"raytrain watch {run}", f"raytrain stop {run}"]
    yield "next:  " + "    ".join(commands)


def _epochs(summary: RunSummary) -> str:
    if summary.epochs_planned is None:
        return ""
    workers = f" on {formatting.plural(summary.workers, 'worker')}" if summary.workers else ""
    return f"{len(summary.epochs)} of {summary.epochs_planned}{workers}"


def _best(best: Best | None) -> str:
    """Epochs are counted from 1 for people."""
    if not best:
        return ""
    return f"epoch {best.epoch + 1}: {best.monitor}={formatting.metric(best.value)}"


def _timing(summary: RunSummary) -> str:
    """Seconds since the user's command, phase by phase, and the whole."""
    phases = [f"{name.replace('_', ' ')} {formatting.seconds(at)}" for name, at in summary.phases.items()]
    total = summary.to_dict()["timing"]["total_s"]
    if total is not None:
        phases.append(f"total {formatting.seconds(total)}")
    return f"{', '.join(phases)}; since the command" if phases else ""


def _error(error: Failure | None) -> str:
    """One line; the whole of it stands in the panel."""
    if not error:
        return ""
    message = (error.message or error.kind).strip().partition("\n")[0]
    return f"{error.place}: {message}" if error.place else message


def in_one_line(row: RunRow) -> str:
    """`Run digits-… SUCCEEDED (all epochs done), 10 of 10 epochs, loss=0.0048`; what is unknown is left out."""
    state, stored = row.state, row.stored
    why = f" ({reason_in_words(state.reason)})" if state.reason else ""
    done = f", {stored.epochs} of {stored.epochs_planned} epochs" if stored.epochs_planned else ""
    figures = f", {formatting.metrics(stored.metrics)}" if stored.metrics else ""
    return f"Run {row.record.run} {state.status}{why}{done}{figures}"
