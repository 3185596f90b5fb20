"""Holds what the workers come to against one process, on first rows of the run, before its first epoch.

Runs in: every Train worker, all at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import tensorflow as tf

from raytrain.data.packed import Arrays
from raytrain.worker.feed import Feed
from raytrain.worker.proof.observed import Difference, differences
from raytrain.worker.proof.set_aside import set_aside
from raytrain.worker.proof.telling_rows import batches_of
from raytrain.worker.proof.trial import Trial
from raytrain.worker.strategy import sum_over_workers

_ALLOWED = {"float16": 5e-2, "bfloat16": 5e-2}
_ALLOWED_OF_OTHERS = 2e-4
_STEPS = {"train": "train_step", "validation": "test_step"}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of it.

    Attributes:
        largest: the largest difference, relative to the quantity's own size.
        differing: what differs by more than rounding, the largest difference first.
        set_aside: what was made equal for the comparison.
        mixing: the layers that make something else of a row when it comes with other rows.
        cannot_repeat: the steps that come to something else when they are run once more, so that nothing is known.
    """

    largest: float = 0.0
    differing: tuple[Difference, ...] = ()
    set_aside: tuple[str, ...] = ()
    mixing: tuple[str, ...] = ()
    cannot_repeat: tuple[str, ...] = ()


def prove(model: keras.Model, strategy: tf.distribute.Strategy, feeds: Mapping[str, Feed]) -> Answer:
    """What the workers' steps come to beside those of one process; every worker is told the same."""
    allowed = allowed_for(model)
    found: list[Difference] = []
    trials: list[tuple[Trial, list[Arrays]]] = []
    cannot_repeat = []
    with set_aside(model) as aside:
        for split, step in _STEPS.items():
            feed = feeds.get(split)
            if feed is None:
                continue
            trial, batches = Trial(model, strategy, feed, step=step), batches_of(feed.example, feed.plan)
            trial.make_variables(batches[0])
            if not _repeats(trial, batches[0], allowed):
                cannot_repeat.append(step)
                continue
            found += [each for rows in batches for each in differences(trial.as_one(rows), trial.as_workers(rows))]
            trials.append((trial, batches))
        agreed = _agreed(strategy, found)
        differing = tuple(difference for difference in agreed if difference.size > allowed)
        mixing = [name for trial, batches in trials for name in trial.mixing_layers(batches[0])] if differing else []
    return Answer(
        largest=max((difference.size for difference in agreed), default=0.0),
        differing=differing,
        set_aside=tuple(sorted(aside)),
        mixing=tuple(dict.fromkeys(mixing)),
        cannot_repeat=tuple(cannot_repeat),
    )


def allowed_for(model: keras.Model) -> float:
    """How far apart two quantities may lie for rounding, by the coarsest numbers that a layer computes with."""
    kinds = {layer.compute_dtype for layer in model._flatten_layers()}
    return max((_ALLOWED.get(kind, _ALLOWED_OF_OTHERS) for kind in kinds), default=_ALLOWED_OF_OTHERS)


def _repeats(trial: Trial, rows: Arrays, allowed: float) -> bool:
    return all(each.size <= allowed for each in differences(trial.as_one(rows), trial.as_one(rows)))


def _agreed(strategy: tf.distribute.Strategy, found: list[Difference]) -> list[Difference]:
    """What the first worker found, on every worker: each may round in another way. One entry a quantity."""
    mine = [min(difference.size, 1e30) for difference in found]
    is_first = strategy.cluster_resolver.task_id == 0
    sizes = sum_over_workers(strategy, [size if is_first else 0.0 for size in mine])
    largest: dict[tuple[str, str], Difference] = {}
    for difference, size in zip(found, sizes, strict=True):
        key = difference.kind, difference.name
        if key not in largest or size > largest[key].size:
            largest[key] = Difference(kind=difference.kind, name=difference.name, size=size)
    return sorted(largest.values(), key=lambda difference: -difference.size)
