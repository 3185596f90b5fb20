"""The four answers at the top of a page: did it learn, how long did it take, why did it stop, what would I do next."""

from __future__ import annotations

import math

from raytrain import formatting
from raytrain.run.run_status import Reason, RunStatus
from raytrain.run.status_words import reason_in_words, waiting_for
from raytrain.run.summary import RunSummary

_HARDLY = 0.02  # of the first loss
ADVICE = {
    "diverged": "a lower learning rate, or `divergence: {action: fall_back}`",
    "one_class": "look at the labels: `raytrain plan JOB --data`",
    "nothing_trains": "make a layer trainable",
    "loss_constant": "another learning rate, and a look at the data: `raytrain plan JOB --data`",
    "overfitting": "early stopping with `restore_best`, more rows, or a smaller model",
    "input_bound": "speed up the data before adding workers",
    "slowing_down": "look at the nodes in the Ray dashboard",
    "restarting": "look at the logs of the ranks that were lost",
    "waiting_for_resources": "wait, ask for less, or enlarge the cluster",
}
_AFTER_REASON = {
    Reason.EARLY_STOPPED: "it has come as far as it does with this job: another model, rate or more data would tell",
    Reason.TARGET_REACHED: "use the model",
    Reason.TIME_LIMIT: "`raytrain resume` with a later fit.time_limit, if it should go on",
    Reason.STOPPED_BY_USER: "`raytrain resume` goes on from the last checkpoint",
    Reason.USER_CODE: "mend what is named above and submit the job again",
    Reason.SPEC_REFUSED: "mend what is named above and submit the job again",
    Reason.ANSWER_DIFFERS: "`raytrain check JOB` tells what differs",
    Reason.RESOURCES: "ask for less, or enlarge the cluster",
    Reason.STORAGE: "make room or name another storage, then `raytrain resume`",
}
_ELSE_ENDED = "`raytrain logs` tells more; `raytrain resume` goes on from the last checkpoint"


def did_it_learn(summary: RunSummary) -> str:
    """From the loss on train rows alone, which every run has, and the best value of what is monitored."""
    rows = summary.epoch_rows()
    losses = [(row.epoch, value) for row in rows if (value := row.metrics.get("loss")) is not None]
    losses = [(epoch, value) for epoch, value in losses if math.isfinite(value)]
    if not rows:
        return "No epoch has ended."
    if not losses:
        return "Nobody can tell: no epoch has a loss that is a number."
    (_, first), (_, last) = losses[0], losses[-1]
    best = summary.best
    beside = ""
    if best and best.value is not None:
        beside = f" Best {best.monitor}: {formatting.metric(best.value)} in epoch {best.epoch + 1}."
    if len(losses) == 1:
        return f"One epoch tells little: loss {formatting.metric(first)}.{beside}"
    moved = f"loss {formatting.metric(first)} → {formatting.metric(last)} in {formatting.plural(len(rows), 'epoch')}."
    if last < first - _HARDLY * abs(first):
        return f"Yes: {moved}{beside}"
    return f"{'Hardly' if last < first + _HARDLY * abs(first) else 'No'}: {moved}{beside}"


def how_long(summary: RunSummary, now: float) -> str:
    """The whole since the command, and the first step and the epochs in it."""
    timing = summary.to_dict()["timing"]
    total_s = timing["total_s"]
    if total_s is None and summary.submitted_at is not None and not summary.status.is_terminal:
        total_s = max(0.0, now - summary.submitted_at)
    if total_s is None:
        return "Unknown."
    so_far = "" if summary.status.is_terminal else " so far"
    parts = [f"{formatting.seconds(total_s)} since the command{so_far}"]
    if (first_s := timing["submit_to_first_step_s"]) is not None:
        parts.append(f"{formatting.seconds(first_s)} to the first step")
    if timing["epoch_s"]:
        parts.append(
            f"{formatting.seconds(sum(timing['epoch_s']))} in {formatting.plural(len(timing['epoch_s']), 'epoch')}"
        )
    return ", ".join(parts) + "."


def why_it_stopped(summary: RunSummary) -> str:
    """The reason and the error; of a run that goes on, what it does now."""
    if summary.status is RunStatus.UNKNOWN:
        return "Nobody knows: its cluster does not answer, and its log has no end."
    if not summary.status.is_terminal:
        doing = waiting_for(summary) if not summary.epochs or summary.status is not RunStatus.RUNNING else "training"
        return f"It goes on ({summary.status}): {doing}."
    error = summary.error
    why = f"{summary.status}: {reason_in_words(summary.reason)}."
    if error is None:
        return why
    rank = f", rank {error.rank}" if error.rank is not None else ""
    place = f" ({error.place}{rank})" if error.place else rank
    return f"{why} {error.kind}: {error.message}{place}"


def what_next(summary: RunSummary) -> list[str]:
    """What a person would do, the most fitting first."""
    advice = [ADVICE[cause.kind] for cause in summary.explanations() if cause.kind in ADVICE]
    if summary.status is RunStatus.UNKNOWN:
        return ["`raytrain status` asks again; `raytrain resume` takes it up from its last checkpoint"]
    if not summary.status.is_terminal:
        return advice or ["nothing: let it go on"]
    if summary.reason == Reason.COMPLETED:
        if not advice and summary.best and summary.best.epoch == max(summary.epochs, default=-1):
            advice.append("the last epoch is the best: more epochs may bring more (`--set fit.epochs=…`)")
        return [*advice, "use the model"] if summary.model else advice or ["`raytrain logs` tells more"]
    reason = Reason(summary.reason) if summary.reason in list(Reason) else None
    return [*advice, _AFTER_REASON.get(reason, _ELSE_ENDED) if reason else _ELSE_ENDED]
