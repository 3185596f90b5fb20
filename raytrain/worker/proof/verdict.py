"""When a run proves its answer, and what becomes of what it finds.

Runs in: every Train worker.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import tensorflow as tf

from raytrain.errors import Problem, UserCodeError
from raytrain.formatting import size
from raytrain.run import events
from raytrain.spec.job import JobSpec
from raytrain.worker.feed import Feed
from raytrain.worker.proof.answer import Answer, prove, take_again
from raytrain.worker.proof.holds_for import holds_for
from raytrain.worker.proof.own_code import own_parts
from raytrain.worker.proof.remedies import Remedy
from raytrain.worker.strategy import sum_over_workers

_LINE_END = "\n"
_NAMED = 3


class AnswerDiffers(UserCodeError):
    """The workers do not give the answer of one process, or cannot be seen to, which the job requires."""


def prove_if_needed(
    model: keras.Model,
    spec: JobSpec,
    strategy: tf.distribute.Strategy,
    feeds: Mapping[str, Feed],
    tell: Callable[[events.Event], None],
    *,
    folder: Path,
    proven: events.AnswerProven | None,
) -> None:
    """Proves the answer of several workers that train with code of the user's own, and tells what came of it.

    Args:
        folder: the user's own files.
        proven: what the run has proven before, the same on every worker; it is not done again where it holds.

    Raises:
        AnswerDiffers: they are not proven to give the answer of one process, and `fit.answer` requires that.
    """
    workers = strategy.num_replicas_in_sync
    if workers == 1 or spec.fit.answer == "any" or not own_parts(model):
        return
    holds = holds_for(spec, folder)
    if proven is not None and _holds(proven, holds, strategy) and _go_on(model, strategy, feeds, proven):
        return
    required = spec.fit.answer == "require"
    try:
        answer = prove(model, strategy, feeds, may_be_whole=required)
    except Exception as error:  # noqa: BLE001  the user's code, which trains all the same
        traceback.print_exc()  # into the rank's log
        _tell_unproven(f"{type(error).__name__}: {str(error).partition(_LINE_END)[0]}", spec, workers, tell)
        return
    aside = list(answer.set_aside)
    if answer.differing:
        what = [f"{difference.kind} {difference.name}" for difference in answer.differing]
        tell(events.AnswerDiffers(largest=answer.largest, workers=workers, what=what, set_aside=aside))
        if required:
            raise AnswerDiffers(_problem(f"another answer from {workers} workers than from one: {_differing(answer)}"))
        tell(events.Warned(message=_warning(answer, workers)))
    elif answer.cannot_repeat:
        _tell_unproven(f"{answer.cannot_repeat[0]} draws random numbers of its own", spec, workers, tell)
    else:
        over = answer.remedy.names if answer.remedy else []
        tell(
            events.AnswerProven(
                largest=answer.largest, workers=workers, set_aside=aside, over_all_rows=over, holds_for=holds
            )
        )
    if answer.remedy is not None:
        tell(events.Warned(message=_cost(answer.remedy, workers, feeds["train"].plan.batch_rows(0))))
        _trace_anew(model)


def _go_on(
    model: keras.Model, strategy: tf.distribute.Strategy, feeds: Mapping[str, Feed], proven: events.AnswerProven
) -> bool:
    """Whether what was proven before can be relied on; what it needs computed over all rows, is so again."""
    if not proven.over_all_rows:
        return True
    try:
        taken = take_again(model, strategy, feeds, proven.over_all_rows)
    except Exception:  # noqa: BLE001  the user's code, which is tried anew
        traceback.print_exc()  # into the rank's log
        taken = None
    if _all_say(taken is not None, strategy):
        _trace_anew(model)
        return True
    if taken is not None:
        taken.withdraw()
    return False


def _holds(proven: events.AnswerProven, holds: str, strategy: tf.distribute.Strategy) -> bool:
    same = proven.workers == strategy.num_replicas_in_sync and proven.holds_for == holds != ""
    return _all_say(same, strategy)


def _all_say(yes: bool, strategy: tf.distribute.Strategy) -> bool:
    """Every worker's word, for each to do the same: versions and files may differ between nodes."""
    return sum_over_workers(strategy, [float(yes)]) == [strategy.num_replicas_in_sync]


def _trace_anew(model: keras.Model) -> None:
    model.make_train_function(force=True)
    model.make_test_function(force=True)


def _tell_unproven(why: str, spec: JobSpec, workers: int, tell: Callable[[events.Event], None]) -> None:
    """A warning; where the answer of one is required, the end."""
    if spec.fit.answer == "require":
        raise AnswerDiffers(_problem(f"an answer of {workers} workers that could not be proven: {why}"))
    tell(events.Warned(message=f"the answer of {workers} workers could not be proven: {why}"))


def _warning(answer: Answer, workers: int) -> str:
    return (
        f"{workers} workers do not give the answer of one: {_differing(answer)}; fit.answer=require computes each step"
        " from all rows, if that is equal; see the page on exactness"
    )


def _cost(remedy: Remedy, workers: int, batch_rows: int) -> str:
    """What has changed, and what that costs."""
    sends = "" if remedy.row_bytes is None else f", which sends {size(remedy.row_bytes * batch_rows)} a step"
    slower = "; no faster than one worker" if remedy.is_whole else ""
    return (
        f"{' and '.join(remedy.names)} is computed from all workers' rows{sends}, since {workers} workers gave another"
        f" answer than one without{slower}"
    )


def _problem(got: str) -> Problem:
    return Problem(
        field="fit.answer",
        got=got,
        expected="the answer of one process, which `require` asks for",
        fix="scaling.workers=1, or fit.answer=warn",
    )


def _differing(answer: Answer) -> str:
    named = [f"{each.kind} {each.name} by {each.size:.0e}" for each in answer.differing[:_NAMED]]
    more = len(answer.differing) - len(named)
    mixing = f"; {' and '.join(answer.mixing)} computes with other rows of the batch" if answer.mixing else ""
    return ", ".join(named) + (f" and {more} more" if more > 0 else "") + mixing
