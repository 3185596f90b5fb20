"""How csv files are written: the part of the spec for those that are no plain ones."""

from __future__ import annotations

import codecs
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from raytrain.spec.pydantic_bases import StrictModel, custom_error


def check_character(text: str) -> str:
    if len(text) != 1:
        fix = 'write a tab as "\\t", in double quotes' if text.startswith("\\") else ""
        raise custom_error("one character", got=repr(text), fix=fix)
    return text


def check_encoding(name: str) -> str:
    try:
        codecs.lookup(name)
    except LookupError:
        raise custom_error("an encoding that Python knows, such as latin-1, cp1252 or utf-16", got=repr(name)) from None
    return name


Character = Annotated[str, AfterValidator(check_character)]


class CsvSource(StrictModel):
    """Csv files that differ from plain ones."""

    path: str | list[str] = Field(description="a path, folder, glob or a list of them")
    separator: Character | None = Field(None, description='between values: ",", or what a line `sep=;` above says')
    decimal: Character = Field(".", description="the decimal mark")
    thousands: Character | None = Field(None, description="what groups the digits of numbers, such as '.' in 1.234,5")
    quote: Character = Field('"', description="around values in which a separator stands")
    encoding: Annotated[str, AfterValidator(check_encoding)] = Field("utf-8", description="such as latin-1 or utf-16")
    header: bool | list[str] = Field(True, description="false: there is none; or the names of the columns where so")
    nulls: list[str] | None = Field(None, description="a list of what stands for an empty cell, beside no character")
    comment: Character | None = Field(None, description="what begins a line that is left out")
    skip: int = Field(0, ge=0, description="lines to leave out at the beginning")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.thousands == self.decimal:
            raise custom_error("another mark than decimal's", got=repr(self.thousands), field="thousands")
        if isinstance(self.header, list) and (not self.header or len(set(self.header)) < len(self.header)):
            raise custom_error("each column's name once", got=", ".join(self.header) or "none", field="header")
        return self

    @property
    def is_rewritten(self) -> bool:
        """Whether the file's text must be changed before a reader of plain csv takes it."""
        is_utf8 = codecs.lookup(self.encoding).name in ("utf-8", "utf-8-sig", "ascii")
        return not is_utf8 or self.comment is not None or self.skip > 0
