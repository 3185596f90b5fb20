"""The `data` part of the spec: sources, splits, columns and preprocessing."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from raytrain.spec.values import PythonRef

Fraction = Annotated[float, Field(gt=0, lt=1)]
Scalar = bool | int | float | str | None
Cell = Scalar | list[Any]
Columns = str | list[str] | dict[str, str | list[str]]

SklearnName = Literal["digits", "iris", "wine", "breast_cancer", "diabetes", "linnerud"]


class Strict(BaseModel):
    """Base of every part of the spec: unknown keys are refused, types are not coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class OneKind(Strict):
    """Base of the parts that are given as one of several kinds, `{kind: value}`."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        kinds = list(type(self).model_fields)
        given = [name for name in kinds if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected exactly one of {', '.join(kinds)}, got {', '.join(given) or 'none of them'}")
        return self

    @property
    def kind(self) -> str:
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)

    @property
    def value(self) -> Any:
        return getattr(self, self.kind)


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


class DataSpec(Strict):
    train: Source
    validation: Fraction | Source | None = Field(None, description="a fraction of train, or a source of its own")
    test: Fraction | Source | None = Field(None, description="a fraction of train, or a source of its own")
    features: Columns | None = Field(None, description="a column, a list stacked in order, or {input: column(s)}")
    label: str | dict[str, str] | None = Field(None, description="a column, or {output: column}")
    weight: str | None = Field(None, description="a sample-weight column")
    preprocess: list[Preprocess] = Field(default_factory=list)
    shuffle: bool = Field(True, description="false keeps the source's order, every epoch")
    stratify: bool | str = Field(False, description="true: fractions keep the label's proportions; or a column's")
    drop_remainder: bool = Field(False, description="leave the last, partial batch of each epoch out")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        fractions = [part for part in (self.validation, self.test) if isinstance(part, float)]
        if sum(fractions) >= 1:
            raise ValueError(f"expected validation + test < 1, got {sum(fractions):g}")
        if self.stratify is True and not isinstance(self.label, str):
            raise ValueError("expected one label column for stratify: true; or name a column, stratify: COLUMN")
        if self.weight is not None and self.label is None:
            raise ValueError("expected a label beside weight, got none")
        return self

    @property
    def feature_columns(self) -> list[str]:
        """The source columns that make up the inputs, in order, each once."""
        groups = self.features.values() if isinstance(self.features, dict) else [self.features or []]
        names = [name for group in groups for name in ([group] if isinstance(group, str) else group)]
        return list(dict.fromkeys(names))

    @property
    def label_columns(self) -> list[str]:
        if self.label is None:
            return []
        return [self.label] if isinstance(self.label, str) else list(dict.fromkeys(self.label.values()))

    @property
    def used_columns(self) -> list[str]:
        """Every source column that reaches a worker, each once."""
        weight = [self.weight] if self.weight else []
        stratify = [self.stratify] if isinstance(self.stratify, str) else []
        return list(dict.fromkeys(self.feature_columns + self.label_columns + weight + stratify))
