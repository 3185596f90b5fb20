"""What a run's state is called in words for people: what it waits for, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from raytrain import formatting
from raytrain.client.takeover import Overtaken, Resubmitted, Resubmitting, Takeover
from raytrain.errors import Failure
from raytrain.run.events import Best
from raytrain.run.run_status import RunStatus
from raytrain.run.status_words import answer_in_words, collectives_in_words, next_commands, reason_in_words, waiting_for
from raytrain.run.step_progress import StepProgress
from raytrain.run.summary import RunSummary

if TYPE_CHECKING:
    from raytrain.client.run_list import RunRow


def verdict(summary: RunSummary) -> Iterator[str]:
    """The lines that say how a run stands or ended; what is unknown is left out."""
    yield f"{summary.run}: {summary.status}" + (f" ({reason_in_words(summary.reason)})" if summary.reason else "")
    starting = not summary.epochs and summary.status in (RunStatus.PENDING, RunStatus.RUNNING)
    starting = starting or summary.status is RunStatus.QUEUED
    facts = [
        ("now", waiting_for(summary) if starting else ""),
        ("progress", _progress(summary.progress)),
        ("error", _error(summary.error)),
        *(("likely" if number == 0 else "", cause.text) for number, cause in enumerate(summary.explanations())),
        ("answer", answer_in_words(summary.answer)),
        ("sums over", collectives_in_words(summary.collectives)),
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
    yield "next:  " + "    ".join(next_commands(summary))


def _progress(progress: StepProgress | None) -> str:
    if progress is None:
        return ""
    step = f"step {formatting.count(progress.step)} of {formatting.count(progress.steps)}"
    return f"{step} of epoch {progress.epoch + 1}"


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
