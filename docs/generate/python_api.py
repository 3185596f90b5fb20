"""The reference of `import raytrain`, from the docstrings: what each name is, takes, returns and raises."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from typing import Any

import griffe

import raytrain
from docs.generate.markdown import code

_FUNCTIONS = (
    "submit",
    "fast_dev_run",
    "fit",
    "plan",
    "validate",
    "check",
    "get",
    "runs",
    "compare",
    "ui",
    "monitor",
    "doctor",
    "context",
    "up",
    "down",
)
_CLASSES = ("Run", "JobSpec")


def reference() -> str:
    """All names, each under a heading of its own."""
    logging.getLogger("griffe").setLevel(logging.ERROR)  # of parameters that a line documents together
    parts = [_entry(f"raytrain.{name}", getattr(raytrain, name)) for name in (*_FUNCTIONS, *_CLASSES)]
    named = {name: value for kind in raytrain.Run.__mro__ for name, value in vars(kind).items()}
    for name, value in named.items():
        if not name.startswith("_") and inspect.isfunction(value):
            parts.append(_entry(f"run.{name}", value))
    return "\n".join(parts)


def error_list() -> str:
    """The tree of the errors, as their module draws it."""
    module = inspect.getmodule(raytrain.RaytrainError)
    tree = [line[4:] for line in (inspect.getdoc(module) or "").splitlines() if line.startswith("    ")]
    return "\n".join(["```text", *tree, "```\n"])


def _entry(name: str, thing: Any) -> str:
    sections = griffe.Docstring(inspect.getdoc(thing) or "").parse("google")
    body = "\n".join(filter(None, (_section(section) for section in sections)))
    return f"### {name}\n\n{_signature(name, thing)}\n{body}"


def _signature(name: str, thing: Any) -> str:
    """The call as it is written, in as many lines as it takes."""
    if inspect.isclass(thing) and name != "raytrain.JobSpec":
        return ""
    known = [item for item in inspect.signature(thing).parameters.values() if item.name != "self"]
    by_name = [item.kind is item.KEYWORD_ONLY for item in known]
    parameters = [_parameter(item) for item in known]
    if any(by_name):
        parameters.insert(by_name.index(True), "*")
    line = f"{name}({', '.join(parameters)})"
    if len(line) > 100:
        line = "\n".join([f"{name}(", *(f"    {item}," for item in parameters), ")"])
    return f"```text\n{line}\n```\n"


def _parameter(item: inspect.Parameter) -> str:
    if item.kind is item.VAR_KEYWORD:
        return f"**{item.name}"
    return item.name if item.default is item.empty else f"{item.name}={_value(item.default)}"


def _value(default: object) -> str:
    return f'"{default}"' if isinstance(default, str) else repr(default)


def _section(section: Any) -> str:
    match section.kind.value:
        case "text":
            return f"{section.value}\n"
        case "parameters" | "attributes" | "raises" | "returns":
            title = {"parameters": "Takes", "attributes": "Has", "raises": "Raises", "returns": "Returns"}
            return "\n".join([f"{title[section.kind.value]}:\n", *_items(section), ""])
        case "examples":
            return "\n".join(f"```pycon\n{text}\n```\n" for _, text in section.value)
        case "admonition":
            return f"```pycon\n{section.value.description}\n```\n"
    return ""


def _items(section: Any) -> Iterator[str]:
    for item in section.value:
        text = " ".join(item.description.split())
        name = getattr(item, "name", "") or (str(item.annotation) if section.kind.value == "raises" else "")
        if section.kind.value == "returns":
            name = ""
        yield f"- {code(name)}: {text}" if name else f"- {text}"
