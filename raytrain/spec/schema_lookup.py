"""Finds the part of the schema that stands at a location of the spec."""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from raytrain.spec.job import JobSpec
from raytrain.spec.line_numbers import Loc
from raytrain.spec.pydantic_bases import OneOf


def types_at(loc: Loc) -> list[Any]:
    """Every type that the schema allows at a location, null left out; none where it has no such place."""
    types: list[Any] = [JobSpec]
    for part in loc:
        types = [inner for outer in types for inner in _inner_types(outer, part)]
    return types


def keys_at(loc: Loc) -> list[str]:
    """The keys that may stand at a location."""
    return list(dict.fromkeys(key for type_ in types_at(loc) for key in _fields(type_)))


def takes_one_key(loc: Loc) -> bool:
    """Whether a location is for exactly one of its keys."""
    return any(isinstance(type_, type) and issubclass(type_, OneOf) for type_ in types_at(loc))


def names_at(loc: Loc) -> list[str]:
    """The names that may stand at a location, where only some may."""
    return [name for type_ in types_at(loc) if get_origin(type_) is Literal for name in get_args(type_)]


def description_of(loc: Loc) -> str:
    """What the schema says of a field; empty where it says nothing, or there is no such field."""
    found = (_fields(type_).get(str(loc[-1])) for type_ in types_at(loc[:-1]))
    return next((field.description for field in found if field and field.description), "")


def fields_named(key: str, annotation: Any = JobSpec, loc: Loc = ()) -> Iterator[Loc]:
    """Everywhere that the schema has a key of this name."""
    for name, field in _fields(annotation).items():
        if name == key:
            yield (*loc, name)
        yield from fields_named(key, field.annotation, (*loc, name))
    for part in get_args(annotation):
        yield from fields_named(key, part, loc)


def _inner_types(outer: Any, part: str | int) -> Iterator[Any]:
    if part in _fields(outer):
        yield from _alternatives(_fields(outer)[str(part)].annotation)
    elif get_origin(outer) is dict:
        key, value = get_args(outer)
        yield from _alternatives(value) if isinstance(part, tuple(_alternatives(key))) else ()
    elif get_origin(outer) is list and isinstance(part, int):
        yield from _alternatives(get_args(outer)[0])


def _fields(type_: Any) -> dict[str, FieldInfo]:
    return getattr(type_, "model_fields", {})


def _alternatives(annotation: Any) -> Iterator[Any]:
    """The types of a union, whatever is annotated to them."""
    if get_origin(annotation) is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _alternatives(part)
    elif annotation is not NoneType:
        yield annotation
