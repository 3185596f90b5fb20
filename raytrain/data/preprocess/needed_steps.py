"""Which steps, and which columns of them, some columns are made by; and what a label's numbers stand for.

Runs in: the driver, and the Ray Data tasks and actors it starts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from raytrain.data.preprocess.learned import State
from raytrain.spec.preprocess_steps import Concatenate, Normalize, Preprocess

_OF_VALUE = ("scale", "standardize", "min_max", "max_abs", "robust", "power", "normalize")


def needed_steps(
    steps: Sequence[Preprocess], wanted: Collection[str], *, without: Collection[str] = ()
) -> dict[int, Preprocess]:
    """The steps that the columns are made by, by their places, each with no more columns than that takes.

    A function of the user's may make any column of any: what stands before it is kept.

    Args:
        without: columns that need not be there, not even for such a function.
    """
    needed, found = set(wanted), {}
    for index, step in reversed([*enumerate(steps)]):
        if step.python:
            needed |= {name for earlier in steps[:index] for name in earlier.outputs} - set(without)
            found[index] = step
        elif (part := _part_of(step, needed)) is not None:
            found[index] = part
            needed |= set(part.columns)
    return dict(sorted(found.items()))


def _part_of(step: Preprocess, needed: Collection[str]) -> Preprocess | None:
    pairs = [(name, output) for name, output in zip(step.columns, step.outputs, strict=False) if output in needed]
    if isinstance(step.value, Concatenate | Normalize):  # which make each output of all columns
        return step if any(output in needed for output in step.outputs) else None
    if not pairs:
        return None
    columns, outputs = map(list, zip(*pairs, strict=True))
    into = None if step.value.into is None else outputs
    value = step.value.model_copy(update={"columns": columns, "into": into})
    return step.model_copy(update={step.kind: value})


def decoded_classes(steps: Sequence[Preprocess], states: Sequence[Mapping[str, State]], label: str) -> dict[int, Any]:
    """What each number of an encoded label stands for; nothing where the numbers are the rows' own."""
    for step, state in reversed([*zip(steps, states, strict=True)]):
        if label not in step.outputs:
            continue
        learned = state.get(step.columns[step.outputs.index(label)]) if step.kind in ("encode", "one_hot") else None
        start = step.value.start if step.kind == "encode" else 0
        return {number + start: value for number, value in enumerate(learned or [])}
    return {}


def changes_of_value(steps: Sequence[Preprocess], label: str) -> list[str]:
    """The steps that have changed the unit of a label, which the model's answers are then in."""
    return [step.kind for step in steps if step.kind in _OF_VALUE and label in step.outputs]
