"""Loads the user's own functions by `FILE.py:NAME`, and finds the user's own line in a traceback.

Runs in: the driver (data functions) and every Train worker (everything else), in the job's own folder.
"""

from __future__ import annotations

import inspect
import sys
import sysconfig
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from raytrain.errors import Failure, Problem, RaytrainError, UserCodeError
from raytrain.import_file import import_file, is_users_own
from raytrain.spec.python_refs import LIVE_MODEL_FILE
from raytrain.spec.value_types import split_python_ref

_LONGEST = 2000


def load_reference(ref: str, folder: Path) -> Any:
    """What `FILE.py:NAME` names, with `folder` on the path so that the file can import its neighbours.

    Raises:
        UserCodeError: the file or the name is not there. What the file itself raises goes through as it is.
    """
    file, name = split_python_ref(ref)
    module = _load_module(folder / file, folder)
    if not hasattr(module, name):
        offered = [key for key in vars(module) if not key.startswith("_")]
        raise UserCodeError(
            Problem(
                file=file, got=f"no `{name}`", expected=f"one of {', '.join(offered)}", fix=f"define {name} in {file}"
            )
        )
    return getattr(module, name)


def call_reference(ref: str, folder: Path, *args: Any, **kwargs: Any) -> Any:
    """What the user's function `FILE.py:NAME` returns for these arguments.

    Raises:
        UserCodeError: it cannot be loaded, or does not take these arguments.
    """
    function = load_reference(ref, folder)
    check_takes(function, ref, *args, **kwargs)
    return function(*args, **kwargs)


def check_takes(function: Any, ref: str, *args: Any, **kwargs: Any) -> None:
    """Refuses a user's function that cannot be called with these arguments.

    Raises:
        UserCodeError: it is no function, or its parameters do not fit.
    """
    file, name = split_python_ref(ref)
    given = ", ".join([*(type(value).__name__ for value in args), *kwargs])
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        kind = type(function).__name__
        raise UserCodeError(Problem(file=file, got=f"{name}, a {kind}", expected="a function")) from error
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise UserCodeError(
            Problem(
                file=file,
                got=f"{name}{signature}: {error}",
                expected=f"a function that can be called as {name}({given})",
            )
        ) from error


def _load_module(path: Path, folder: Path) -> ModuleType:
    if not path.is_file():
        raise UserCodeError(Problem(file=str(path.relative_to(folder)), got="no such file", expected="a Python file"))
    sys.argv = [str(path)]  # the process' own are none of the user's, whose code may parse what it finds
    return import_file(path, folder)


def describe_failure(error: BaseException, folder: Path, *, rank: int | None = None) -> Failure:
    """An exception as the failure of a run.

    `file` and `line` are those of the innermost frame in the user's folder; `got`, `expected`, `field` and `fix` those
    of a problem of ours.
    """
    problem = error.problems[0] if isinstance(error, UserCodeError) and error.problems else None
    file, line = (problem.file or None, problem.line or None) if problem else (None, None)
    if file is None:
        file, line = _user_frame(error, folder)
    return Failure(
        kind=type(error).__name__,
        message=_message(error),
        got=problem.got if problem else None,
        expected=problem.expected if problem else None,
        field=problem.field if problem else None,
        fix=problem.fix if problem else None,
        internal=file is None and is_own_fault(error),
        rank=rank,
        file=file,
        line=line,
        traceback="".join(traceback.format_exception(error, limit=-20))[-20_000:],
    )


def _message(error: BaseException) -> str:
    if isinstance(error, UserCodeError) and error.problems:
        return "; ".join(f"got {item.got}, expected {item.expected}" for item in error.problems)
    text = _exit_in_words(error) if isinstance(error, SystemExit) else str(error).strip() or type(error).__name__
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2  # Keras names what it was at first, and the cause last
    return f"{text[:half]} … {text[-half:]}"


def _exit_in_words(error: SystemExit) -> str:
    code = error.code
    if isinstance(code, str):  # which Python prints, and ends with 1
        return f"the code ended the process (exit code 1): {code}"
    return f"the code ended the process (exit code {code or 0})"


def is_own_fault(error: BaseException) -> bool:
    """Whether an exception that no user's line stands behind comes from raytrain itself rather than from Keras."""
    frames = traceback.extract_tb(error.__traceback__)
    package = Path(__file__).parent
    return bool(frames) and Path(frames[-1].filename).is_relative_to(package) and not isinstance(error, RaytrainError)


def _user_frame(error: BaseException, folder: Path) -> tuple[str | None, int | None]:
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_relative_to(folder):
        return str(Path(error.filename).relative_to(folder)), error.lineno
    found: tuple[str | None, int | None] = (None, None)
    is_live = (folder / LIVE_MODEL_FILE).is_file()
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if is_live and _has_travelled(path, folder):
            found = frame.filename, frame.lineno
        elif not is_live and is_users_own(path, folder):
            found = str(path.relative_to(folder)), frame.lineno
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if found == (None, None) and earlier is not None:
        return _user_frame(earlier, folder)
    return found


def _has_travelled(path: Path, folder: Path) -> bool:
    """Whether code came here by its source, from a notebook or a script: no package's, nor of the job's folder."""
    of_python = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    here = (Path(__file__).parent, folder, *of_python)
    return not str(path).startswith("<") and not any(path.is_relative_to(place) for place in here)
