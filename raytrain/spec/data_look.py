"""What a look at a job's data finds, column by column: read on the user's machine, before anything is trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ColumnLook:
    """One column of the train source, or one that a preprocessing step makes.

    Attributes:
        role: feature, label, weight, split, or nothing where the job does not use it.
        kind: its type in the file; of a made column the step's kind.
        becomes: type and shape of a row that reach the model; empty where it does not, or is refused.
        refused: what is wrong with it, and what to write; empty where nothing is.
        empty: cells that are null, NaN or text without a character.
        distinct: different values.
        low, high: the smallest and largest value; None where values have no order.
        values: some of them, in words.
        classes: rows of each class of a label; none where there are too many.
        preprocessed: its smallest and largest number after the last step, where steps change it.
    """

    name: str
    role: str
    kind: str
    becomes: str = ""
    refused: str = ""
    empty: int = 0
    distinct: int | None = None
    low: float | str | None = None
    high: float | str | None = None
    values: tuple[str, ...] = ()
    classes: tuple[tuple[str, int], ...] = ()
    preprocessed: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class DataLook:
    """A look at all columns.

    Attributes:
        rows: how many train rows were looked at, of each split.
        is_whole: whether these are all rows of the source.
        suspicious: what is likely a mistake, in words.
        problems: what the run would be refused for, in words.
    """

    rows: dict[str, int]
    is_whole: bool
    columns: tuple[ColumnLook, ...]
    suspicious: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> DataLook:
        """The look that `to_dict` wrote, through JSON."""
        columns = tuple(_column(column) for column in found["columns"])
        lists = {name: tuple(found[name]) for name in ("suspicious", "problems")}
        return cls(rows=found["rows"], is_whole=found["is_whole"], columns=columns, **lists)

    def frame(self) -> Any:
        """A pandas DataFrame, a row a column of the data."""
        import pandas as pd

        return pd.DataFrame([asdict(column) for column in self.columns]).set_index("name")


def _column(found: dict[str, Any]) -> ColumnLook:
    column = ColumnLook(**found)
    classes = tuple((str(name), int(rows)) for name, rows in column.classes)
    extent = None if column.preprocessed is None else (column.preprocessed[0], column.preprocessed[1])
    return replace(column, values=tuple(column.values), classes=classes, preprocessed=extent)
