"""What stopped a process of a check, with the user's line and the word that is misspelt where Keras tells neither.

Runs in: every process of a check. Imports Keras only where the user's code has.
"""

from __future__ import annotations

import ast
import difflib
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from raytrain.errors import Failure, SpecError, UserCodeError
from raytrain.user_code import describe_failure
from raytrain.worker.working_directory import PREFIX

# `Could not interpret metric identifier: acuracy`, `Could not interpret optimizer identifier: adamm` …
_IDENTIFIER = re.compile(r"(?:interpret|Unknown) (\w+)[^:]*:\s*['\"]?([\w.]+)")
_MODULES = {
    "loss": "losses",
    "metric": "metrics",
    "optimizer": "optimizers",
    "activation": "activations",
    "initializer": "initializers",
    "regularizer": "regularizers",
    "constraint": "constraints",
}
_ALSO = {"metric": ("accuracy",)}  # which `compile` takes, and stands for one of several classes


def explained(error: BaseException, folder: Path, *, rank: int | None = None) -> Failure:
    """As `describe_failure` has it.

    Args:
        folder: the job's.
    """
    if isinstance(error, SpecError) and error.problems:
        error = UserCodeError(*error.problems)
    failure = describe_failure(error, folder, rank=rank)
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType) and error.name:
        return replace(failure, fix=_near(error.name, dir(error.obj)))
    if found := _IDENTIFIER.search(failure.message):
        kind, name = found.groups()
        offered = [*dir(getattr(sys.modules.get("keras"), _MODULES.get(kind.lower(), ""), None)), *_ALSO.get(kind, ())]
        place = next(_literals(name, folder), None) if failure.file is None else None
        file, line = place or (failure.file, failure.line)
        return replace(failure, file=file, line=line, fix=_near(name, offered), internal=False)
    return failure


def _near(name: str, offered: list[str]) -> str:
    spelt = {each.lower(): each for each in offered if not each.startswith("_")}
    near = difflib.get_close_matches(name.lower(), spelt, n=1, cutoff=0.5)
    return f"did you mean `{spelt[near[0]]}`?" if near else ""


def _literals(text: str, folder: Path) -> Iterator[tuple[str, int]]:
    """Where the user's files have this very text between quotes."""
    own = (file for file in folder.rglob("*.py") if not file.relative_to(folder).parts[0].startswith(PREFIX))
    for file in sorted(own):
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (OSError, SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and node.value == text:
                yield str(file.relative_to(folder)), node.lineno
