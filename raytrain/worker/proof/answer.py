"""Holds what the workers come to against one process, on first rows of the run, before its first epoch.

Runs in: every Train worker, all at once.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from raytrain.data.packed import Arrays
from raytrain.worker.feed import Feed
from raytrain.worker.proof.observed import Difference, Observed, differences
from raytrain.worker.proof.own_code import own_layers
from raytrain.worker.proof.remedies import Remedy, Taken, named, remedies
from raytrain.worker.proof.set_aside import set_aside
from raytrain.worker.proof.telling_rows import batches_of
from raytrain.worker.proof.trial import Trial
from raytrain.worker.strategy import sum_over_workers

_ALLOWED = {"float16": 5e-2, "bfloat16": 5e-2}
_ALLOWED_OF_OTHERS = 2e-4


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of it.

    Attributes:
        largest: the largest difference, relative to the quantity's own size.
        differing: what differs by more than rounding, the largest difference first.
        set_aside: what was made equal for the comparison.
        mixing: the layers that make something else of a row when it comes with other rows.
        cannot_repeat: the steps that come to something else when they are run once more, so that nothing is known.
        remedy: what is computed over all rows from now on, since the workers gave another answer without.
    """

    largest: float = 0.0
    differing: tuple[Difference, ...] = ()
    set_aside: tuple[str, ...] = ()
    mixing: tuple[str, ...] = ()
    cannot_repeat: tuple[str, ...] = ()
    remedy: Remedy | None = None


def prove(
    model: keras.Model, strategy: tf.distribute.Strategy, feeds: Mapping[str, Feed], *, may_be_whole: bool
) -> Answer:
    """What the workers' steps come to beside those of one process; every worker is told the same.

    Where that is something else, what is computed over all rows instead is tried in turn, and the first that comes to
    the same is what the model is trained with.

    Args:
        may_be_whole: the whole step may be computed over all rows, if nothing less will do.
    """
    with set_aside(model) as aside:
        proof = _Proof(model, strategy, feeds)
        found = proof.compare()
        differing, remedy, mixing = proof.beyond_rounding(found), None, []
        if differing:
            mixing = proof.mixing_layers()
            remedy, mended = proof.mend(mixing, may_be_whole=may_be_whole)
            found, differing = (mended, []) if remedy else (found, differing)
    return Answer(
        largest=max((difference.size for difference in found), default=0.0),
        differing=tuple(differing),
        set_aside=tuple(sorted(aside)),
        mixing=tuple(layer.name for layer in mixing),
        cannot_repeat=tuple(proof.cannot_repeat),
        remedy=remedy,
    )


def take_again(
    model: keras.Model, strategy: tf.distribute.Strategy, feeds: Mapping[str, Feed], names: Sequence[str]
) -> Taken | None:
    """Computes over all rows what was seen before to need it; None where the names do not tell what that is."""
    steps = _stepping(feeds)
    batches = {name: batches_of(feed.example, feed.plan)[0] for name, feed in steps.items()}
    with set_aside(model):
        for name, feed in steps.items():
            Trial(model, strategy, feed, step=name).make_variables(batches[name])
    remedy = named(model, names, batches["train_step"])
    return remedy.take() if remedy is not None else None


def _stepping(feeds: Mapping[str, Feed]) -> dict[str, Feed]:
    """The model's methods that steps are taken by, and some rows for each."""
    tested = feeds.get("validation", feeds.get("test"))
    return {"train_step": feeds["train"]} | ({} if tested is None else {"test_step": tested})


@dataclass(frozen=True, kw_only=True)
class _Step:
    """A training or a test step, the batches that it is tried on, and what one process makes of each.

    `averaged`: what it computes does not go by the moving statistics, so that it is enough if they agree in the end.
    """

    trial: Trial
    batches: list[Arrays]
    as_one: list[Observed]
    averaged: bool


class _Proof:
    def __init__(self, model: keras.Model, strategy: tf.distribute.Strategy, feeds: Mapping[str, Feed]) -> None:
        self._model = model
        self._strategy = strategy
        self._allowed = allowed_for(model)
        self._steps: list[_Step] = []
        self.cannot_repeat: list[str] = []
        for name, feed in _stepping(feeds).items():
            self._begin(Trial(model, strategy, feed, step=name), batches_of(feed.example, feed.plan), name)

    def _begin(self, trial: Trial, batches: list[Arrays], name: str) -> None:
        trial.make_variables(batches[0])
        as_one = [trial.as_one(rows) for rows in batches]
        again = self._agreed(differences(as_one[0], trial.as_one(batches[0])))
        if self.beyond_rounding(again):
            self.cannot_repeat.append(name)
            return
        averaged = trial.has_statistics and not self._goes_by_statistics(trial, batches[0], as_one[0])
        self._steps.append(_Step(trial=trial, batches=batches, as_one=as_one, averaged=averaged))

    def _goes_by_statistics(self, trial: Trial, rows: Arrays, as_one: Observed) -> bool:
        found = self._agreed(differences(as_one, trial.as_one(rows, from_other_statistics=True)))
        return any(difference.kind != "variable" for difference in self.beyond_rounding(found))

    def compare(self) -> list[Difference]:
        """How far each quantity of the workers' lies apart, the farthest first."""
        pairs = [
            (one, step.trial.as_workers(rows, averaged=step.averaged))
            for step in self._steps
            for rows, one in zip(step.batches, step.as_one, strict=True)
        ]
        return self._agreed([each for one, many in pairs for each in differences(one, many)])

    def beyond_rounding(self, found: Sequence[Difference]) -> list[Difference]:
        return [difference for difference in found if difference.size > self._allowed]

    def mixing_layers(self) -> list[keras.Layer]:
        """Layers of the user's that make something else of a row when it comes with others, as the first worker saw."""
        mixing = {id(layer) for step in self._steps for layer in step.trial.mixing_layers(step.batches[0])}
        own = own_layers(self._model)
        seen = self._as_the_first([float(id(layer) in mixing) for layer in own])
        return [layer for layer, mixes in zip(own, seen, strict=True) if mixes]

    def mend(self, mixing: list[keras.Layer], *, may_be_whole: bool) -> tuple[Remedy | None, list[Difference]]:
        """The first remedy that gives the answer of one, and what still lies apart."""
        for remedy in remedies(self._model, mixing, self._steps[0].batches[0], may_be_whole=may_be_whole):
            taken = remedy.take()
            found = self._compare_anew()
            if found is not None and not self.beyond_rounding(found):
                return remedy, found
            taken.withdraw()
        return None, []

    def _compare_anew(self) -> list[Difference] | None:
        for step in self._steps:
            step.trial.trace_anew()
        try:
            return self.compare()
        except Exception:  # noqa: BLE001  the user's code, which need not bear all rows
            traceback.print_exc()  # into the rank's log
            return None

    def _agreed(self, found: list[Difference]) -> list[Difference]:
        """What the first worker found, on every worker: each may round in another way. One entry a quantity."""
        sizes = self._as_the_first([min(difference.size, 1e30) for difference in found])
        largest: dict[tuple[str, str], Difference] = {}
        for difference, size in zip(found, sizes, strict=True):
            key = difference.kind, difference.name
            if key not in largest or size > largest[key].size:
                largest[key] = Difference(kind=difference.kind, name=difference.name, size=size)
        return sorted(largest.values(), key=lambda difference: -difference.size)

    def _as_the_first(self, numbers: list[float]) -> list[float]:
        is_first = self._strategy.cluster_resolver.task_id == 0
        return sum_over_workers(self._strategy, [number if is_first else 0.0 for number in numbers])


def allowed_for(model: keras.Model) -> float:
    """How far apart two quantities may lie for rounding, by the coarsest numbers that a layer computes with."""
    kinds = {layer.compute_dtype for layer in model._flatten_layers()}
    return max((_ALLOWED.get(kind, _ALLOWED_OF_OTHERS) for kind in kinds), default=_ALLOWED_OF_OTHERS)
