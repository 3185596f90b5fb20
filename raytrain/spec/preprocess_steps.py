"""The kinds of preprocessing step, in the words of Ray Data's preprocessors."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from raytrain.spec.pydantic_bases import OneKind, Strict
from raytrain.spec.value_types import PythonRef


def check_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"expected a regular expression, got one with an error: {error}") from error
    return text


Pattern = Annotated[str, AfterValidator(check_pattern)]
Unseen = Literal["refuse", "ignore"]


class ColumnsStep(Strict):
    """Base of the steps that change columns one by one, in place or `into` new ones."""

    columns: list[str] = Field(min_length=1)
    into: list[str] | None = Field(None, description="names of the new columns; left out, the columns are replaced")

    @model_validator(mode="after")
    def _one_name_each(self) -> Self:
        if self.into is not None and len(self.into) != len(self.columns):
            raise ValueError(f"expected as many names in into as columns ({len(self.columns)}), got {len(self.into)}")
        return self

    @property
    def outputs(self) -> list[str]:
        return self.columns if self.into is None else self.into


class Scale(ColumnsStep):
    """Multiplies columns by a constant."""

    by: float


class Standardize(ColumnsStep):
    """Subtracts the mean and divides by the standard deviation (StandardScaler)."""


class MinMax(ColumnsStep):
    """Maps the smallest value to 0 and the largest to 1 (MinMaxScaler)."""


class MaxAbs(ColumnsStep):
    """Divides by the largest absolute value (MaxAbsScaler)."""


class Robust(ColumnsStep):
    """Subtracts the median and divides by the distance between two quantiles (RobustScaler)."""

    quantiles: Annotated[list[float], Field(min_length=2, max_length=2)] = Field([0.25, 0.75])

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        low, high = self.quantiles
        if not 0 <= low < high <= 1:
            raise ValueError(f"expected two quantiles between 0 and 1, the smaller first, got {low:g} and {high:g}")
        return self


class Normalize(ColumnsStep):
    """Divides each row's elements of the columns by their norm (Normalizer)."""

    norm: Literal["l1", "l2", "max"] = "l2"


class Power(ColumnsStep):
    """Raises columns to a power so that they are more nearly normal (PowerTransformer)."""

    power: float
    method: Literal["yeo-johnson", "box-cox"] = "yeo-johnson"


class Impute(ColumnsStep):
    """Fills empty cells and NaN (SimpleImputer)."""

    strategy: Literal["mean", "most_frequent", "constant"] = "mean"
    fill_value: int | float | str | None = Field(None, description="of the strategy constant")

    @model_validator(mode="after")
    def _value_of_constant(self) -> Self:
        if (self.strategy == "constant") != (self.fill_value is not None):
            raise ValueError("expected strategy: constant and fill_value together, got one of them")
        return self


class Encode(ColumnsStep):
    """Numbers the categories of text or whole numbers, or of the elements of lists, in order (OrdinalEncoder)."""

    start: int = Field(0, ge=0, description="the number of the first category")
    unseen: Literal["refuse"] | int = Field("refuse", description="the number of a value that train does not have")


class OneHot(ColumnsStep):
    """Turns categories, or the whole numbers 0 … classes-1, into vectors (OneHotEncoder)."""

    classes: int | None = Field(None, ge=2, description="left out, the categories are those of the train rows")
    unseen: Unseen = Field("refuse", description="ignore: a value that train does not have becomes zeros")


class MultiHot(ColumnsStep):
    """Turns lists of categories into vectors of counts (MultiHotEncoder)."""

    unseen: Unseen = Field("refuse", description="ignore: an element that train does not have is left out")


class Bucket(ColumnsStep):
    """Numbers the bins that values fall into (UniformKBinsDiscretizer, CustomKBinsDiscretizer)."""

    bins: Annotated[int, Field(ge=2)] | Annotated[list[float], Field(min_length=1)] = Field(
        description="how many equal ones between train's smallest and largest value, or the inner edges, ascending"
    )

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if isinstance(self.bins, list) and sorted(set(self.bins)) != self.bins:
            raise ValueError("expected the edges of bins in ascending order, each once")
        return self


class Tokenize(ColumnsStep):
    """Cuts text into lists of tokens, for encode, pad, count, hash or multi_hot (Tokenizer)."""

    pattern: Pattern = Field(r"\S+", description="regular expression of a token")
    lowercase: bool = False


class Pad(ColumnsStep):
    """Makes lists equally long."""

    length: int = Field(ge=1)
    value: int | float | str | None = Field(None, description='ends shorter lists; 0, or "" among text, if left out')
    truncate: bool = Field(True, description="true cuts longer lists; false refuses them")


class Count(ColumnsStep):
    """Counts train's tokens in text or lists of tokens (CountVectorizer)."""

    max_features: int | None = Field(None, ge=1, description="the most frequent tokens only")


class Hash(ColumnsStep):
    """Counts tokens of text or lists by their hash (HashingVectorizer)."""

    features: int = Field(ge=1, description="length of the vectors")


class Concatenate(Strict):
    """Puts columns of numbers side by side into one (Concatenator)."""

    columns: list[str] = Field(min_length=1)
    into: str

    @property
    def outputs(self) -> list[str]:
        return [self.into]


class Preprocess(OneKind):
    """One step, applied in the order given: exactly one kind."""

    scale: Scale | None = None
    standardize: Standardize | None = None
    min_max: MinMax | None = None
    max_abs: MaxAbs | None = None
    robust: Robust | None = None
    normalize: Normalize | None = None
    power: Power | None = None
    impute: Impute | None = None
    encode: Encode | None = None
    one_hot: OneHot | None = None
    multi_hot: MultiHot | None = None
    bucket: Bucket | None = None
    tokenize: Tokenize | None = None
    pad: Pad | None = None
    count: Count | None = None
    hash: Hash | None = None
    concatenate: Concatenate | None = None
    python: PythonRef | None = Field(None, description="function preprocess(batch) -> batch, dicts of arrays")

    @property
    def columns(self) -> list[str]:
        """What it reads; nothing where it is the user's own and may read anything."""
        return [] if self.python else list(self.value.columns)

    @property
    def outputs(self) -> list[str]:
        """What it makes or replaces; nothing where it is the user's own and may make anything."""
        return [] if self.python else list(self.value.outputs)
