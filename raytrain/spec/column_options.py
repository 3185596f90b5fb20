"""How one column of a source becomes numbers, where its type alone does not say."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from raytrain.spec.pydantic_bases import StrictModel, custom_error
from raytrain.spec.source_kinds import ImageMode, ImageSize

TimeUnit = Literal["days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds"]
Dtype = Literal["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"]


class ColumnSpec(StrictModel):
    """What to do with one column; what is left out stays as the column's type has it."""

    fill: bool | int | float | str | None = Field(None, description="a value in the place of empty cells and NaN")
    allow_nan: bool = Field(False, description="true: NaN stays, and empty numbers become it, for losses that mask it")
    pad: int | None = Field(None, ge=1, description="elements of every list, however many a row has")
    pad_value: int | float | str | None = Field(
        None, description='what ends shorter lists; 0, or "" for text, if left out'
    )
    truncate: bool = Field(False, description="true cuts longer lists; false refuses them")
    timestamp: TimeUnit | None = Field(None, description="times as whole units since 1970, durations as whole units")
    dtype: Dtype | None = Field(None, description="instead of float32 for fractions and int64 for whole numbers")
    size: ImageSize | None = Field(None, description="images: [height, width] that every one is scaled to")
    mode: ImageMode = Field("RGB", description="images: RGB, RGBA or L (grey): the last dimension is 3, 4 or 1")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        fields = type(self).model_fields
        given = {name for name in fields if getattr(self, name) != fields[name].default}
        if not given:
            raise custom_error(f"one of {', '.join(fields)}", got="none")
        if self.allow_nan and self.fill is not None:
            raise custom_error("fill or allow_nan", got="both", field="allow_nan")
        for name, needed in (("pad_value", "pad"), ("truncate", "pad"), ("mode", "size")):
            if name in given and needed not in given:
                raise custom_error(f"{needed} beside {name}", got="none", field=name)
        kinds = [name for name in ("pad", "timestamp", "size") if name in given]
        if len(kinds) > 1:
            raise custom_error("pad for lists, timestamp for times or size for images", got=" and ".join(kinds))
        if self.size is not None and not given <= {"size", "mode"}:
            raise custom_error("size and mode alone for images", got=", ".join(sorted(given)))
        return self
