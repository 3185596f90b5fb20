"""Reads the spec's sources with Ray Data into one Arrow table each, rows in the source's own order.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import ray.data
from pyarrow import csv

from raytrain.errors import Problem, SpecError, UserCodeError
from raytrain.spec.files import find_files
from raytrain.spec.sklearn_sets import SKLEARN_SETS
from raytrain.spec.source import Source
from raytrain.spec.values import split_python_ref
from raytrain.worker.user_code import call_reference

_CSV_OPTIONS = {
    "parse_options": csv.ParseOptions(newlines_in_values=True),
    # Arrow takes a column's type from the first block of a file; left alone, its blocks are of 1 MB.
    "read_options": csv.ReadOptions(use_threads=False, block_size=64 << 20),
}
_CSV_FAILED = "Failed to read CSV file: "


def read_table(source: Source, folder: Path, *, field: str) -> pa.Table:
    """All rows of a source.

    Args:
        folder: the job's own folder; relative paths start there.
        field: where the source stands in the spec (`data.train`), for error messages.

    Raises:
        UserCodeError: the source is missing, unreadable or empty, or what a function returned holds no rows.
    """
    field = f"{field}.{source.kind}"
    _keep_row_order()
    match source.kind:
        case "sklearn":
            read = _sklearn_table(source.value)
        case "inline":
            read = _inline_table(source.value, field)
        case "python":
            read = _from_user(call_reference(source.value, folder), source.value, field)
            try:
                return _not_empty(_gather(read), field)
            except ray.exceptions.RayTaskError as error:
                raise _failed_in_a_task(error, source.value, folder) from error
        case _:
            return _not_empty(_read_files(source, folder, field), field)
    return _not_empty(_gather(read), field)


def _keep_row_order() -> None:
    """Ray Data hands blocks on as their tasks end; the split and the epochs' orders build on the source's own."""
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.use_datasource_v2 = False  # in Ray 2.60 the newer parquet reader makes a block of every row to keep order


def _read_files(source: Source, folder: Path, field: str) -> pa.Table:
    try:
        paths = find_files(source.value, folder, suffix=f".{source.kind}")
        names = [str(path) for path in paths] if paths is not None else _as_named(source.value)
        if source.kind == "csv":
            return _gather(ray.data.read_csv(names, **_CSV_OPTIONS))
        return _gather(ray.data.read_parquet(names))
    except SpecError as error:
        raise UserCodeError(*(replace(problem, field=field) for problem in error.problems)) from error
    except (OSError, pa.ArrowException, ray.exceptions.RayError, ValueError) as error:
        raise UserCodeError(
            Problem(
                field=field,
                got=f"{source.value}, which cannot be read: {_reason(error)}",
                expected=f"{source.kind} files that every node of the cluster can read",
            )
        ) from error


def _reason(error: Exception) -> str:
    """One line of what Ray Data tells in many."""
    lines = str(getattr(error, "cause", None) or error).strip().splitlines()
    found = lines[0].partition(". Please ")[0] if lines else type(error).__name__
    file = Path(found.removeprefix(_CSV_FAILED))
    return f"{found}: {_wrong_in_csv(file)}" if found.startswith(_CSV_FAILED) and file.is_file() else found


def _wrong_in_csv(file: Path) -> str:
    """What Arrow has against a csv file; Ray Data, which was told, keeps it to itself."""
    try:
        for _ in csv.open_csv(file, **_CSV_OPTIONS):
            pass
    except pa.ArrowException as error:
        return str(error)
    return "unreadable in a task, readable in the driver"


def _failed_in_a_task(error: ray.exceptions.RayTaskError, ref: str, folder: Path) -> UserCodeError:
    """The user's own error and line in a Ray Data task, which reach the driver as text only."""
    cause = str(error).partition("The above exception")[0].strip()
    frames = [Path(file) for file in re.findall(r'File "([^"]+)", line \d+', cause)]
    lines = [int(line) for line in re.findall(r'File "[^"]+", line (\d+)', cause)]
    own = [(file, line) for file, line in zip(frames, lines, strict=True) if file.is_relative_to(folder)]
    file, line = own[-1] if own else (folder / split_python_ref(ref)[0], 0)
    got = cause.splitlines()[-1] if cause else type(error).__name__
    return UserCodeError(
        Problem(file=str(file.relative_to(folder)), line=line, got=f"{got} in the rows of {ref}", expected="rows")
    )


def _as_named(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _not_empty(table: pa.Table, field: str) -> pa.Table:
    if table.num_rows == 0:
        raise UserCodeError(Problem(field=field, got="no rows", expected="at least one row"))
    return table


def _gather(read: Any) -> pa.Table:
    """The blocks of a Ray Dataset as one table, in order; a table is taken through Ray Data as it is."""
    dataset = ray.data.from_arrow(read) if isinstance(read, pa.Table) else read
    dataset.context.execution_options.preserve_order = True
    tables = ray.get(dataset.to_arrow_refs())
    return pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})


def _inline_table(value: Any, field: str) -> pa.Table:
    try:
        return pa.Table.from_pylist(value) if isinstance(value, list) else pa.table(value)
    except (pa.ArrowException, OverflowError) as error:
        raise UserCodeError(
            Problem(field=field, got=f"rows that do not fit together: {error}", expected="one type a column")
        ) from error


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
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.ndim == 1:
        return pa.array(array)
    if array.ndim and not len(array):
        return pa.nulls(0)
    if array.dtype == np.bool_:
        array = array.astype(np.float32)  # Arrow has no tensors of booleans
    return pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(array))


def _from_user(value: Any, ref: str, field: str) -> Any:
    """What the user's function returned, as a table or a Ray Dataset."""
    if isinstance(value, (pa.Table, ray.data.Dataset)):
        return value
    try:
        table = _user_table(value)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise UserCodeError(
            Problem(field=field, got=f"columns from {ref} that make no table: {error}", expected="one type a column")
        ) from error
    if table is None:
        raise UserCodeError(
            Problem(
                field=field,
                got=f"{type(value).__module__}.{type(value).__qualname__} from {ref}",
                expected="a Ray Dataset, pandas frame, Arrow table, dict of arrays, list of rows or tf.data.Dataset",
            )
        )
    return table


def _user_table(value: Any) -> pa.Table | None:
    """The table in a value of the types that are taken; None for any other."""
    if isinstance(value, dict):
        lengths = {name: len(column) for name, column in value.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of different lengths: {lengths}")
        return table_of_arrays(value)
    if isinstance(value, list):
        return _table_of_rows(value)
    if type(value).__module__.startswith("pandas") and hasattr(value, "columns"):
        return pa.Table.from_pandas(value, preserve_index=False)
    if hasattr(value, "as_numpy_iterator"):
        return _table_of_rows(list(value.as_numpy_iterator()))
    return None


def _table_of_rows(rows: list[Any]) -> pa.Table:
    """Rows that are dicts of cells; cells may be arrays of any one shape."""
    for row in rows:
        if not isinstance(row, dict):
            raise TypeError(f"a row that is a {type(row).__name__}, not a dict of column names and cells")
        if set(row) != set(rows[0]):
            raise ValueError(f"rows of different columns, {sorted(rows[0])} and {sorted(row)}")
    return pa.table({name: _cells([row[name] for row in rows]) for name in (rows[0] if rows else ())})


def _cells(cells: list[Any]) -> pa.Array:
    if isinstance(cells[0], bytes):  # text, as TensorFlow holds it
        return pa.array([cell.decode() for cell in cells])
    if isinstance(cells[0], np.ndarray):
        return _arrow_column(np.stack(cells))
    return pa.array(cells)
