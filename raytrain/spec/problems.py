"""Turns pydantic's errors into problems in the user's own words: file, line, field, got, expected, what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from raytrain.errors import Problem
from raytrain.spec.line_numbers import Loc, Places, dotted
from raytrain.spec.schema_lookup import homes, keys_of, meaning, model_at
from raytrain.spec.suggest import did_you_mean, shown

_TYPE_WORDS = {
    "string_type": "a string",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a map",
    "model_type": "a map",
    "literal_error": "",
    "is_instance_of": "",
}
_EXPECTED = {
    "model": "FILE.py:FUNCTION, or a map with one of python, layers, file, run",
    "compile": "FILE.py:FUNCTION, or a map with optimizer, loss, metrics",
    "callbacks": "FILE.py:FUNCTION, or a list of {Name: {argument: value}}",
    "data.train": "a source, such as {csv: train.csv}",
    "data.validation": "a fraction between 0 and 1, or a source such as {csv: held.csv}, or {where: {column: value}}",
    "data.test": "a fraction between 0 and 1, or a source such as {csv: test.csv}, or {where: {column: value}}",
    "data.features": "a column, a list of columns, or {input: column(s)}",
    "data.label": "a column, or {output: column}",
    "fit.time_limit": "seconds, or a duration such as 90s, 15m or 1h30m",
}
_FIRST_TO_MEND = ("value_error", "range", "type", "missing", "extra_forbidden")
_SENTENCES = (
    re.compile(r"(?P<got>.+), expected (?P<expected>.+)"),
    re.compile(r"expected (?P<expected>.+), got (?P<got>.+)"),
    re.compile(r"expected (?P<expected>.+)"),
)


def problems_of(error: ValidationError, data: object, places: Places) -> list[Problem]:
    """One problem for each thing the user has to mend, the most important last.

    Args:
        error: what `JobSpec.model_validate(data)` raised.
        data: the data that was validated, as the user wrote it.
        places: where its fields were written.
    """
    faults = [_fault(detail, data) for detail in error.errors(include_url=False)]
    found = [*_merge_unions(faults)]
    suggested = {(*fault.loc[:-1], _suggestion(fault)) for fault in found if fault.type == "extra_forbidden"}
    found = [fault for fault in found if not (fault.type == "missing" and fault.loc in suggested)]
    found.sort(key=lambda fault: (_FIRST_TO_MEND.index(fault.rank), -places.line(fault.loc)))
    return [_problem(fault, places) for fault in found]


@dataclass(frozen=True, kw_only=True)
class _Fault:
    """One pydantic error: `loc` as the user wrote it; `branches` are the union branches it passed through."""

    loc: Loc
    branches: tuple[tuple[Loc, str], ...]
    type: str
    message: str
    value: object
    context: dict[str, Any]
    is_key: bool = False
    merged: str = ""

    @property
    def rank(self) -> str:
        if self.type in ("value_error", "missing", "extra_forbidden"):
            return self.type
        return "type" if self.type in _TYPE_WORDS else "range"


def _fault(detail: Any, data: object) -> _Fault:
    """Follows pydantic's location through the user's data; what leads nowhere there names a union's branch."""
    loc: list[str | int] = []
    branches: list[tuple[Loc, str]] = []
    here = data
    for index, part in enumerate(detail["loc"]):
        if part == "[key]":
            continue
        if _leads_on(here, part):
            here = here[part]  # type: ignore[index]
        elif detail["type"] == "missing" and index == len(detail["loc"]) - 1:
            here = None
        else:
            if part != "python":  # the short form `model: model.py:build_model` stands for {python: …}
                branches.append((tuple(loc), str(part)))
            continue
        loc.append(part)
    return _Fault(
        loc=tuple(loc),
        branches=tuple(branches),
        type=detail["type"],
        message=detail["msg"].removeprefix("Value error, "),
        value=detail["input"],
        context=detail.get("ctx", {}),
        is_key="[key]" in detail["loc"],
    )


def _leads_on(here: object, part: str | int) -> bool:
    return part in here if isinstance(here, dict) else isinstance(here, list) and part in range(len(here))


def _merge_unions(faults: list[_Fault]) -> Iterator[_Fault]:
    """Of a union's branches, keeps those whose type fits the value; where none does, one fault that names them all."""
    unions: dict[Loc, list[_Fault]] = {}
    for fault in faults:
        if not fault.branches:
            yield fault
        else:
            unions.setdefault(fault.branches[0][0], []).append(fault)
    for loc, members in unions.items():
        misfits = {fault.branches[0][1] for fault in members if fault.loc == loc and fault.type in _TYPE_WORDS}
        fitting = [_inside(fault) for fault in members if fault.branches[0][1] not in misfits]
        if fitting:
            yield from _merge_unions(fitting)
        else:
            words = dict.fromkeys(_expected(fault) for fault in members)
            yield _Fault(
                loc=loc, branches=(), type="is_instance_of", message="", value=members[0].value, context={},
                merged=" or ".join(words),
            )  # fmt: skip


def _inside(fault: _Fault) -> _Fault:
    return _Fault(**(vars(fault) | {"branches": fault.branches[1:]}))


def _problem(fault: _Fault, places: Places) -> Problem:
    file, line = places.of(fault.loc)
    got, expected, fix = _words(fault)
    return Problem(got=got, expected=expected, fix=fix, field=dotted(fault.loc), file=file, line=line)


def _words(fault: _Fault) -> tuple[str, str, str]:
    """Got, expected and fix."""
    match fault.type:
        case "extra_forbidden":
            return f"the unknown key `{fault.loc[-1]}`", keys_of(fault.loc[:-1]), _unknown_key_fix(fault)
        case "missing":
            return f"no `{fault.loc[-1]}`", _EXPECTED.get(dotted(fault.loc), meaning(fault.loc)), "add it"
        case "value_error":
            return _sentence(fault)
        case _:
            return _got(fault), _expected(fault), _fix(fault)


def _sentence(fault: _Fault) -> tuple[str, str, str]:
    """The schema's own `expected …, got …; do …`."""
    text, _, fix = fault.message.partition("; ")
    parts = next((match.groupdict() for pattern in _SENTENCES if (match := pattern.fullmatch(text))), {})
    expected = parts.get("expected", text)
    if not isinstance(fault.value, dict):
        expected = _EXPECTED.get(dotted(fault.loc), expected)
    return parts.get("got") or _got(fault), expected, fix


def _got(fault: _Fault) -> str:
    if fault.loc[:2] == ("environment", "env_vars") and not isinstance(fault.value, dict):
        return shown(fault.value).rpartition(" (")[2].rstrip(")")  # may be a secret
    text = f"the key {shown(fault.loc[-1])}" if fault.is_key else shown(fault.value)
    return text.rpartition(" (")[0] if fault.rank == "range" and text.endswith("number)") else text


def _expected(fault: _Fault) -> str:
    special = _EXPECTED.get(dotted(fault.loc))
    if special and not fault.is_key:
        return special
    if "inline" in fault.loc and fault.merged:
        return "rows, or columns" if fault.loc[-1] == "inline" else "a number, a string, true, false, null or a list"
    if fault.merged:
        return fault.merged
    limits = {
        "greater_than": "above",
        "greater_than_equal": "at least",
        "less_than": "below",
        "less_than_equal": "at most",
    }
    if fault.type in limits:
        limit = next(iter(fault.context.values()))
        return f"{limits[fault.type]} {limit:g}"
    if fault.type == "literal_error":
        names = re.findall(r"'([^']*)'", str(fault.context.get("expected", "")))
        return f"one of {', '.join(names)}" if len(names) > 1 else ", ".join(names)
    if fault.type == "too_short":
        return f"at least {fault.context.get('min_length', 1)} of them"
    model = model_at(fault.loc)
    if fault.type == "model_type" and model is not None:
        return f"a map with {keys_of(fault.loc)}"
    if fault.type == "invalid_key":
        return "a name"
    return _TYPE_WORDS.get(fault.type) or fault.message[:1].lower() + fault.message[1:]


def _fix(fault: _Fault) -> str:
    expected = _expected(fault)
    if fault.type == "literal_error" and isinstance(fault.value, str):
        return did_you_mean(fault.value, expected.removeprefix("one of ").split(", "))
    if fault.is_key or fault.type == "is_instance_of":
        return ""
    if "number" in expected and isinstance(fault.value, str) and re.fullmatch(r"[-+.\deE]+", fault.value):
        return "remove the quotes"
    if expected == "a string" and isinstance(fault.value, bool | int | float):
        return "put it in quotes"
    if fault.value is None:
        return "write a value, or remove the line"
    return ""


def _suggestion(fault: _Fault) -> str:
    model = model_at(fault.loc[:-1])
    return did_you_mean(str(fault.loc[-1]), model.model_fields if model else ())[14:-2]


def _unknown_key_fix(fault: _Fault) -> str:
    """The near word among this part's keys; else the part in which a key of that name belongs."""
    if near := _suggestion(fault):
        return f"did you mean `{near}`?"
    home = next(homes(str(fault.loc[-1])), None)
    return f"did you mean `{dotted(home)}`?" if home else ""
