"""The way of the rows from a source's columns to what Keras is fed: mapped, preprocessed, packed.

Runs in: the driver, and the Ray Data tasks it starts.

What is learned is learned from the train rows alone, and the same however they are cut into tables; what is applied
treats each row by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from raytrain.data.columns.arrow_to_numpy import to_arrays
from raytrain.data.columns.image_cells import check_same_sizes
from raytrain.data.columns.logical_columns import join_tables, logical_column
from raytrain.data.columns.narrowing import narrow_all
from raytrain.data.label_checks import check_labels
from raytrain.data.packed import Arrays
from raytrain.data.packing import pack
from raytrain.data.preprocess.needed_steps import changes_of_value, decoded_classes, needed_steps
from raytrain.data.preprocess.step_field import Columns
from raytrain.data.preprocess.step_kinds import TAKES_LISTS, Step
from raytrain.errors import Problem, UserCodeError
from raytrain.spec.job import JobSpec
from raytrain.spec.suggest import did_you_mean

_FIT_ROWS = 8192
_SCHEMA_VERSION = 1


class Pipeline:
    """What a job does to its rows; picklable, so that it travels to Ray Data's tasks."""

    def __init__(self, spec: JobSpec, folder: Path) -> None:
        self._spec = spec
        self._folder = folder
        self._steps: list[Step] = []
        self._wide = frozenset(name for name, options in spec.data.columns.items() if options.dtype == "float64")
        for index, step in enumerate(spec.data.preprocess):
            self._steps.append(Step(index=index, step=step, folder=folder, states={}, wide=self._wide))
            if not self._wide.isdisjoint(step.columns):
                self._wide |= set(step.outputs)

    def columns_to_read(self, offered: list[str]) -> list[str]:
        """The columns that are needed of those a source offers; all when the user's own function may look at any.

        Raises:
            UserCodeError: the source lacks one that is needed.
        """
        needed = self._spec.data.source_columns
        if any(step.python for step in self._spec.data.preprocess):
            return list(dict.fromkeys([*(name for name in needed if name in offered), *offered]))
        for name in needed:
            if name not in offered:
                raise UserCodeError(
                    Problem(
                        field="data",
                        got=f"column `{name}`",
                        expected=f"one of {', '.join(offered)}",
                        fix=did_you_mean(name, offered),
                    )
                )
        return needed

    def fit(self, train: Callable[[], Iterator[pa.Table]]) -> None:
        """Learns what the steps need from the train rows, in one pass for each step that has to learn.

        Args:
            train: gives the train rows from the start, in their own order, in tables of any size.

        Raises:
            UserCodeError: the rows do not fit a step.
        """
        for index, step in enumerate(self._steps):
            statistics = step.statistics()
            if not statistics:
                continue
            for table in _evenly(train()):
                step.learn_from(self._preprocessed(table, before=index), statistics)
            step.states = {name: learned.state() for name, learned in statistics.items()}

    def apply(self, table: pa.Table) -> Arrays:
        """(features,), (features, labels) or (features, labels, weights) of the table's rows.

        Raises:
            UserCodeError: the rows cannot be mapped, preprocessed or packed, or a label does not fit the loss.
        """
        packed = pack(self._preprocessed(table), self._spec.data)
        if len(packed) > 1:
            check_labels(packed[1], self._spec)
        return packed

    @property
    def steps(self) -> Sequence[Step]:
        """The spec's steps, in their order, each with what it has learned."""
        return tuple(self._steps)

    def columns_before(self, table: pa.Table) -> Columns:
        """The columns that the first step is given, (rows, …).

        Raises:
            UserCodeError: the rows cannot be mapped.
        """
        return self._preprocessed(table, before=0)

    def columns(self, table: pa.Table) -> Columns:
        """Every column after the last step, (rows, …), those that only steps made among them.

        Raises:
            UserCodeError: the rows cannot be mapped or preprocessed.
        """
        return self._preprocessed(table)

    def for_features(self) -> Pipeline:
        """The same pipeline for rows that have no labels, weights or splits: only what features are made by."""
        data = self._spec.data
        kept = needed_steps(data.preprocess, data.feature_columns, without={*data.label_columns, *data.label_sources})
        nothing = {"label": None, "weight": None, "validation": None, "test": None, "stratify": False, "group": None}
        alone = data.model_copy(update={**nothing, "preprocess": list(kept.values())})
        pipeline = Pipeline(self._spec.model_copy(update={"data": alone}), self._folder)
        for step, (index, part) in zip(pipeline._steps, kept.items(), strict=True):
            known = self._steps[index]
            step.index, step.wide = index, known.wide
            step.states = {name: known.states[name] for name in part.columns if name in known.states}
        pipeline._wide = self._wide
        return pipeline

    def decoded_classes(self, label: str) -> dict[int, Any]:
        """What each number of a label column stands for, where a step has numbered its classes."""
        states = [step.states for step in self._steps]
        return decoded_classes(self._spec.data.preprocess, states, label)

    def changes_of_value(self, label: str) -> list[str]:
        """The steps in whose unit a label, and so the model's answer, is."""
        return changes_of_value(self._spec.data.preprocess, label)

    def _preprocessed(self, table: pa.Table, *, before: int | None = None) -> Columns:
        """The columns after all steps, or after those before one of them."""
        steps = self._spec.data.preprocess
        self._check_masks(table)
        columns: Columns = to_arrays(
            table,
            self.columns_to_read(table.column_names),
            self._spec.data.columns,
            may_be_empty={name for step in steps if step.impute for name in step.columns},
            may_be_ragged={name for step in steps if step.kind in TAKES_LISTS for name in step.columns},
            keeps_digits={name for step in steps for name in step.columns},
            labels=self._spec.data.label_sources,
        )
        for step in self._steps[:before]:
            columns = step.apply(columns)
        return columns if before is not None else narrow_all(columns, wide=self._wide)

    def _check_masks(self, table: pa.Table) -> None:
        """Refuses a mask that is of another size than the image of its row, where both are scaled to one size."""
        data = self._spec.data
        scaled = {name: options.size for name, options in data.columns.items() if options.size is not None}
        masks = [name for name in scaled if name in data.label_sources and data.columns[name].mode in (None, "P")]
        for mask in masks:
            for name in scaled:
                there = {name, mask} <= set(table.column_names)
                if there and name in data.feature_columns and scaled[name] == scaled[mask]:
                    images, classes = logical_column(table.column(name)), logical_column(table.column(mask))
                    check_same_sizes(images, classes, name, mask)

    def to_json(self) -> dict[str, Any]:
        """What was learned, as plain JSON; the steps themselves stand in the spec."""
        return {
            "schema_version": _SCHEMA_VERSION,
            "steps": [{"kind": step.step.kind, "learned": step.states} for step in self._steps],
        }

    @classmethod
    def from_json(cls, document: dict[str, Any], spec: JobSpec, folder: Path) -> Pipeline:
        """The pipeline that `to_json` was called on, from the same spec.

        Raises:
            UserCodeError: the spec has other steps.
        """
        pipeline = cls(spec, folder)
        kinds = [step["kind"] for step in document["steps"]]
        if kinds != [step.step.kind for step in pipeline._steps]:
            raise UserCodeError(
                Problem(
                    field="data.preprocess",
                    got=", ".join(step.step.kind for step in pipeline._steps) or "no steps",
                    expected=f"{', '.join(kinds) or 'no steps'}, as in the run",
                )
            )
        for step, saved in zip(pipeline._steps, document["steps"], strict=True):
            step.states = saved["learned"]
        return pipeline


def _evenly(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables of `_FIT_ROWS` rows, so that what is learned does not depend on how they were cut."""
    waiting: list[pa.Table] = []
    rows = 0
    for table in tables:
        while rows + table.num_rows >= _FIT_ROWS:
            taken = _FIT_ROWS - rows
            yield join_tables([*waiting, table.slice(0, taken)])
            waiting, rows, table = [], 0, table.slice(taken)
        if table.num_rows:
            waiting.append(table)
            rows += table.num_rows
    if waiting:
        yield join_tables(waiting)
