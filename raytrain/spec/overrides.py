"""`--set a.b=c`: one field of the spec, given on the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from raytrain.errors import Problem, SpecError, UsageError
from raytrain.spec.line_numbers import LineNumbers, Loc, dotted
from raytrain.spec.schema_lookup import keys_at, takes_one_key
from raytrain.spec.strict_yaml import read_yaml
from raytrain.spec.suggest import value_in_words

# Maps whose keys are whole numbers; in any other place a number is a list's index.
INT_KEYED: tuple[Loc, ...] = (("fit", "class_weight"),)
_COLUMNS = ("data", "columns")
_ARGUMENT = re.compile(r'((?:"[^"]*"|[^="])*)=(.*)', re.DOTALL)
_DOT = re.compile(r'\.(?=(?:[^"]*"[^"]*")*[^"]*$)')  # outside of quotes
_NO_YAML = ("@", "`", "%", "*")


@dataclass(frozen=True, kw_only=True)
class Override:
    """One parsed `--set`: where it points, its value, and the argument as the user gave it."""

    parts: tuple[str, ...]
    value: Any
    argument: str


def parse_override(text: str) -> Override:
    """Splits `a.b=c`; the value is read as YAML, so that `1e-3` is a number and `[a, b]` a list.

    A name with a dot, a space or `=` in it stands in double quotes: `data.columns."petal.width".fill=0`. Without them a
    column's name goes on as far as no option of a column follows.

    Raises:
        UsageError: there is no `=`, no field before it, or nothing after it.
        SpecError: the value is no YAML.
    """
    argument = f"--set {text}"
    match = _ARGUMENT.fullmatch(text)
    field, value = match.groups() if match else ("", "")
    parts = _with_whole_columns([part.strip() for part in _DOT.split(field)])
    if not all(parts) or any(" " in part and not part.startswith('"') for part in parts):
        raise UsageError(Problem(got=argument, expected="--set FIELD=VALUE, such as --set fit.epochs=3"))
    parts = tuple(part.strip('"') for part in parts)
    if not value.strip():
        raise UsageError(
            Problem(got=f"{argument} without a value", expected="--set FIELD=VALUE", fix="write null or '' for none")
        )
    if value.startswith(_NO_YAML):  # `@last` and `*.csv` are no YAML, and can only be meant as they stand
        return Override(parts=parts, value=value, argument=argument)
    try:
        return Override(parts=parts, value=read_yaml(value, argument).data, argument=argument)
    except SpecError as error:
        raise SpecError(*(replace(problem, line=0) for problem in error.problems)) from None


def _with_whole_columns(parts: list[str]) -> tuple[str, ...]:
    """The parts of a field, those of one column's name put together."""
    if tuple(parts[:2]) != _COLUMNS or len(parts) < 4:
        return tuple(parts)
    last = len(parts) - (parts[-1] in keys_at((*_COLUMNS, "")))
    return (*_COLUMNS, f'"{".".join(parts[2:last])}"' if all(parts[2:last]) else "", *parts[last:])


def apply_override(data: dict[str | int, Any], override: Override, lines: LineNumbers) -> None:
    """Puts the value into the spec's data, in place, and notes where it came from.

    Maps that are missing on the way are made. A short form gives way to its long one: `model: model.py:build` to
    `{python: …}` or `{file: …}`, `optimizer: adam` to `{name: adam, …}`; and where exactly one kind is allowed
    (`data.train`), another kind takes its place.

    Raises:
        SpecError: an index outside a list.
    """
    here: Any = data
    loc: Loc = ()
    for index, part in enumerate(override.parts):
        last = index == len(override.parts) - 1
        key = _key(part, here, loc, override)
        if isinstance(here, dict):
            _leave_one_kind(here, loc, key)
            present = here.get(key)
        else:
            present = here[key] if key < len(here) else None  # type: ignore[operator]
        value = override.value if last else _container(present, (*loc, key), override.parts[index + 1])
        if value is not present or last:
            lines.overridden((*loc, key), override.argument)
        if isinstance(here, list) and key == len(here):
            here.append(value)
        else:
            here[key] = value
        here, loc = value, (*loc, key)


def _key(part: str, here: Any, loc: Loc, override: Override) -> str | int:
    if isinstance(here, list):
        if part.isdecimal() and int(part) <= len(here):
            return int(part)
        raise SpecError(
            Problem(
                got=f"the index `{part}` into {value_in_words(here)}",
                expected=f"0 to {len(here)}",
                fix="count from 0; the number after the last one appends",
                field=dotted(loc),
                file=override.argument,
            )
        )
    return int(part) if part.isdecimal() and loc in INT_KEYED else part


def _leave_one_kind(here: dict[Any, Any], loc: Loc, key: str | int) -> None:
    kinds = keys_at(loc)
    if takes_one_key(loc) and key in kinds:
        for other in [other for other in here if other != key and other in kinds]:
            del here[other]


def _container(present: Any, loc: Loc, next_part: str) -> dict[Any, Any] | list[Any]:
    if isinstance(present, dict | list):
        return present
    if isinstance(present, str) and loc[0] == "compile" and len(loc) > 1 and next_part != "name":
        return {"name": present}  # `optimizer: adam` and `--set compile.optimizer.learning_rate=0.01`
    if next_part == "0" and loc not in INT_KEYED:
        return []
    return {}
