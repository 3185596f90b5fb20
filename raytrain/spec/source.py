"""The kinds of source that rows come from."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from raytrain.spec.strict import OneKind
from raytrain.spec.values import PythonRef

Scalar = bool | int | float | str | None
Cell = Scalar | list[Any]

SklearnName = Literal["digits", "iris", "wine", "breast_cancer", "diabetes", "linnerud"]


class Source(OneKind):
    """Where rows come from: exactly one kind."""

    sklearn: SklearnName | None = Field(None, description="a set that comes with scikit-learn")
    csv: str | list[str] | None = Field(None, description="path, glob or list of them")
    parquet: str | list[str] | None = Field(None, description="path, folder, glob or list of them")
    inline: list[dict[str, Cell]] | dict[str, list[Cell]] | None = Field(
        None, description="rows, or columns of equal length, in the spec itself", min_length=1
    )
    python: PythonRef | None = Field(None, description="function that returns the rows")

    @model_validator(mode="after")
    def _equal_columns(self) -> Self:
        if isinstance(self.inline, dict):
            lengths = {len(column) for column in self.inline.values()}
            if len(lengths) > 1:
                raise ValueError(f"expected inline columns of one length, got lengths {sorted(lengths)}")
        return self
