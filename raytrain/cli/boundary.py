"""The one place that catches: turns what a verb raised into one panel and the exit code of the contract.

A verb returns its `ExitCode` (None stands for OK) or raises. Usage errors found by Typer pass through: it shows them
itself and exits with 2.
"""

from __future__ import annotations

import errno
import functools
import os
import sys
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import typer

from raytrain import __version__
from raytrain.cli.output import Output
from raytrain.errors import ExitCode, Problem, RaytrainError

# What a shell reports for a program that SIGPIPE ended, as `raytrain list | head -1` may end this one.
_BROKEN_PIPE = 128 + 13
_FULL = (errno.ENOSPC, errno.EDQUOT)


def guard(verb: Callable[..., ExitCode | None]) -> Callable[..., None]:
    """`verb`, whose exceptions become a panel (JSON where the verb was asked for JSON) and an exit code."""

    @functools.wraps(verb)
    def guarded(*args: Any, **options: Any) -> None:
        out = Output(json=bool(options.get("json")) or options.get("output") == "json")
        raise typer.Exit(_run(functools.partial(verb, *args, **options), out))

    return guarded


def _run(verb: Callable[[], ExitCode | None], out: Output) -> int:
    try:
        return verb() or ExitCode.OK
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except RaytrainError as error:
        show_error(error, out)
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        _close_stdout_quietly()
        return _BROKEN_PIPE
    except Exception as error:  # noqa: BLE001  the boundary: whatever comes here was not foreseen
        show_unforeseen(error, out)
        return ExitCode.BUG


def show_error(error: RaytrainError, out: Output) -> None:
    """One panel, or one JSON object, on stderr; never a traceback unless RAYTRAIN_DEBUG asks for it."""
    from raytrain.client.display.failure_lines import error_lines, error_object

    if _debugging():
        out.warn("".join(traceback.format_exception(error)))
    if out.json:
        kind = type(error).__name__
        out.error_json(error_object(kind, error.title, str(error), error.exit_code, error.problems))
    else:
        out.panel(error.title, error_lines(error))


def show_unforeseen(error: Exception, out: Output) -> None:
    """A disk that is full is no fault of ours; anything else is a bug."""
    if isinstance(error, OSError) and error.errno in _FULL:
        got = os.strerror(error.errno) + (f" for {error.filename}" if error.filename else "")
        expected = "room for what this command prints and keeps"
        show_error(RaytrainError(Problem(got=got, expected=expected, fix="make room, or print elsewhere")), out)
    else:
        show_bug(error, out)


def show_bug(bug: Exception, out: Output) -> None:
    """Says that this is a bug of ours, and where its traceback stands."""
    text = "".join(traceback.format_exception(bug))
    if _debugging():
        out.warn(text)
    message = f"{type(bug).__name__}: {bug}"
    where = _keep_traceback(text)
    kept = f"the traceback is in {where}" if where else "RAYTRAIN_DEBUG=1 shows the traceback"
    title = "This is a bug in raytrain"
    if out.json:
        error = {"kind": "bug", "title": title, "message": message, "exit_code": int(ExitCode.BUG), "problems": []}
        out.error_json({"error": error | {"traceback_file": str(where) if where else None}})
    else:
        out.panel(title, [message, "", kept, "please report it with that file" if where else "please report it"])


def _keep_traceback(text: str) -> Path | None:
    """Writes the traceback into the state directory; None where that cannot be written."""
    from raytrain.files import state_dir

    now = datetime.now()
    head = f"raytrain {__version__}, Python {sys.version.split()[0]}, {now:%Y-%m-%d %H:%M:%S}\n\n"
    path = state_dir() / f"crash-{now:%Y%m%d-%H%M%S}-{os.getpid()}.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(head + text)
    except OSError:
        return None
    return path


def _debugging() -> bool:
    return os.environ.get("RAYTRAIN_DEBUG", "") not in ("", "0")


def _close_stdout_quietly() -> None:
    """Keeps Python from complaining at exit that it cannot flush into the broken pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
