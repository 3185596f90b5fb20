"""Which function and which statistic belongs to which kind of step.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raytrain.data.columns.narrowing import narrow_all
from raytrain.data.packing import side_by_side
from raytrain.data.preprocess import categorical, numeric
from raytrain.data.preprocess import learned as learn
from raytrain.data.preprocess.step_field import Array, Columns, StepField
from raytrain.data.preprocess.tokens import tokens
from raytrain.data.preprocess.user_step import apply_user
from raytrain.spec.preprocess_steps import Concatenate, Normalize, OneHot, Preprocess

Change = Callable[[Array, Any, learn.State, StepField], Array]

_CHANGES: dict[str, Change] = {
    "scale": numeric.scale,
    "standardize": numeric.standardize,
    "min_max": numeric.min_max,
    "max_abs": numeric.max_abs,
    "robust": numeric.robust,
    "power": numeric.power,
    "impute": numeric.impute,
    "bucket": numeric.bucket,
    "encode": categorical.encode,
    "one_hot": categorical.one_hot,
    "multi_hot": categorical.multi_hot,
    "tokenize": categorical.tokenize,
    "pad": categorical.pad,
    "count": categorical.count,
    "hash": categorical.hashed,
}
TAKES_LISTS = ("encode", "multi_hot", "pad", "count", "hash")


def statistic(step: Preprocess, place: StepField) -> learn.Statistic | None:
    """What the step learns of a column; None when it learns nothing."""
    match step.kind, step.value:
        case "standardize", _:
            return learn.Moments(place)
        case "min_max" | "max_abs", _:
            return learn.Extent(place)
        case "robust", robust:
            return learn.Quantiles(place, robust)
        case "impute", impute:
            return learn.imputed(place, impute)
        case "one_hot", OneHot(classes=int()):
            return None
        case "encode" | "one_hot" | "multi_hot", _:
            return learn.Categories(place)
        case "bucket", bucket:
            return learn.Bins(place, bucket) if isinstance(bucket.bins, int) else None
        case "count", count:
            return learn.Vocabulary(place, count)
        case _:
            return None


@dataclass(kw_only=True)
class Step:
    """One step of the spec, and what it has learned.

    Attributes:
        states: for each column, what was learned of it; None where nothing is to be learned, or not yet.
        wide: the columns that are to be float64; others of that type only keep their digits for now.
    """

    index: int
    step: Preprocess
    folder: Path
    states: dict[str, learn.State]
    wide: frozenset[str] = frozenset()

    def statistics(self) -> dict[str, learn.Statistic]:
        """What is to be learned, for each column of which something is."""
        found = {name: statistic(self.step, self._place(name)) for name in self.step.columns}
        return {name: learned for name, learned in found.items() if learned is not None}

    def learn_from(self, columns: Columns, statistics: dict[str, learn.Statistic]) -> None:
        for name, learned in statistics.items():
            array = self._place(name).column_in(columns)
            if self.step.kind == "count":
                array = tokens(array, self._place(name))
            learned.add(array)

    def apply(self, columns: Columns) -> Columns:
        """The columns after the step.

        Raises:
            UserCodeError: it names a column that is not there, or values do not fit.
        """
        match self.step.value:
            case str() as ref:
                return apply_user(self.folder, ref, narrow_all(columns, wide=self.wide), wide=self.wide)
            case Concatenate(columns=names, into=into):
                parts = {name: self._place(name).column_in(columns) for name in names}
                return {**columns, into: side_by_side(narrow_all(parts, wide=self.wide), names, field=self._field)}
            case Normalize() as step:
                places = [self._place(name) for name in step.columns]
                arrays = [place.column_in(columns) for place in places]
                return {**columns, **dict(zip(step.outputs, numeric.normalize(arrays, step, places), strict=True))}
            case step:
                return {
                    **columns,
                    **{
                        into: self._changed(columns, name)
                        for name, into in zip(step.columns, step.outputs, strict=True)
                    },
                }

    def _changed(self, columns: Columns, name: str) -> Array:
        place = self._place(name)
        return _CHANGES[self.step.kind](place.column_in(columns), self.step.value, self.states.get(name), place)

    @property
    def _field(self) -> str:
        return f"data.preprocess.{self.index}.{self.step.kind}"

    def _place(self, column: str) -> StepField:
        return StepField(self._field, column)
