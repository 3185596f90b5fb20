"""What every part of the spec is made of: its base models, and the error that its own rules raise."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

# The `type` of the errors that `custom_error` makes, among pydantic's own.
CUSTOM = "refused"


def custom_error(expected: str, *, got: str = "", fix: str = "", field: str = "") -> PydanticCustomError:
    """What a validator raises: a problem's words as data, for `problems` to read.

    Args:
        got: the value itself when left out.
        field: dotted path of the field at fault, below the one that is validated.
    """
    template = "expected {expected}, got {got}" if got else "expected {expected}"
    return PydanticCustomError(CUSTOM, template, {"got": got, "expected": expected, "fix": fix, "field": field})


class StrictModel(BaseModel):
    """Base of every part of the spec: unknown keys are refused, types are not coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class OneOf(StrictModel):
    """Base of the parts that are given as one of several kinds, `{kind: value}`."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        kinds = list(type(self).model_fields)
        given = [name for name in kinds if getattr(self, name) is not None]
        if len(given) != 1:
            got = ", ".join(given or [f"{name}: null" for name in sorted(self.model_fields_set)])
            raise custom_error(f"exactly one of {', '.join(kinds)}", got=got or "none of them")
        return self

    @property
    def kind(self) -> str:
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)

    @property
    def value(self) -> Any:
        return getattr(self, self.kind)
