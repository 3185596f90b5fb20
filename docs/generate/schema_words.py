"""A part of a JSON Schema in the words of the pages: its type, and its default."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from docs.generate.markdown import code
from raytrain.spec.value_types import DurationS, PythonRef

Schema = dict[str, Any]

_DURATION: Schema = TypeAdapter(DurationS).json_schema()
_PYTHON_REF: Schema = TypeAdapter(PythonRef).json_schema()
_SCALARS = {"integer": "whole number", "number": "number", "string": "text"}
_REFERENCE = "#/$defs/"


def branches(part: Schema) -> list[Schema]:
    """The alternatives of a part, null and nested unions resolved; itself where it has none."""
    listed = part.get("anyOf") or part.get("oneOf")
    if listed is None:
        return [part]
    return [inner for branch in listed for inner in branches(branch) if inner != {"type": "null"}]


def definitions_in(part: Schema) -> Iterator[str]:
    """The names of the definitions that a part is, or is a list or a map of."""
    for branch in branches(part):
        if "$ref" in branch:
            yield branch["$ref"].removeprefix(_REFERENCE)
        for inner in (branch.get("items"), branch.get("additionalProperties")):
            if isinstance(inner, dict):
                yield from definitions_in(inner)


def type_words(part: Schema) -> str:
    """`whole number ≥ 1`, `text or list of texts`, `duration`, …"""
    listed = branches(part)
    words = []
    if all(branch in listed for branch in _DURATION["anyOf"]):
        words.append("duration")
        listed = [branch for branch in listed if branch not in _DURATION["anyOf"]]
    words += [word for branch in listed for word in _words(branch)]
    if "number" in words and "whole number" in words:
        words.remove("whole number")
    *others, last = dict.fromkeys(words)
    return f"{', '.join(others)} or {last}" if others else last


def default_words(part: Schema) -> str:
    """What holds where the field is left out; empty where that is another map, or nothing can be told."""
    given = [branch["default"] for branch in (part, *branches(part)) if "default" in branch]
    if not given:
        types = [branch.get("type") for branch in branches(part)]
        return code("[]") if "array" in types else code("{}") if "object" in types else ""
    if given[0] is None:
        return "none"
    if isinstance(given[0], dict):
        return ""
    if isinstance(given[0], float):
        return code(f"{given[0]:g}")
    return code(given[0] if isinstance(given[0], str) else json.dumps(given[0]))


def _words(part: Schema) -> list[str]:
    """Of a part without alternatives: its type, or the values that it may be."""
    kind = part.get("type")
    if part.get("pattern") == _PYTHON_REF["pattern"]:
        return [code("FILE.py:NAME")]
    if "const" in part or "enum" in part:
        return [code(value) for value in part.get("enum", [part.get("const")])]
    if kind == "boolean":
        return ["true", "false"]
    if kind == "array":
        return [_many("list", part.get("items"))]
    if "properties" in part:
        return [code("{" + ", ".join(f"{name}: …" for name in part["properties"]) + "}")]
    if kind == "object" or "$ref" in part:
        return [_many("map", part.get("additionalProperties"))]
    return [f"{_SCALARS[str(kind)]}{_limits(part)}"]


def _many(container: str, inner: Any) -> str:
    """`list of numbers`; of what is itself made of several kinds, no more than `list`."""
    kinds = branches(inner) if isinstance(inner, dict) and inner else []
    if len(kinds) != 1:
        return container
    nested = {"array": "list", "object": "map"}.get(str(kinds[0].get("type"))) or " or ".join(_words(kinds[0]))
    return f"{container} of " + re.sub(r"\b(number|map|list|text)\b", r"\1s", nested)


def _limits(part: Schema) -> str:
    least, most = part.get("minimum"), part.get("maximum")
    above, below = part.get("exclusiveMinimum"), part.get("exclusiveMaximum")
    if least is not None and most is not None:
        return f", {least} to {most}"
    if above is not None and below is not None:
        return f" between {above} and {below}"
    if least is not None:
        return f" ≥ {least}"
    return f" > {above}" if above is not None else ""
