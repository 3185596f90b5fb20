"""Reads the spec's sources with Ray Data into one Arrow table each, rows in the source's own order.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import ray.data

from raytrain.errors import Problem, UserCodeError
from raytrain.spec.data import Source
from raytrain.spec.sklearn_sets import SKLEARN_SETS
from raytrain.worker.user_code import load_reference


def read_table(source: Source, folder: Path, *, field: str) -> pa.Table:
    """All rows of a source.

    Args:
        folder: the job's own folder; relative paths start there.
        field: where the source stands in the spec (`data.train`), for error messages.

    Raises:
        UserCodeError: the source is empty, or what a function returned holds no rows.
    """
    readers: dict[str, Callable[[], Any]] = {
        "sklearn": lambda: _sklearn_table(source.value),
        "inline": lambda: _inline_table(source.value),
        "csv": lambda: ray.data.read_csv(_paths(source.value, folder)),
        "parquet": lambda: ray.data.read_parquet(_paths(source.value, folder)),
        "python": lambda: _from_user(load_reference(source.value, folder)(), source.value, field),
    }
    table = _gather(readers[source.kind]())
    if table.num_rows == 0:
        raise UserCodeError(Problem(field=field, got="no rows", expected="at least one row"))
    return table


def _gather(read: Any) -> pa.Table:
    """The blocks of a Ray Dataset as one table, in order; a table is taken through Ray Data as it is."""
    dataset = ray.data.from_arrow(read) if isinstance(read, pa.Table) else read
    tables = ray.get(dataset.to_arrow_refs())
    return pa.concat_tables(tables, promote_options="permissive")


def _paths(value: str | list[str], folder: Path) -> list[str]:
    """Absolute paths, globs expanded and sorted; URIs as they are.

    Raises:
        UserCodeError: a glob matches nothing.
    """
    found: list[str] = []
    for item in [value] if isinstance(value, str) else value:
        if "://" in item:
            found.append(item)
            continue
        path = Path(item).expanduser()
        path = path if path.is_absolute() else folder / path
        if not any(letter in item for letter in "*?["):
            found.append(str(path))
            continue
        matches = sorted(str(match) for match in Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        if not matches:
            raise UserCodeError(Problem(got=f"no file that matches {item}", expected="at least one file"))
        found += matches
    return found


def _inline_table(value: Any) -> pa.Table:
    return pa.Table.from_pylist(value) if isinstance(value, list) else pa.table(value)


def _sklearn_table(name: str) -> pa.Table:
    """A set that comes with scikit-learn, under the columns of `raytrain.spec.sklearn_sets`."""
    from sklearn import datasets

    facts = SKLEARN_SETS[name]
    loaded = getattr(datasets, f"load_{name}")()
    columns = {"features": loaded.data, "target": loaded.target}
    columns |= {alias: columns[original] for alias, original in facts.aliases.items()}
    columns |= {feature: loaded.data[:, index] for index, feature in enumerate(facts.features)}
    columns |= {target: loaded.target[:, index] for index, target in enumerate(facts.targets)}
    return table_of_arrays({key: np.asarray(value) for key, value in columns.items()})


def table_of_arrays(columns: dict[str, Any]) -> pa.Table:
    """A table of numpy arrays (rows, …); arrays of more than one dimension become fixed-shape tensor columns."""
    return pa.table({name: _arrow_column(np.asarray(array)) for name, array in columns.items()})


def _arrow_column(array: Any) -> pa.Array:
    if array.ndim == 1:
        return pa.array(array)
    return pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(array))


def _from_user(value: Any, ref: str, field: str) -> Any:
    """What the user's function returned, as a table or a Ray Dataset."""
    if isinstance(value, (pa.Table, ray.data.Dataset)):
        return value
    if isinstance(value, dict):
        lengths = {name: len(column) for name, column in value.items()}
        if len(set(lengths.values())) > 1:
            raise UserCodeError(
                Problem(field=field, got=f"columns of different lengths from {ref}: {lengths}", expected="one length")
            )
        return table_of_arrays(value)
    if isinstance(value, list):
        return pa.Table.from_pylist(value)
    if type(value).__module__.startswith("pandas"):
        return pa.Table.from_pandas(value, preserve_index=False)
    if hasattr(value, "as_numpy_iterator"):
        return pa.Table.from_pylist([dict(row) for row in value.as_numpy_iterator()])
    raise UserCodeError(
        Problem(
            field=field,
            got=f"{type(value).__module__}.{type(value).__qualname__} from {ref}",
            expected="a Ray Dataset, pandas frame, Arrow table, dict of arrays, list of rows or tf.data.Dataset",
        )
    )
