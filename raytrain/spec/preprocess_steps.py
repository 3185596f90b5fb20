"""The kinds of preprocessing step, in the words of Ray Data's preprocessors."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from raytrain.spec.pydantic_bases import OneOf, StrictModel, custom_error
from raytrain.spec.value_types import PythonRef


def check_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise custom_error("a regular expression", got=f"{text!r}: {error}") from error
    return text


Pattern = Annotated[str, AfterValidator(check_pattern)]
Unseen = Literal["refuse", "ignore"]


class ColumnsStep(StrictModel):
    """Base of the steps that change columns one by one, in place or `into` new ones."""

    columns: list[str] = Field(min_length=1, description="a list of columns to change")
    into: list[str] | None = Field(None, description="names of the new columns; left out, the columns are replaced")

    @model_validator(mode="after")
    def _one_name_each(self) -> Self:
        if self.into is not None and len(self.into) != len(self.columns):
            names, got = f"as many names in into as columns ({len(self.columns)})", str(len(self.into))
            raise custom_error(names, got=got, field="into")
        return self

    @property
    def outputs(self) -> list[str]:
        return self.columns if self.into is None else self.into


class Scale(ColumnsStep):
    """Multiplies columns by a constant."""

    by: float = Field(description="the factor, such as 0.0625")


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
            got = f"{low:g} and {high:g}"
            raise custom_error("two quantiles between 0 and 1, the smaller first", got=got, field="quantiles")
        return self


class Normalize(ColumnsStep):
    """Divides each row's elements of the columns by their norm (Normalizer)."""

    norm: Literal["l1", "l2", "max"] = "l2"


class Power(ColumnsStep):
    """Raises columns to a power so that they are more nearly normal (PowerTransformer)."""

    power: float = Field(description="the exponent, such as 0.5")
    method: Literal["yeo-johnson", "box-cox"] = "yeo-johnson"


class Impute(ColumnsStep):
    """Fills empty cells and NaN (SimpleImputer)."""

    strategy: Literal["mean", "most_frequent", "constant"] = "mean"
    fill_value: int | float | str | None = Field(None, description="a number or text, of the strategy constant")

    @model_validator(mode="after")
    def _value_of_constant(self) -> Self:
        if (self.strategy == "constant") != (self.fill_value is not None):
            got = f"strategy: {self.strategy} {'without' if self.fill_value is None else 'and a'} fill_value"
            raise custom_error("strategy: constant and fill_value together", got=got)
        return self


class Encode(ColumnsStep):
    """Numbers the categories of text or whole numbers, or of the elements of lists, in order (OrdinalEncoder)."""

    start: int = Field(0, ge=0, description="the number of the first category")
    unseen: Literal["refuse"] | int = Field("refuse", description="refuse, or the number of a value that train lacks")


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
        description="how many equal bins, 2 or more, over the range of train's values; or a list of inner edges"
    )

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if isinstance(self.bins, list) and sorted(set(self.bins)) != self.bins:
            raise custom_error("the edges of bins in ascending order, each once", got=str(self.bins), field="bins")
        return self


class Tokenize(ColumnsStep):
    """Cuts text into lists of tokens, for encode, pad, count, hash or multi_hot (Tokenizer)."""

    pattern: Pattern = Field(r"\S+", description="regular expression of a token")
    lowercase: bool = False


class Pad(ColumnsStep):
    """Makes lists equally long."""

    length: int = Field(ge=1, description="elements of every list")
    value: int | float | str | None = Field(None, description='what ends shorter lists; 0, or "" for text, if left out')
    truncate: bool = Field(True, description="true cuts longer lists; false refuses them")


class Count(ColumnsStep):
    """Counts train's tokens in text or lists of tokens (CountVectorizer)."""

    max_features: int | None = Field(None, ge=1, description="the most frequent tokens only")


class Hash(ColumnsStep):
    """Counts tokens of text or lists by their hash (HashingVectorizer)."""

    features: int = Field(ge=1, description="length of the vectors")


class Concatenate(StrictModel):
    """Puts columns of numbers side by side into one (Concatenator)."""

    columns: list[str] = Field(min_length=1, description="a list of columns to put side by side")
    into: str = Field(description="the new column's name")

    @property
    def outputs(self) -> list[str]:
        return [self.into]


class Preprocess(OneOf):
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
