"""Divides a source's rows into train, validation and test: disjoint, repeatable, independent of workers and blocks.

Runs in: the driver, and the Ray Data tasks it starts.

- Plain fractions: exact counts, chosen by a seeded permutation of the row numbers that takes no memory.
- `stratify`: exact counts, and every split keeps the classes' proportions as nearly as whole rows can.
- `group`: the fractions are of the *groups*, by the same permutation of their numbers in sorted order; all rows of a
  group are in one split.
- `where`: the rows whose column holds the values; all others are train.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from raytrain.data.columns.arrow_to_numpy import to_arrays
from raytrain.data.permutation import Permutation
from raytrain.errors import Problem, UserCodeError
from raytrain.spec.data_spec import DataSpec, Where
from raytrain.spec.job import JobSpec
from raytrain.spec.shards import SplitCounts, split_counts

Marks = npt.NDArray[np.int8]
"""The split of each row: 0 train, 1 validation, 2 test."""

TRAIN, VALIDATION, TEST = 0, 1, 2
_NAMES = {VALIDATION: "validation", TEST: "test"}


@dataclass(frozen=True, kw_only=True)
class Splitter:
    """Says in which split each row of the train source is.

    Attributes:
        counts: rows of each split, those of sources of their own not among them.
        permutation: of plain fractions; its first numbers are test, the next validation.
        marks: of all others, for every row.
    """

    counts: SplitCounts
    permutation: Permutation | None = None
    marks: Marks | None = None

    def of(self, start: int, stop: int) -> Marks:
        """The splits of the rows from `start` to before `stop`, shape (stop - start,)."""
        if self.marks is not None:
            return self.marks[start:stop]
        if self.permutation is None:
            return np.zeros(stop - start, np.int8)
        return _marks_of(self.permutation.of(start, stop), self.counts)


def train_rows(tables: Iterator[pa.Table], splitter: Splitter, *, field: str) -> Iterator[pa.Table]:
    """The train rows of the train source's tables.

    Args:
        field: where the source stands in the spec, for error messages.

    Raises:
        UserCodeError: it has another number of rows than it had when `splitter` was made.
    """
    at, rows = 0, splitter.counts.train + splitter.counts.validation + splitter.counts.test
    for table in tables:
        if at + table.num_rows > rows:
            raise _changed(field, f"more than {rows} rows", rows)
        marks = splitter.of(at, at + table.num_rows)
        at += table.num_rows
        yield table.filter(pa.array(marks == TRAIN))
    if at < rows:
        raise _changed(field, f"{at} rows", rows)


def _changed(field: str, got: str, rows: int) -> UserCodeError:
    return UserCodeError(
        Problem(
            field=field,
            got=got,
            expected=f"{rows}, as were counted before: the source changed while it was read",
            fix="leave the source alone while a job reads it; a function must give the same rows each time",
        )
    )


def key_columns(data: DataSpec) -> list[str]:
    """The source columns that `make_splitter` wants: one for stratify, group and where, else none."""
    return [data.split_column] if data.split_column else []


def read_key(table: pa.Table, data: DataSpec) -> npt.NDArray[Any] | None:
    """The key of `make_splitter` from a table of the key column, shape (rows,); None where none is wanted.

    Raises:
        UserCodeError: the column is missing, has empty cells, or cells of several values.
    """
    if data.split_column is None:
        return None
    key = to_arrays(table, [data.split_column], data.columns, keeps_digits=[data.split_column])[data.split_column]
    if key.ndim > 1:
        raise UserCodeError(
            Problem(
                field="data",
                got=f"column `{data.split_column}` of shape {key.shape}, by which the rows are to be split",
                expected="one value a row",
            )
        )
    return key


def make_splitter(spec: JobSpec, rows: int, key: npt.NDArray[Any] | None) -> Splitter:
    """How the rows of the train source are split.

    Args:
        rows: how many there are.
        key: the column of stratify, group or where, shape (rows,); None where the spec has no such thing.

    Raises:
        UserCodeError: a class has too few rows, or there are too few groups, to be in every split; a row is in two
            splits, or a split of `where` is empty.
    """
    data, seed = spec.data, spec.fit.seed
    by_value = {mark: split for mark, name in _NAMES.items() if isinstance(split := getattr(data, name), Where)}
    if by_value:
        assert key is not None
        return _marked(_by_value(by_value, key))
    validation, test = (part if isinstance(part, float) else 0.0 for part in (data.validation, data.test))
    if not validation and not test:
        return Splitter(counts=SplitCounts(train=rows, validation=0, test=0))
    if data.group is not None:
        assert key is not None
        return _marked(_grouped(key, data.group, seed, validation=validation, test=test))
    counts = split_counts(rows, validation=validation, test=test)
    if data.stratify is not False:
        assert key is not None
        return _marked(_stratified(counts, seed, key))
    return Splitter(counts=counts, permutation=Permutation(size=rows, seed=seed))


def _marks_of(places: npt.NDArray[np.int64], counts: SplitCounts) -> Marks:
    """The test rows do not depend on how many others are taken for validation."""
    return np.where(
        places < counts.test, TEST, np.where(places < counts.test + counts.validation, VALIDATION, TRAIN)
    ).astype(np.int8)


def _marked(marks: Marks) -> Splitter:
    train, validation, test = np.bincount(marks, minlength=3).tolist()
    return Splitter(counts=SplitCounts(train=train, validation=validation, test=test), marks=marks)


def _grouped(key: npt.NDArray[Any], column: str, seed: int, *, validation: float, test: float) -> Marks:
    groups, numbers = np.unique(key, return_inverse=True)
    counts = split_counts(len(groups), validation=validation, test=test)
    wanted = {"validation": validation, "test": test, "train": 1.0}
    empty = [name for name, fraction in wanted.items() if fraction and getattr(counts, name) <= 0]
    if empty:
        raise UserCodeError(
            Problem(
                field="data.group",
                got=f"{len(groups)} groups in column `{column}`, none of them for {empty[0]}",
                expected="at least one group for every split",
                fix="make the split's fraction larger, or group by another column",
            )
        )
    return _marks_of(Permutation(size=len(groups), seed=seed).of(0, len(groups)), counts)[numbers]


def _by_value(splits: dict[int, Where], key: npt.NDArray[Any]) -> Marks:
    marks = np.zeros(len(key), np.int8)
    for mark, where in splits.items():
        chosen = _holds(key, where)
        name = _NAMES[mark]
        if marks[chosen].any():
            raise UserCodeError(
                Problem(
                    field=f"data.{name}.where",
                    got=f"{int((marks[chosen] > 0).sum())} rows that are in validation too",
                    expected="rows in one split each",
                    fix=f"give validation and test different values of `{where.column}`",
                )
            )
        if not chosen.any():
            raise UserCodeError(_matches_nothing(name, where, key))
        marks[chosen] = mark
    if marks.all():
        raise UserCodeError(
            Problem(field="data.train", got="train rows: 0, as `where` takes all", expected="at least one row")
        )
    return marks


def _holds(key: npt.NDArray[Any], where: Where) -> npt.NDArray[np.bool_]:
    is_text = key.dtype == object
    wanted = [value for value in where.values if isinstance(value, str) == is_text]
    if key.dtype.kind in "iu":  # numpy would cut other values to the column's type
        limits = np.iinfo(key.dtype)
        whole = [int(value) for value in wanted if not isinstance(value, float) or value.is_integer()]
        wanted = [value for value in whole if limits.min <= value <= limits.max]
    return np.isin(key, np.array(wanted, key.dtype)) if wanted else np.zeros(len(key), bool)


def _matches_nothing(name: str, where: Where, key: npt.NDArray[Any]) -> Problem:
    there = np.unique(key)
    shown = ", ".join(map(str, there[:5].tolist())) + (", …" if len(there) > 5 else "")
    return Problem(
        field=f"data.{name}.where",
        got=f"no row with {where.column} {' or '.join(map(str, where.values))}",
        expected=f"a value that the column holds: {shown}",
    )


def _stratified(counts: SplitCounts, seed: int, classes: npt.NDArray[Any]) -> Marks:
    from sklearn.model_selection import train_test_split

    marks = np.zeros(len(classes), np.int8)
    rest = np.arange(len(classes))
    try:
        for mark, wanted in ((TEST, counts.test), (VALIDATION, counts.validation)):
            if wanted:
                rest, taken = train_test_split(rest, test_size=wanted, random_state=seed, stratify=classes[rest])
                marks[taken] = mark
    except ValueError as error:
        raise UserCodeError(
            Problem(
                field="data.stratify",
                got=str(error),
                expected="enough rows of every class for every split",
                fix="leave stratify out, or make the fractions larger",
            )
        ) from error
    return marks
