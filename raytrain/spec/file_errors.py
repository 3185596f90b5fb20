"""What goes wrong while a user's file is looked up or read, as a problem that names it.

Only that belongs within: whatever else raises one of these errors is a bug of raytrain's and has to look like one.
"""

from __future__ import annotations

import contextlib
import csv
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from raytrain.errors import Problem, SpecError

# What the readers of text, gzip, zip, csv, JSON and numpy's headers raise on a damaged file.
_DAMAGED: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    RuntimeError,
    SyntaxError,
    csv.Error,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
_LONGEST = 60


def local_path(name: str) -> Path:
    """A path as a user writes it, with `~` for the home.

    Raises:
        SpecError: there is no such home, or no path can have this name.
    """
    if "\0" in name:
        raise SpecError(Problem(got=f"{_short(repr(name))}, which holds the character U+0000", expected="a path"))
    try:
        return Path(name).expanduser()
    except RuntimeError:
        fix = "write the folder out"
        got = f"{_short(name)}, the home of a user who is not known here"
        raise SpecError(Problem(got=got, expected="a path, or ~/ for your own home", fix=fix)) from None


@contextlib.contextmanager
def looking_up(name: str) -> Iterator[None]:
    """Around the search for what a user named.

    Raises:
        SpecError: the file system refuses: too long a name, or a folder that may not be read.
    """
    try:
        yield
    except OSError as error:
        at = f" at {error.filename}" if error.filename and len(str(error.filename)) <= 2 * _LONGEST else ""
        got = f"{_short(name)}, which cannot be looked up ({error.strerror or error}{at})"
        raise SpecError(Problem(got=got, expected="a path that you may read")) from None


@contextlib.contextmanager
def reading(shown: str, expected: str, *more: type[Exception]) -> Iterator[None]:
    """Around the reading of a user's file.

    Args:
        shown: the file as the user named it.
        expected: what the file should be.
        more: errors of the reader's own.

    Raises:
        SpecError: the file is damaged, or may not be read.
    """
    try:
        yield
    except (*_DAMAGED, *more) as error:
        got = "no such file" if isinstance(error, FileNotFoundError) else reason_of(error)
        raise SpecError(Problem(got=got, expected=expected, file=shown)) from None


def reason_of(error: BaseException) -> str:
    """One line of what a library's error says in many: its first, or the error's kind where it has no text."""
    lines = str(error).strip().splitlines()
    return lines[0].partition(". Please ")[0] if lines else type(error).__name__


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
