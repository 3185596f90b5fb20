"""The likely cause of what a person would wonder at in a run, in one sentence each.

Pure: every rule is a function of what a run's events add up to. A rule speaks only where the signs are strong: a run
that goes well has no explanation, and a guess is a question.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from raytrain import formatting
from raytrain.run.epoch_row import EpochRow
from raytrain.run.run_status import Reason, RunStatus

# What the driver warns of where the labels of the train rows have one value alone, followed by which.
ONE_CLASS = "every train row has the same label"

_RECENT = 5  # epochs that tell how a run goes now
_BOUND_SHARE, _BOUND_S = 0.3, 1.0  # of the time spent waiting for rows: less is worth no word
_RISES_FOR = 3  # epochs in which a metric has gone the wrong way
_RISE = 0.1  # of the best value, and of what was gained up to it
_STILL = 1e-3  # a loss that has moved by less of its size than this since the first epoch has not moved
_STILL_FOR = 3
_GROWN = 10.0
_OFTEN = 2
_SLOWER, _NEWEST = 2.0, 3


class Known(Protocol):
    """The part of a run's summary that rules look at."""

    @property
    def status(self) -> RunStatus: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def queued_for(self) -> str | None: ...
    @property
    def restarts(self) -> int: ...
    @property
    def workers(self) -> int | None: ...
    @property
    def trainable_parameters(self) -> int | None: ...
    @property
    def lost_ranks(self) -> Mapping[int, int]: ...
    @property
    def warnings(self) -> Sequence[str]: ...
    def epoch_rows(self) -> list[EpochRow]: ...


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """A likely cause: its `kind`, which programs may rely on, and one sentence for people."""

    kind: str
    text: str


Rule = Callable[[Known], str]


def explain(known: Known) -> list[Explanation]:
    """Every rule that has something to say, what matters most first."""
    return [Explanation(kind=kind, text=text) for kind, rule in RULES.items() if (text := rule(known))]


def waiting_for_resources(known: Known) -> str:
    """`waiting for 2 GPU: …`, while a worker group has no room."""
    return f"waiting for {known.queued_for}" if known.status is RunStatus.QUEUED and known.queued_for else ""


def diverged(known: Known) -> str:
    """The run ended since its loss was no number, or its loss only grows."""
    rows = known.epoch_rows()
    rate = f" of {rows[-1].learning_rate:.3g}" if rows and rows[-1].learning_rate else ""
    if known.reason == Reason.DIVERGED:
        return f"the loss became no finite number: a learning rate{rate} that is too high, or values without a limit?"
    losses = _values(rows, "loss")
    if len(losses) >= _STILL_FOR and _rises(losses[-_STILL_FOR:]) and losses[-1] > _GROWN * max(losses[0], 1e-12) > 0:
        grown = f"the loss has grown from {formatting.metric(losses[0])} to {formatting.metric(losses[-1])}"
        return f"{grown}: a learning rate{rate} that is too high?"
    return ""


def one_class(known: Known) -> str:
    """The labels have one value alone: whatever is learned from them says nothing."""
    said = next((warning for warning in known.warnings if warning.startswith(ONE_CLASS)), "")
    return f"nothing can be learned: {said}" if said else ""


def nothing_trains(known: Known) -> str:
    """No variable of the model is trainable."""
    return "the model has no trainable variable: are all layers frozen?" if known.trainable_parameters == 0 else ""


def loss_constant(known: Known) -> str:
    """The loss stands where it stood after the first epoch."""
    rows = known.epoch_rows()
    losses = _values(rows, "loss")
    if len(losses) < _STILL_FOR or len(losses) != len(rows) or losses[0] == 0 or known.trainable_parameters == 0:
        return ""
    if max(losses) - min(losses) > _STILL * abs(losses[0]):
        return ""
    rate = rows[-1].learning_rate
    cause = (
        "the learning rate is 0"
        if rate == 0
        else "is the learning rate" + (f" of {rate:.3g}" if rate else "") + " right?"
    )
    return f"the loss has stayed at {formatting.metric(losses[-1])} in all {len(losses)} epochs: {cause}"


def overfitting(known: Known) -> str:
    """On validation rows the loss rises, while on train rows it falls."""
    pairs = [
        (row.epoch, val, loss)
        for row in known.epoch_rows()
        if (val := _value(row, "val_loss")) is not None and (loss := _value(row, "loss")) is not None
    ]
    if not pairs:
        return ""
    best = min(range(len(pairs)), key=lambda index: pairs[index][1])
    since = [val for _, val, _ in pairs[best + 1 :]]
    if len(since) < _RISES_FOR or pairs[-1][2] >= pairs[best][2]:
        return ""
    (epoch, lowest, _), first = pairs[best], pairs[0][1]
    half = len(since) // 2
    goes_on = statistics.fmean(since[-half:]) > statistics.fmean(since[:half]) and min(since) > lowest
    rise = statistics.median(since[-_RISES_FOR:]) - lowest
    if goes_on and rise >= _RISE * abs(lowest) and rise >= _RISE * (first - lowest):
        return f"val_loss is rising since epoch {epoch + 1} while loss falls: overfitting"
    return ""


def input_bound(known: Known) -> str:
    """`input-bound: rank 1 waited for rows 63 % of the time`, over the last epochs, the first one left out."""
    rows = known.epoch_rows()[1:][-_RECENT:]
    measured = [(row.epoch_s, row.wait_share, row.wait_rank) for row in rows if row.wait_share is not None]
    total_s = sum(epoch_s for epoch_s, _, _ in measured)
    waited_s = sum(epoch_s * share for epoch_s, share, _ in measured)
    if len(measured) < 2 or waited_s < _BOUND_S or waited_s < _BOUND_SHARE * total_s:
        return ""
    rank = statistics.mode([rank for _, _, rank in measured])
    return (
        f"input-bound: rank {rank} waited for rows {waited_s / total_s:.0%} of the time;"
        " data.cache, fewer or cheaper preprocessing steps, or more CPUs for the data"
    )


def slowing_down(known: Known) -> str:
    """The newest epochs take twice as long as those of the same workers before."""
    rows = known.epoch_rows()
    alike = [row for row in rows[1:] if row.attempt == rows[-1].attempt]
    if known.restarts or len(alike) < 4 * _NEWEST:
        return ""
    before = statistics.median(row.epoch_s for row in alike[:-_NEWEST])
    newest = alike[-_NEWEST:]
    if min(row.epoch_s for row in newest) < _SLOWER * max(before, _BOUND_S):
        return ""
    now = statistics.median(row.epoch_s for row in newest)
    was = f"{formatting.seconds(now)}, {formatting.seconds(before)} before"
    return f"epochs have become slower ({was}): what else runs on its nodes?"


def restarting(known: Known) -> str:
    """Worker groups have been lost again and again."""
    if known.restarts < _OFTEN:
        return ""
    times = f"the workers were started again {known.restarts} times"
    ranks = [rank for rank, lost in known.lost_ranks.items() if lost >= _OFTEN]
    if len(ranks) == 1 and (known.workers or 0) > 1:
        return f"{times}, {known.lost_ranks[ranks[0]]} times for rank {ranks[0]}: its node, or too little memory?"
    return f"{times}: too little memory, or nodes that are taken away?"


RULES: Mapping[str, Rule] = {
    "waiting_for_resources": waiting_for_resources,
    "diverged": diverged,
    "one_class": one_class,
    "nothing_trains": nothing_trains,
    "loss_constant": loss_constant,
    "overfitting": overfitting,
    "input_bound": input_bound,
    "slowing_down": slowing_down,
    "restarting": restarting,
}


def _values(rows: Iterable[EpochRow], name: str) -> list[float]:
    """The finite values of a metric, in order."""
    return [value for row in rows if (value := _value(row, name)) is not None]


def _value(row: EpochRow, name: str) -> float | None:
    """None where the epoch has none, or no finite one; a later version may write something else there."""
    value = row.metrics.get(name)
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def _rises(values: Sequence[float]) -> bool:
    return all(before < after for before, after in pairwise(values))
