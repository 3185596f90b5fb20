"""The `data` part of the spec: sources, splits, columns and preprocessing."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from raytrain.spec.preprocess import Preprocess
from raytrain.spec.source import Source
from raytrain.spec.strict import Strict

Fraction = Annotated[float, Field(gt=0, lt=1)]
Columns = str | list[str] | dict[str, str | list[str]]
Cache = Literal["auto", "shared", "sharded", "streaming"]


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
    cache: Cache = Field("auto", description="where the rows are kept between epochs; auto chooses by their size")

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
