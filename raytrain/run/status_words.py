"""What a run's state is called in words for people: what it waits for, and why it ended."""

from __future__ import annotations

from raytrain.run.events import AnswerDiffers, AnswerProven, CollectivesChosen
from raytrain.run.run_status import Reason, RunStatus
from raytrain.run.summary import RunSummary

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


def answer_in_words(answer: AnswerProven | AnswerDiffers | None) -> str:
    """What a run proved of its answer; empty where nothing called for a proof."""
    if answer is None:
        return ""
    aside = f", {' and '.join(answer.set_aside)} set aside" if answer.set_aside else ""
    if isinstance(answer, AnswerProven):
        over = f", {' and '.join(answer.over_all_rows)} over all rows" if answer.over_all_rows else ""
        return f"that of one process, proven to {answer.largest:.0e}{aside}{over}"
    return f"not that of one process: {answer.what[0]} differs by {answer.largest:.0e}{aside}"


def collectives_in_words(chosen: CollectivesChosen | None) -> str:
    """What the workers sum over; empty where that goes without saying, without GPUs or with one worker."""
    if chosen is None or (chosen.implementation != "nccl" and not chosen.why):
        return ""
    return "NCCL" if chosen.implementation == "nccl" else f"TensorFlow's ring ({chosen.why})"


def next_commands(summary: RunSummary) -> list[str]:
    """Commands that a person may want next."""
    run = summary.run
    if summary.status is RunStatus.SUCCEEDED:
        return [f"raytrain metrics {run}", f"raytrain report {run}", f"raytrain status {run} --json"]
    if summary.status.is_terminal:
        again = [] if summary.reason in _ENDS_THERE_AGAIN else [f"raytrain resume {run}"]
        return [*again, f"raytrain logs {run}", f"raytrain logs {run} --rank 0"]
    return [f"raytrain watch {run}", f"raytrain stop {run}"]
