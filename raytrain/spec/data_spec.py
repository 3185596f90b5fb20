"""The `data` part of the spec: sources, splits, columns and preprocessing."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from raytrain.spec.column_options import ColumnSpec
from raytrain.spec.preprocess_steps import Preprocess
from raytrain.spec.pydantic_bases import StrictModel, custom_error
from raytrain.spec.source_kinds import Source

Fraction = Annotated[float, Field(gt=0, lt=1)]
Columns = str | list[str] | dict[str, str | list[str]]
Cache = Literal["auto", "shared", "sharded", "streaming"]
Key = bool | int | float | str


class Where(StrictModel):
    """The rows of train whose column holds a value, or one of several: `{where: {fold: [3, 4]}}`."""

    where: dict[str, Key | list[Key]] = Field(min_length=1, max_length=1, description="{column: value or values}")

    @property
    def column(self) -> str:
        return next(iter(self.where))

    @property
    def values(self) -> list[Key]:
        value = self.where[self.column]
        return value if isinstance(value, list) else [value]


def _kind_of_split(value: object) -> str:
    if isinstance(value, Where) or (isinstance(value, dict) and "where" in value):
        return "where"
    return "source" if isinstance(value, dict | Source) else "fraction"


_SPLIT = "a fraction of train between 0 and 1, or {where: {column: value}}"
Split = Annotated[
    Annotated[Fraction, Tag("fraction")] | Annotated[Source, Tag("source")] | Annotated[Where, Tag("where")],
    Discriminator(_kind_of_split),
]


class DataSpec(StrictModel):
    """Where the rows come from, how they are split, and how they reach the model."""

    train: Source = Field(description="a source, such as {csv: train.csv}")
    validation: Split | None = Field(None, description=f"{_SPLIT}, or a source such as {{csv: held.csv}}")
    test: Split | None = Field(None, description=f"{_SPLIT}, or a source such as {{csv: test.csv}}")
    features: Columns | None = Field(None, description="a column, a list of columns, or {input: column(s)}")
    label: str | dict[str, str] | None = Field(None, description="a column, or {output: column}")
    weight: str | None = Field(None, description="a sample-weight column")
    columns: dict[str, ColumnSpec] = Field(default_factory=dict, description="{column: how it becomes numbers}")
    preprocess: list[Preprocess] = Field(default_factory=list, description="a list of steps, such as {max_abs: …}")
    adapt: dict[str, str | list[str]] = Field(
        default_factory=dict,
        description="{preprocessing layer of the model: the input, or its column(s), it learns from}",
    )
    shuffle: bool = Field(True, description="false keeps the source's order, every epoch")
    stratify: bool | str = Field(False, description="true: fractions keep the label's proportions; or a column's name")
    group: str | None = Field(None, description="a column: rows that share its value stay in one split")
    drop_remainder: bool = Field(False, description="leave the last, partial batch of each epoch out")
    cache: Cache = Field("auto", description="where the rows are kept between epochs; auto chooses by their size")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.stratify is True and not isinstance(self.label, str):
            got, fix = "several" if self.label else "none", "or name a column, stratify: COLUMN"
            raise custom_error("one label column for stratify: true", got=got, fix=fix, field="stratify")
        if self.weight is not None and self.label is None:
            raise custom_error("a label beside weight", got="none", field="weight")
        kinds = {
            part.kind == "arrays"
            for part in (self.train, self.validation, self.test)
            if part is not None
            if isinstance(part, Source)
        }
        if True in kinds and (len(kinds) > 1 or self.preprocess or self.columns):
            raise custom_error("arrays for every split, and neither preprocess nor columns", got="others beside arrays")
        return self

    @model_validator(mode="after")
    def _splits_fit_together(self) -> Self:
        fractions = [part for part in (self.validation, self.test) if isinstance(part, float)]
        by_value = [part for part in (self.validation, self.test) if isinstance(part, Where)]
        if sum(fractions) >= 1:
            raise custom_error("validation + test < 1", got=" + ".join(f"{part:g}" for part in fractions))
        if fractions and by_value:
            raise custom_error("validation and test both as fractions or both as where", got="one of each")
        if len({part.column for part in by_value}) > 1:
            raise custom_error("where of one column", got=" and ".join(part.column for part in by_value))
        if self.group is not None and self.stratify is not False:
            raise custom_error("group or stratify", got="both", field="group")
        if by_value and (self.group is not None or self.stratify is not False):
            got = "where and " + ("stratify" if self.group is None else "group")
            raise custom_error("where alone: it says which rows, and group and stratify are for fractions", got=got)
        return self

    @property
    def feature_columns(self) -> list[str]:
        """The columns that make up the inputs, in order, each once."""
        groups = self.features.values() if isinstance(self.features, dict) else [self.features or []]
        names = [name for group in groups for name in ([group] if isinstance(group, str) else group)]
        return list(dict.fromkeys(names))

    def input_of(self, named: str | list[str]) -> str | None:
        """The input meant by its name or its columns: a key of `features`, "" for the only one, None for none."""
        if not isinstance(self.features, dict):
            return "" if named == self.features else None
        if isinstance(named, str) and named in self.features:
            return named
        return next((name for name, columns in self.features.items() if columns == named), None)

    @property
    def label_columns(self) -> list[str]:
        if self.label is None:
            return []
        return [self.label] if isinstance(self.label, str) else list(dict.fromkeys(self.label.values()))

    @property
    def fed_columns(self) -> list[str]:
        """Every column that reaches a worker, each once; a preprocessing step may have made it."""
        weight = [self.weight] if self.weight else []
        return list(dict.fromkeys(self.feature_columns + self.label_columns + weight))

    @property
    def used_columns(self) -> list[str]:
        """The columns that reach a worker, and the one that the rows are split by."""
        return list(dict.fromkeys(self.fed_columns + ([self.split_column] if self.split_column else [])))

    @property
    def source_columns(self) -> list[str]:
        """The columns that fed ones are made of, as far as the spec tells: the user's own function may make others."""
        made: set[str] = set()
        needed: list[str] = []
        for step in self.preprocess:
            needed += [name for name in step.columns if name not in made]
            made.update(name for name in step.outputs if name not in step.columns)
        needed = [name for name in self.fed_columns if name not in made] + needed
        return list(dict.fromkeys(needed))

    @property
    def label_sources(self) -> set[str]:
        """The source columns that labels are made of, and no feature."""
        return self._made_into(self.label_columns) - self._made_into(self.feature_columns)

    def _made_into(self, names: list[str]) -> set[str]:
        found = set(names)
        for step in reversed(self.preprocess):
            if not found.isdisjoint(step.outputs):
                found.update(step.columns)
        return found

    @property
    def split_column(self) -> str | None:
        """The source column that decides which split a row is in, where one does."""
        for part in (self.validation, self.test):
            if isinstance(part, Where):
                return part.column
        if self.stratify is True:
            assert isinstance(self.label, str)
            return self.label
        return self.stratify or self.group
