"""How one column of a source becomes numbers, where its type alone does not say."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from raytrain.spec.pydantic_bases import StrictModel, custom_error
from raytrain.spec.source_kinds import ImageMode, ImageSize, Resample, check_resample

TimeUnit = Literal["days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds"]
Dtype = Literal["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"]

_OF_IMAGES = ("mode", "resample", "exif_transpose")


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
    mode: ImageMode | None = Field(
        None,
        description="images: Pillow's RGB, RGBA, L (grey), P (classes), I;16, I or F; RGB if left out, P for labels",
    )
    resample: Resample | None = Field(
        None, description="images: how they are scaled; bilinear if left out, nearest for labels"
    )
    exif_transpose: bool = Field(False, description="images: true turns them as their EXIF data says")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        fields = type(self).model_fields
        given = {name for name in fields if getattr(self, name) != fields[name].default}
        if not given:
            raise custom_error(f"one of {', '.join(fields)}", got="none")
        if self.allow_nan and self.fill is not None:
            raise custom_error("fill or allow_nan", got="both", field="allow_nan")
        for name, needed in (("pad_value", "pad"), ("truncate", "pad"), *((name, "size") for name in _OF_IMAGES)):
            if name in given and needed not in given:
                raise custom_error(f"{needed} beside {name}", got="none", field=name)
        kinds = [name for name in ("pad", "timestamp", "size") if name in given]
        if len(kinds) > 1:
            raise custom_error("pad for lists, timestamp for times or size for images", got=" and ".join(kinds))
        if self.size is not None and not given <= {"size", *_OF_IMAGES}:
            raise custom_error(f"size, {', '.join(_OF_IMAGES)} alone for images", got=", ".join(sorted(given)))
        check_resample(self.mode, self.resample)
        return self
