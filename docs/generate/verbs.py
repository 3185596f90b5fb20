"""The verbs of the command line as Typer knows them: what each does, and its arguments and options."""

from __future__ import annotations

import inspect
from enum import Enum
from typing import Any

from docs.generate.markdown import code, table
from raytrain.cli.main import VERBS, load_verb


def verb_table() -> str:
    return table(["verb", "what it does"], ([f"[`{verb}`](#{verb})", line] for verb, line in VERBS.items()))


def verb_sections() -> str:
    return "\n".join(section(verb) for verb in VERBS)


def section(verb: str) -> str:
    """A verb's usage, its docstring, and a row for each argument and option."""
    command = load_verb(verb)
    arguments = [part for part in command.params if part.param_type_name == "argument"]
    options = [part for part in command.params if part.param_type_name == "option"]
    needed = [_names(option) for option in options if option.required]
    usage = " ".join(["raytrain", verb, *map(_usage, arguments), *needed])
    rows = [[code(_metavar(part)), "", part.help] for part in arguments]
    rows += [[code(_names(part)), code(_default(part)), _about(part)] for part in options]
    text = inspect.cleandoc(command.help)
    return f"### {verb}\n\n{code(usage)}\n\n{text}\n\n{table(['option', 'default', 'what it does'], rows)}"


def _metavar(argument: Any) -> str:
    return str(argument.metavar).strip("[]")


def _usage(argument: Any) -> str:
    return _metavar(argument) if argument.required else f"[{_metavar(argument)}]"


def _names(option: Any) -> str:
    """`--storage DIR`, `--output, -o FORMAT`, `--wait/--no-wait`, `--json`."""
    names = ", ".join(option.opts)
    if option.is_flag:
        return "/".join([names, *option.secondary_opts])
    return f"{names} {type(option.default).__name__.upper() if _has_choices(option) else option.metavar}"


def _default(option: Any) -> str:
    if option.is_flag:
        return option.opts[0] if option.secondary_opts else ""
    return "" if option.default is None else str(option.default)


def _about(option: Any) -> str:
    choices = [code(str(choice.value)) for choice in type(option.default)] if _has_choices(option) else []
    return f"{option.help.rstrip('.')}: {' or '.join(choices)}." if choices else str(option.help)


def _has_choices(option: Any) -> bool:
    return isinstance(option.default, Enum)
