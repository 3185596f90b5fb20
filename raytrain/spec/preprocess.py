"""The kinds of preprocessing step."""

from __future__ import annotations

from pydantic import Field

from raytrain.spec.strict import OneKind, Strict
from raytrain.spec.values import PythonRef


class Scale(Strict):
    """Multiplies columns by a constant."""

    columns: list[str] = Field(min_length=1)
    by: float


class Standardize(Strict):
    """Subtracts the mean and divides by the standard deviation, both taken from the train rows alone."""

    columns: list[str] = Field(min_length=1)


class OneHot(Strict):
    """Turns whole numbers 0 … classes-1 into vectors."""

    columns: list[str] = Field(min_length=1)
    classes: int = Field(ge=2)


class Preprocess(OneKind):
    """One step, applied in the order given: exactly one kind."""

    scale: Scale | None = None
    standardize: Standardize | None = None
    one_hot: OneHot | None = None
    python: PythonRef | None = Field(None, description="function preprocess(batch) -> batch, dicts of arrays")
