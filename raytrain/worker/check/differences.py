"""Holds what the workers came to against plain Keras, quantity by quantity.

Runs in: a process of a check that imports no TensorFlow.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from raytrain.check_protocol import AGAIN, PLAIN, CheckFolder, Comparison, Quantity, Verdict, rank_role
from raytrain.files import write_whole
from raytrain.worker.check.trained import Trained, numbers_of
from raytrain.worker.proof.observed import NOISE, Array, Observed, differences

# From the second step on both start from weights that have drifted apart by rounding.
_LATER_STEPS, _MOST_ALLOWED = 10.0, 0.1
_MOST_OF_NOISE = 10.0  # two draws of noise differ by less
_ROUNDED = 1e-6  # of a number, by some steps of single precision
_FIRST = (Verdict.DIFFERS, Verdict.CANNOT_REPEAT, Verdict.NOISE, Verdict.EQUAL)


def compare(folder: CheckFolder) -> None:
    """Writes the comparison of what has been trained, also with plain Keras' second training where there is one."""
    one, many = (Trained.read(folder.trained(role)) for role in (PLAIN, rank_role(0)))
    again = Trained.read(folder.trained(AGAIN)) if folder.trained(AGAIN).exists() else None
    write_whole(folder.comparison, json.dumps(comparison(one, many, again).to_json()))


def comparison(one: Trained, many: Trained, again: Trained | None = None) -> Comparison:
    """What the workers came to beside one process.

    Args:
        again: what one process came to once more, from weights that differ by rounding.
    """
    found = compared(one, many)
    if again is not None:
        found = _beside_rounding(found, one, again)
    order = sorted(found, key=lambda each: (_FIRST.index(each.verdict), -_size(each)))
    return Comparison(
        steps=one.steps,
        rows=one.rows,
        quantities=tuple(order),
        set_aside=tuple(sorted({*one.set_aside, *many.set_aside})),
        warnings=tuple(dict.fromkeys([*many.warnings, *_not_finite(one)])),
    )


def compared(one: Trained, many: Trained) -> list[Quantity]:
    """Every quantity; a variable whose gradients both have is judged by those."""
    allowed = max(one.allowed, many.allowed)
    later = min(_LATER_STEPS * allowed, _MOST_ALLOWED)
    trained = [name for name, times in one.gradients.items() if len(many.gradients.get(name, [])) == len(times)]
    gradients = _of_gradients(one, many, trained, allowed, later)
    others = differences(_observed(one, without=trained), _observed(many, without=trained))
    found = [
        *gradients,
        *(_quantity(each.kind, each.name, each.size, each.size <= later) for each in others),
    ]
    equal = {each.name for each in gradients if each.verdict is Verdict.EQUAL}
    return [*found, *_drifted(one, many, equal, later)]


def _of_gradients(one: Trained, many: Trained, names: list[str], allowed: float, later: float) -> list[Quantity]:
    """The largest difference of each variable's, over the steps; the first step's has to be the smallest."""
    sizes: dict[str, float] = dict.fromkeys(names, 0.0)
    agree = dict.fromkeys(names, True)
    for time in range(max((len(one.gradients[name]) for name in names), default=0)):
        there = [name for name in names if time < len(one.gradients[name])]
        ours, theirs = ({name: each.gradients[name][time] for name in there} for each in (one, many))
        for found in differences(Observed(gradients=ours), Observed(gradients=theirs)):
            sizes[found.name] = max(sizes[found.name], found.size)
            agree[found.name] &= found.size <= (later if time else allowed)
    return [_quantity("gradient", name, size, agree[name]) for name, size in sizes.items()]


def _drifted(one: Trained, many: Trained, names: set[str], later: float) -> Iterator[Quantity]:
    """Variables that came to something else though their gradients agree: most often noise that an optimizer scaled up.

    Noise it is where the gradient is nothing beside the largest of the step; an optimizer such as Adam makes a whole
    step of it all the same.
    """
    largest = max((_largest(times) for times in one.gradients.values()), default=0.0)
    for name in sorted(names & set(one.after) & set(many.after)):
        was, ours, theirs = (numbers_of(each) for each in (one.before[name], one.after[name], many.after[name]))
        moved = float(np.abs(ours - was).max(initial=0.0))
        apart = np.abs(ours - theirs)
        is_apart = apart > later * moved + _ROUNDED * np.abs(was)
        if not moved or not is_apart.any():
            continue
        gradient = np.abs([numbers_of(each) for each in one.gradients[name]]).max(axis=0)
        is_noise = bool((gradient[is_apart] <= NOISE * largest).all())
        size = float(apart.max() / moved)
        verdict = Verdict.NOISE if is_noise else Verdict.DIFFERS
        yield Quantity(kind="variable", name=name, difference=_finite(size), verdict=verdict)


def _observed(trained: Trained, *, without: list[str]) -> Observed:
    variables = {name: value for name, value in trained.after.items() if name not in without}
    return Observed(variables=variables, results=trained.results)


def _largest(times: list[Array]) -> float:
    return max((float(np.abs(each[np.isfinite(each)]).max(initial=0.0)) for each in times), default=0.0)


def _quantity(kind: str, name: str, size: float, is_equal: bool) -> Quantity:
    verdict = Verdict.EQUAL if is_equal else Verdict.DIFFERS
    return Quantity(kind=kind, name=name, difference=_finite(size), verdict=verdict)


def _beside_rounding(found: list[Quantity], one: Trained, again: Trained) -> list[Quantity]:
    """What rounding alone makes as different is noise; of what differs from the first step on, nothing is known."""
    changing = {(each.kind, each.name): each for each in compared(one, again) if each.verdict is Verdict.DIFFERS}
    verdict = Verdict.NOISE if _begins_alike(one, again) else Verdict.CANNOT_REPEAT

    def judged(quantity: Quantity) -> Quantity:
        alone = changing.get((quantity.kind, quantity.name))
        if quantity.verdict is not Verdict.DIFFERS or alone is None:
            return quantity
        is_noise = _MOST_OF_NOISE * _size(alone) >= _size(quantity) or verdict is Verdict.CANNOT_REPEAT
        return replace(quantity, verdict=verdict) if is_noise else quantity

    return [judged(quantity) for quantity in found]


def _begins_alike(one: Trained, again: Trained) -> bool:
    """Whether the first step's gradients are the same up to rounding."""
    first, second = ({name: times[:1] for name, times in each.gradients.items()} for each in (one, again))
    found = _of_gradients(
        replace(one, gradients=first), replace(again, gradients=second), list(first), one.allowed, 0.0
    )
    return bool(found) and all(each.verdict is Verdict.EQUAL for each in found)


def _not_finite(one: Trained) -> Iterator[str]:
    names = [name for name, value in one.results.items() if not np.isfinite(value).all()]
    if names:
        yield f"{', '.join(names)} came to no finite number in one process, too"


def _finite(size: float) -> float | None:
    return size if math.isfinite(size) else None


def _size(quantity: Quantity) -> float:
    return math.inf if quantity.difference is None else quantity.difference
