"""The bases of every part of the spec."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, model_validator


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
