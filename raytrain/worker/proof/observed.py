"""What a training or test step came to, as plain numbers, and how far two of them lie apart.

Pure: imports no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

# A gradient that is zero but for rounding (a bias before a normalisation) is noise of the largest one of its step.
NOISE = 1e-3


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What one step, on some rows, came to; each by name.

    Attributes:
        gradients: what the optimizers were handed for each variable.
        variables: what the step made of every variable, but for the optimizers' own.
        results: of the metrics, and what the step returned beside them.
    """

    gradients: Mapping[str, Array] = field(default_factory=dict)
    variables: Mapping[str, Array] = field(default_factory=dict)
    results: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How far a quantity of the workers' lies from one process', relative to its own size.

    `kind`: `gradient`, `variable` or `result`.
    """

    kind: str
    name: str
    size: float


def differences(one: Observed, many: Observed) -> list[Difference]:
    """Every quantity's difference; infinite where only one of them has it.

    A variable whose gradient both have is judged by that: an optimizer may make a step of any noise.
    """
    trained = [name for name in one.gradients if name in many.gradients]
    floor = NOISE * max((_largest(one.gradients[name]) for name in trained), default=0.0)
    compared = [
        ("gradient", _only(one.gradients, trained), _only(many.gradients, trained), floor),
        ("variable", _without(one.variables, trained), _without(many.variables, trained), NOISE),
        ("result", one.results, many.results, NOISE),
    ]
    return [
        Difference(kind=kind, name=name, size=size)
        for kind, ours, theirs, smallest in compared
        for name, size in _sizes(ours, theirs, smallest).items()
    ]


def _only(named: Mapping[str, Array], names: Sequence[str]) -> dict[str, Array]:
    return {name: named[name] for name in names}


def _without(named: Mapping[str, Array], names: Sequence[str]) -> dict[str, Array]:
    return {name: value for name, value in named.items() if name not in names}


def _sizes(one: Mapping[str, Array], many: Mapping[str, Array], floor: float) -> dict[str, float]:
    return {
        name: _distance(one[name], many[name], floor) if name in one and name in many else float("inf")
        for name in dict.fromkeys([*one, *many])
    }


def _distance(one: Array, many: Array, floor: float) -> float:
    if one.shape != many.shape:
        return float("inf")
    if not one.size:
        return 0.0
    ours, theirs = np.asarray(many, np.float64), np.asarray(one, np.float64)
    alike = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    with np.errstate(invalid="ignore"):  # of infinities
        apart = np.where(alike, 0.0, np.abs(ours - theirs))
    if not np.isfinite(apart).all():
        return float("inf")
    return float(apart.max() / max(_largest(theirs), floor, 1e-30))


def _largest(array: Array) -> float:
    return float(np.abs(array[np.isfinite(array)]).max(initial=0.0))
