"""A `tf.data.Dataset` as rows: of dicts, of `(x, y)` or `(x, y, sample_weight)`, one by one or in batches.

Runs in: the driver. TensorFlow is not imported here: whoever made the dataset has done so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


def is_tf_dataset(value: Any) -> bool:
    return hasattr(value, "as_numpy_iterator") and hasattr(value, "element_spec")


def rows_of_tf_dataset(dataset: Any, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows as dicts of cells.

    Args:
        names: of the parts of an element that is a tuple, where a part has none of its own.

    Raises:
        TypeError: an element is of another structure, or nothing tells rows from batches.
    """
    spec = _columns(dataset.element_spec, names)
    for name, part in spec.items():
        if not hasattr(part, "shape") or type(part).__name__ != "TensorSpec":
            raise TypeError(f"`{name}` of {type(part).__name__.removesuffix('Spec')}, not a dense tensor")
    in_batches = _is_batched(dataset, [tuple(part.shape) for part in spec.values()])
    for element in dataset.as_numpy_iterator():
        columns = _columns(element, names)
        if in_batches:
            for row in range(len(next(iter(columns.values())))):
                yield {name: column[row] for name, column in columns.items()}
        else:
            yield columns


def _columns(element: Any, names: Sequence[str]) -> dict[str, Any]:
    if isinstance(element, dict):
        return element
    parts = element if isinstance(element, tuple) else (element,)
    if len(parts) > len(names):
        raise TypeError(f"elements of {len(parts)} parts, not dicts or ({', '.join(names)})")
    columns: dict[str, Any] = {}
    for name, part in zip(names, parts, strict=False):
        if isinstance(part, tuple):
            part = {f"{name}_{number}": one for number, one in enumerate(part)}
        for column, value in (part if isinstance(part, dict) else {name: part}).items():
            if column in columns:
                raise TypeError(f"the column `{column}` in two parts of an element")
            columns[column] = value
    return columns


def _is_batched(dataset: Any, shapes: list[tuple[Any, ...]]) -> bool:
    """Whether an element is a batch: by what made the dataset, else by a first dimension that all parts leave open."""
    if any(not shape for shape in shapes):
        return False
    made_by: Any = dataset
    while made_by is not None:
        kind = type(made_by).__name__
        if "Unbatch" in kind:
            break
        if "Batch" in kind:
            return True
        made_by = getattr(made_by, "_input_dataset", None)
    is_open = all(shape[0] is None for shape in shapes)
    if is_open and len(shapes) == 1 and made_by is None:
        raise TypeError("arrays of any length, which may be rows or batches; .unbatch() or .padded_batch(…) tells")
    return is_open
