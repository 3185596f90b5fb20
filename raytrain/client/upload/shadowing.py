"""Files of a job that would be imported in place of Python's own modules or of what raytrain stands on.

The job's folder comes first on the driver's path, so that `random.py` there is everybody's `random`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from raytrain.errors import Problem

_STOOD_ON = {
    "keras",
    "numpy",
    "pandas",
    "pyarrow",
    "pydantic",
    "ray",
    "raytrain",
    "sklearn",
    "tensorflow",
    "typer",
    "yaml",
}
# Python's own, but nothing that runs on a cluster imports them.
_HARMLESS = {
    "antigravity",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "test",
    "this",
    "tkinter",
    "turtle",
    "turtledemo",
    "venv",
}
_TAKEN = (sys.stdlib_module_names | _STOOD_ON) - _HARMLESS


def shadowing(paths: Iterable[str]) -> list[Problem]:
    """A problem for each module or package at the top of the job's folder whose name is taken.

    Args:
        paths: of the files that are uploaded, relative to the job's folder.
    """
    modules = {path: path.removesuffix("/__init__.py").removesuffix(".py") for path in paths if path.endswith(".py")}
    return [
        Problem(
            got=f"{path}, which would be imported as `{name}` in place of {_owner(name)}",
            expected="a name that nothing else has",
            fix="rename it",
        )
        for path, name in modules.items()
        if name in _TAKEN
    ]


def _owner(name: str) -> str:
    return f"the package {name}" if name in _STOOD_ON else "Python's own module"
