"""Checks labels against the loss and against the train rows' own.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from raytrain.data.columns.arrow_to_numpy import Array
from raytrain.data.packed import Arrays
from raytrain.errors import Problem, UserCodeError
from raytrain.run.explanations import ONE_CLASS
from raytrain.spec.job import JobSpec

_CLASSES = ("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy")
_ZERO_TO_ONE = ("binary_crossentropy", "BinaryCrossentropy", "binary_focal_crossentropy", "BinaryFocalCrossentropy")
_VECTORS = (
    *("categorical_crossentropy", "CategoricalCrossentropy", "kl_divergence", "KLDivergence"),
    *("categorical_focal_crossentropy", "CategoricalFocalCrossentropy"),
)
_SHOWN = 5


def check_labels(labels: Any, spec: JobSpec) -> None:
    """Refuses labels that the loss which the spec names cannot take.

    Raises:
        UserCodeError: a class number below 0, above the last output of `layers:`, or no whole number; or a label
            outside of 0 to 1 for a binary loss; or one number a row, where the loss takes a vector.
    """
    for name, column, loss in _with_losses(labels, spec):
        if column.dtype == object or not column.size:
            continue
        if loss in _CLASSES:
            _check_classes(column, name, _outputs(spec))
        elif loss in _VECTORS and column.ndim == 1 and _outputs(spec) not in (None, 1):
            raise _one_number(column, name, loss)
        elif loss in _ZERO_TO_ONE and (column.min() < 0 or column.max() > 1):
            raise _refused(column, name, "labels from 0 to 1", f"which is what {loss} takes")


def unseen_classes(train: Arrays, others: Mapping[str, Arrays], spec: JobSpec) -> list[str]:
    """For each split, in words, the classes it has and the train rows do not; those that a class loss is used for."""
    found = []
    for split, arrays in others.items():
        if len(arrays) < 2:
            continue
        for (name, column, loss), (_, seen, _) in zip(
            _with_losses(arrays[1], spec), _with_losses(train[1], spec), strict=True
        ):
            if loss in _CLASSES and (unseen := np.setdiff1d(column, seen)).size:
                shown = ", ".join(map(str, unseen[:_SHOWN].tolist())) + (", …" if unseen.size > _SHOWN else "")
                found.append(f"{split} has classes of `{name}` that no train row has: {shown}")
    return found


def one_class(train: Arrays, spec: JobSpec) -> list[str]:
    """In words, each label that is to tell classes apart and has one value in all train rows."""
    if len(train) < 2:
        return []
    return [
        f"{ONE_CLASS} in `{name}`: {column[0]}"
        for name, column, loss in _with_losses(train[1], spec)
        if loss in (*_CLASSES, *_ZERO_TO_ONE, *_VECTORS) and _is_constant(column)
    ]


def _is_constant(column: Array) -> bool:
    return len(column) > 1 and column.dtype != object and bool((column == column[0]).all())


def _with_losses(labels: Any, spec: JobSpec) -> Iterator[tuple[str, Array, str | None]]:
    """Each label with its column, less what its loss ignores, and the loss's name, None where the spec names none."""
    loss = spec.compile.loss if spec.compile else None
    if not isinstance(labels, dict):
        yield spec.data.label_columns[0], _counted(labels, loss), _name(loss)
        return
    for output, column in labels.items():
        own = loss.get(output) if isinstance(loss, dict) and "name" not in loss else loss
        yield output, _counted(column, own), _name(own)


def _counted(column: Array, loss: Any) -> Array:
    ignored = loss.get("ignore_class") if isinstance(loss, dict) else None
    return column if ignored is None else column[column != ignored]


def _name(loss: Any) -> str | None:
    if isinstance(loss, dict):
        return str(loss["name"]) if "name" in loss else None
    return loss if isinstance(loss, str) else None


def _outputs(spec: JobSpec) -> int | None:
    """How many outputs the model has, where `layers:` end with a Dense layer."""
    for layer in reversed(spec.model.layers or []):
        [(kind, arguments)] = layer.items()
        if kind == "Dense":
            units = (arguments or {}).get("units")
            return units if isinstance(units, int) else None
        if kind not in ("Activation", "Softmax", "Dropout"):
            return None
    return None


def _check_classes(column: Array, name: str, outputs: int | None) -> None:
    if column.dtype.kind == "f" and not (np.floor(column) == column).all():
        raise _refused(column, name, "whole numbers", "one for each class")
    if column.min() < 0 or (outputs is not None and column.max() >= outputs):
        last = "" if outputs is None else f" to {outputs - 1}"
        why = "" if outputs is None else f"as the last layer has {outputs} units"
        raise _refused(column, name, f"classes numbered from 0{last}", why)


def _one_number(column: Array, name: str, loss: str | None) -> UserCodeError:
    return UserCodeError(
        Problem(
            field="data.label",
            got=f"one number a row in column `{name}`",
            expected=f"vectors of as many numbers as there are classes, which is what {loss} takes",
            fix=f"preprocess: [{{one_hot: {{columns: [{name}]}}}}]",
        )
    )


def _refused(column: Array, name: str, expected: str, why: str) -> UserCodeError:
    return UserCodeError(
        Problem(
            field="data.label",
            got=f"labels from {column.min():g} to {column.max():g} in column `{name}`",
            expected=f"{expected}, {why}" if why else expected,
            fix=f"number the classes: preprocess: [{{encode: {{columns: [{name}]}}}}]",
        )
    )
