"""Turns pydantic's errors into problems in the user's own words: file, line, field, got, expected, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from raytrain.errors import Problem
from raytrain.formatting import plural
from raytrain.spec.foreign_words import said_here
from raytrain.spec.job import UPLOADED
from raytrain.spec.line_numbers import LineNumbers, Loc, dotted
from raytrain.spec.pydantic_bases import CUSTOM
from raytrain.spec.schema_lookup import description_of, fields_named, keys_at, names_at, takes_one_key, types_at
from raytrain.spec.secret_checks import is_secret, uri_with_key
from raytrain.spec.strict_yaml import parse_scalar
from raytrain.spec.suggest import did_you_mean, kind_in_words, nearest, value_in_words

# What would have been accepted, by pydantic's name of the error, where the type is wrong; [] is for the schema to tell.
_KINDS = {
    "string_type": ["a string"],
    "int_type": ["a whole number"],
    "float_type": ["a number"],
    "bool_type": ["true", "false"],
    "list_type": ["a list"],
    "dict_type": ["a map {name: …}"],
    "invalid_key": ["a name"],
    "model_type": [],
    "literal_error": [],
}
# The same where the value is wrong, with the limit's name among the error's data.
_LIMITS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
    "too_short": ("at least", "min_length"),
    "too_long": ("at most", "max_length"),
}
_UNQUOTED = {"int_type": (int,), "float_type": (int, float), "bool_type": (bool,)}
_LONGEST_NUMBER = 40
_FIRST_TO_MEND = ((CUSTOM,), _LIMITS, _KINDS, ("missing",), ("extra_forbidden",))


def problems_of(error: ValidationError, data: Any, lines: LineNumbers) -> list[Problem]:
    """One problem for each thing the user has to mend, the most important last.

    Args:
        error: what `JobSpec.model_validate(data)` raised.
        data: the data that was validated, as the user wrote it.
        lines: where its fields were written.
    """
    found = [*_merge_unions([_fault(detail, data) for detail in error.errors(include_url=False)])]
    suggested = {(*fault.loc[:-1], _near_key(fault.loc)) for fault in found if fault.type == "extra_forbidden"}
    found = [fault for fault in found if not (fault.type == "missing" and fault.loc in suggested)]
    found.sort(key=lambda fault: (fault.rank, -lines.line(fault.loc)))
    return [lines.located(_problem(fault), fault.loc) for fault in found]


@dataclass(frozen=True, kw_only=True)
class _Fault:
    """What pydantic refused.

    Attributes:
        loc: where it stands, as the user wrote it.
        branches: the branches of unions that pydantic tried on the way, each with its place.
        types: pydantic's name of the error; several where a value fits none of a union's branches.
        is_key: whether it is the key that was refused, not its value.
        has_other_forms: whether the value could have been something quite different.
    """

    loc: Loc
    branches: tuple[tuple[Loc, str | int], ...]
    types: tuple[str, ...]
    value: object
    context: dict[str, Any]
    is_key: bool
    has_other_forms: bool

    @property
    def type(self) -> str:
        return self.types[0]

    @property
    def rank(self) -> int:
        return next((rank for rank, types in enumerate(_FIRST_TO_MEND) if self.type in types), 0)


def _fault(detail: Any, data: Any) -> _Fault:
    """Follows pydantic's location through the schema: where that has a union, the next part names a branch of it."""
    is_key = detail["loc"][-1:] == ("[key]",)
    loc: Loc = ()
    branches: list[tuple[Loc, str | int]] = []
    at_union = False
    for part in detail["loc"][: -1 if is_key else None]:
        if at_union:
            branches.append((loc, part))
        else:
            loc = (*loc, part)
        at_union = not at_union and len(types_at(loc)) > 1
    context = detail.get("ctx", {})
    written = _as_written(loc, data)
    return _Fault(
        loc=(*written, *filter(None, context.get("field", "").split("."))),
        branches=tuple(branches),
        types=(detail["type"],),
        value=detail["input"],
        context=context,
        is_key=is_key,
        has_other_forms=len(written) < len(loc),
    )


def _as_written(loc: Loc, data: Any) -> Loc:
    """Where a short form stands: `model: FILE.py:FUNCTION` for `model: {python: …}`, `workers: {min: …, max: …}`."""
    match loc, data:
        case ("model" | "compile" as part, "python"), dict() if isinstance(data.get(part), str):
            return (part,)
        case ("scaling", "workers" | "min_workers" as part), {"scaling": {"workers": dict()}}:
            return ("scaling", "workers", "max" if part == "workers" else "min")
        case _:
            return loc


def _merge_unions(faults: list[_Fault]) -> Iterator[_Fault]:
    """Of a union's branches, keeps those whose type fits the value; where none does, one fault that names them all."""
    unions: dict[Loc, list[_Fault]] = {}
    for fault in faults:
        if fault.branches:
            unions.setdefault(fault.branches[0][0], []).append(fault)
        else:
            yield fault
    for loc, members in unions.items():
        misfits = {fault.branches[0][1] for fault in members if fault.loc == loc and fault.type in _KINDS}
        fitting = [fault for fault in members if fault.branches[0][1] not in misfits]
        if fitting:
            inside = [replace(it, branches=it.branches[1:], has_other_forms=it.loc == loc) for it in fitting]
            yield from _merge_unions(inside)
        else:
            types = tuple(fault.type for fault in members)
            yield replace(members[0], branches=(), types=types, has_other_forms=True)


def _problem(fault: _Fault) -> Problem:
    if fault.type == "extra_forbidden":
        return _unknown_key(fault.loc)
    if fault.type == "missing":
        return Problem(got=f"no `{fault.loc[-1]}`", expected=description_of(fault.loc), fix="add it")
    given = fault.context if fault.type == CUSTOM else {"got": "", "fix": ""}
    return Problem(got=given["got"] or _got(fault), expected=_expected(fault), fix=given["fix"] or _fix(fault))


def _unknown_key(loc: Loc) -> Problem:
    """With the near word among this part's keys; else the part in which a key of that name belongs."""
    key, expected = str(loc[-1]), _keys(loc[:-1])
    if key in keys_at(loc[:-1]):
        return Problem(got=f"`{key}` beside another", expected=expected, fix="remove one of them")
    near = _near_key(loc) or dotted(next(fields_named(key), ()))
    fix = said_here(loc) or (f"did you mean `{near}`?" if near else "")
    return Problem(got=f"the unknown key `{key}`", expected=expected, fix=fix)


def _near_key(loc: Loc) -> str:
    return "" if said_here(loc) else nearest(str(loc[-1]), keys_at(loc[:-1]))


def _keys(loc: Loc) -> str:
    return f"{'exactly ' if takes_one_key(loc) else ''}one of {', '.join(keys_at(loc)) or 'other keys'}"


def _got(fault: _Fault) -> str:
    value = fault.value
    if fault.is_key:
        return f"the key {value_in_words(value)}"
    is_secret_place = fault.loc[:2] == ("environment", "env_vars") or is_secret(dotted(fault.loc[-1:]))
    if is_secret_place or (isinstance(value, str) and uri_with_key(value)):
        return kind_in_words(value)
    is_number = isinstance(value, int | float)
    return str(value) if is_number and fault.type in _LIMITS else value_in_words(value)


def _expected(fault: _Fault) -> str:
    has_keys = isinstance(fault.value, dict) and fault.value
    if fault.type == CUSTOM and (has_keys or not fault.has_other_forms):
        return str(fault.context["expected"])
    about = "" if fault.is_key else description_of(fault.loc)
    if about and (fault.has_other_forms or fault.type in ("list_type", "dict_type", "model_type")):
        return about
    if fault.type in _LIMITS:
        side, name = _LIMITS[fault.type]
        return f"{side} {_limit(fault.context[name], fault.value)}"
    if fault.types == ("literal_error",):
        return f"one of {', '.join(names_at(fault.loc))}"
    words = dict.fromkeys(word for type_ in fault.types for word in _accepted(type_, fault.loc))
    if "a number" in words:
        words.pop("a whole number", None)
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _limit(limit: float, value: object) -> str:
    if isinstance(value, dict | list):
        return plural(int(limit), "key" if isinstance(value, dict) else "item")
    return f"{limit:g}" if isinstance(limit, float) else str(limit)


def _accepted(type_: str, loc: Loc) -> list[str]:
    by_schema = {"literal_error": names_at(loc), "model_type": [f"a map with {_keys(loc)}"]}
    return by_schema.get(type_) or _KINDS.get(type_, ["another value"])


def _fix(fault: _Fault) -> str:
    value, type_ = fault.value, fault.type
    match value:
        case None:
            return "write a value, or remove the line"
        case bool() | int() | float() if "string_type" in fault.types:
            return "put it in quotes"
        case str() if fault.loc == ("environment", "pip"):
            return (
                f'pip: ["-r ${{{UPLOADED}}}/{value.removeprefix("-r").strip()}"]'
                if ".txt" in value
                else "put it in [ ]"
            )
        case str() if fault.types == ("list_type",):
            return "put it in [ ]"
        case str() if fault.loc[:1] == ("callbacks",) and type_ == "dict_type":
            return f"{value}: {{}}"
        case str() if _is_quoted(value, fault.types):
            return "remove the quotes"
        case str():
            return did_you_mean(value, names_at(fault.loc))
        case dict() if type_ == "list_type" or (type_ == "too_long" and isinstance(fault.loc[-1], int)):
            return "begin each with `- `"
        case _:
            return ""


def _is_quoted(text: str, types: tuple[str, ...]) -> bool:
    """Whether a string would be what is expected, did it stand there without quotes."""
    kind = type(parse_scalar(text)) if len(text) <= _LONGEST_NUMBER else str
    return any(kind in _UNQUOTED.get(type_, ()) for type_ in types)
