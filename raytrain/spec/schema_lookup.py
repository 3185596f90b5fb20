"""Finds the part of the schema that stands at a location of the spec."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from raytrain.spec.job import JobSpec
from raytrain.spec.line_numbers import Loc
from raytrain.spec.pydantic_bases import OneKind


def model_at(loc: Loc) -> type[BaseModel] | None:
    """The part of the schema that stands at a location of the spec."""
    model: type[BaseModel] | None = JobSpec
    in_map = False
    for part in loc:
        if isinstance(part, int) or in_map:
            in_map = False
            continue
        field = model.model_fields.get(part) if model else None
        model = next(_models(field.annotation), None) if field else None
        in_map = field is not None and model is not None and get_origin(field.annotation) is dict
    return model


def keys_of(loc: Loc) -> str:
    """The keys that may stand at a location, in words."""
    model = model_at(loc)
    keys = ", ".join(model.model_fields) if model else "other keys"
    return f"exactly one of {keys}" if model and issubclass(model, OneKind) else f"one of {keys}"


def meaning(loc: Loc) -> str:
    """What a field is for."""
    model = model_at(loc[:-1])
    field = model.model_fields.get(str(loc[-1])) if model else None
    return (field.description if field else None) or "a value for it"


def homes(key: str, model: type[BaseModel] = JobSpec, loc: Loc = ()) -> Iterator[Loc]:
    """Everywhere that the schema has a key of this name."""
    for name, field in model.model_fields.items():
        if name == key:
            yield (*loc, name)
        for inner in _models(field.annotation):
            yield from homes(key, inner, (*loc, name))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation speaks of, through Optional, Annotated, list and dict."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
