"""The files that a source names: paths, folders, globs and lists, in one fixed order."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import unquote

from raytrain.errors import Problem, SpecError
from raytrain.file_systems import is_uri
from raytrain.spec.file_errors import local_path, looking_up
from raytrain.spec.suggest import did_you_mean

# The names that lead from a folder to a file below it.
Parts = tuple[str, ...]

_WILD = re.compile(r"[*?\[]")

# The files of a folder that belong to a source of each kind; a file that is named itself may be called anything.
FILE_NAMES = {
    "csv": re.compile(r"\.[ct]sv(\.gz)?$", re.IGNORECASE),
    "parquet": re.compile(r"\.(parquet|pq)$", re.IGNORECASE),
    "json": re.compile(r"\.(jsonl?|ndjson)(\.gz)?$", re.IGNORECASE),
    "numpy": re.compile(r"\.np[yz]$", re.IGNORECASE),
    "images": re.compile(r"\.(png|jpe?g|bmp|gif|tiff?|webp)$", re.IGNORECASE),
    "tfrecords": re.compile(r"\.tfrecords?(-\d+-of-\d+)?(\.gz)?$", re.IGNORECASE),
    "text": re.compile(r"\.txt(\.gz)?$", re.IGNORECASE),
}
PACKED = ("csv", "json", "tfrecords", "text")  # the kinds whose files may be of gzip


def find_files(names: str | list[str], folder: Path, *, kind: str, repeats: bool = False) -> list[Path] | None:
    """The files, in the order given and sorted within a folder or glob; None where this machine cannot know them.

    A URI, or an absolute path that is not on this machine, may still be there for the cluster.

    Args:
        names: a path, folder, glob, or a list of them; relative ones lie within `folder`.
        folder: the spec's folder.
        kind: of the source, one of `FILE_NAMES`, which says what counts in a folder.
        repeats: whether a file may be named twice.

    Raises:
        SpecError: a relative path that is not there or leaves the folder, a glob that matches nothing, a name that
            cannot be looked up, or a file that is named twice.
    """
    found: list[Path] = []
    unknown = False
    if not names:
        raise SpecError(Problem(got="no path", expected="a path, folder, glob, or a list of them"))
    for name in [names] if isinstance(names, str) else names:
        with looking_up(name):
            if is_elsewhere(name):
                unknown = True
            else:
                found += _expand(name, folder, kind)
    if unknown:
        return None
    problem = None if repeats else named_twice([shown_path(file, folder) for file in found])
    if problem is not None:
        raise SpecError(problem)
    return found


def named_twice(files: Sequence[str]) -> Problem | None:
    """The problem with a file that is named twice, as by a glob and its own name: its rows would count double."""
    seen: set[str] = set()
    for file in files:
        if (name := os.path.normpath(file)) in seen:
            fix = "name it once; data.weight makes rows count for more"
            return Problem(got=f"{file} twice", expected="each file once", fix=fix)
        seen.add(name)
    return None


def is_elsewhere(name: str) -> bool:
    """Whether only the cluster can tell: a URI, or an absolute path of which this machine has nothing."""
    if is_uri(name):
        return True
    path = local_path(name)
    if not path.is_absolute():
        return False
    return not (os.path.exists(path) or (is_wild(name) and _glob(path, Path())))


def is_wild(name: str) -> bool:
    """Whether a name is a glob."""
    return _WILD.search(name) is not None


def is_hidden(parts: Sequence[str]) -> bool:
    """Whether a file of a folder or glob is left out: a name on its way begins with a dot or an underscore."""
    return any(part.startswith((".", "_")) and "=" not in part for part in parts)


def walk_files(root: Path, enters: Callable[[Parts], bool]) -> Iterator[Parts]:
    """The files below a folder, in no order, each as the names that lead to it.

    Links are followed, as the upload follows them: but for one to a folder on the way to it, which has no end.

    Args:
        enters: whether to look into a folder, of which it is given the names that lead to it.
    """
    start = root.absolute()
    yield from _walk(root, (), frozenset(os.path.realpath(folder) for folder in (start, *start.parents)), enters)


def kind_of_entry(entry: os.DirEntry[str]) -> Literal["folder", "file", ""]:
    """What an entry of a folder is, or leads to as a link; nothing where that is neither.

    Raises:
        OSError: a link to where this user may not look.
    """
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else ""
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link to itself leads nowhere, as one to a file that is gone
            return ""
        raise


def glob_parts(pattern: str) -> Parts:
    """The names of a glob, for `match_glob`.

    Raises:
        SpecError: `**` beside other characters, which would be no more than `*`.
    """
    parts = tuple(part for part in pattern.split("/") if part)
    strange = next((part for part in parts if "**" in part and part != "**"), None)
    if strange is not None:
        folders = f"**/{re.sub(r'[*]+', '*', strange)}"
        fix = f"`{folders}` looks into all folders, `{folders[3:]}` into one"
        raise SpecError(
            Problem(got=f"`{strange}` in {pattern}", expected="`**` as the whole name of a folder", fix=fix)
        )
    return parts


def match_glob(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path, name by name, is one that a glob stands for; `**` is any number of folders, as in Python's."""
    if not pattern:
        return not parts
    if pattern[0] != "**":
        return bool(parts) and fnmatchcase(parts[0], pattern[0]) and match_glob(parts[1:], pattern[1:])
    if len(pattern) == 1:
        return bool(parts)
    if pattern[1] == "**":
        return match_glob(parts, pattern[1:])
    return any(match_glob(parts[start:], pattern[1:]) for start in range(len(parts)))


def partitions_of(file: str) -> dict[str, str]:
    """The folders `column=value` on a file's path (Hive partitions), which are columns too."""
    named = [unquote(part).partition("=") for part in PurePosixPath(file).parts[:-1] if "=" in part]
    return {name: value for name, _, value in named if name}


def shown_path(file: Path, folder: Path) -> str:
    """A file as the user names it: within the folder, relative to it."""
    return str(file.relative_to(folder)) if file.is_relative_to(folder) else str(file)


def leaves_folder(name: str) -> bool:
    """Whether a relative path climbs out of the spec's folder, which alone is uploaded."""
    depth = 0
    for part in PurePosixPath(name).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False


def check_inside(name: str, folder: Path) -> Problem | None:
    """The problem with a path that must be a file or folder of the upload; None when it is fine."""
    try:
        with looking_up(name):
            return _misplaced(name, folder)
    except SpecError as error:
        return error.problems[0]


def _misplaced(name: str, folder: Path) -> Problem | None:
    path = local_path(name)
    if not path.is_absolute() and leaves_folder(name):
        return Problem(
            got=f"{name}, which lies outside the job's folder",
            expected="a path within the folder: only that is uploaded",
            fix="copy it into the folder, or give an absolute path that every node sees",
        )
    path = folder / path
    if path.exists():
        return None
    near = did_you_mean(path.name, [item.name for item in path.parent.iterdir()]) if path.parent.is_dir() else ""
    return Problem(got=f"{name}, which does not exist", expected=f"a file in {folder}", fix=near)


def _expand(name: str, folder: Path, kind: str) -> list[Path]:
    path = folder / local_path(name)
    wild = is_wild(name) and not path.exists()
    problem = check_inside(_WILD.split(name)[0].rpartition("/")[0] or "." if wild else name, folder)
    if problem:
        raise SpecError(problem)
    if wild:
        files = _glob(local_path(name), folder)
    elif path.is_dir():
        belongs = FILE_NAMES[kind].search
        found = walk_files(path, lambda parts: not is_hidden(parts))
        files = sorted(path.joinpath(*parts) for parts in found if belongs(parts[-1]) and not is_hidden(parts))
    else:
        return [path]
    if not files:
        got = f"{name}, which matches no file" if wild else f"{name}, a folder without {kind} files"
        raise SpecError(Problem(got=got, expected=f"at least one {kind} file"))
    return files


def _glob(pattern: Path, folder: Path) -> list[Path]:
    """The files of a pattern, relative to `folder` or absolute; hidden names only where it spells them out."""
    plain = list(takewhile(lambda part: not is_wild(part), pattern.parts))
    root, wild = folder.joinpath(*plain), glob_parts("/".join(pattern.parts[len(plain) :]))
    if not root.is_dir():
        return []
    found = walk_files(root, lambda parts: not is_hidden(parts) and _leads_on(parts, wild))
    return sorted(root.joinpath(*parts) for parts in found if not is_hidden(parts) and match_glob(parts, wild))


def _leads_on(parts: Parts, pattern: Sequence[str]) -> bool:
    """Whether a folder may hold what a glob stands for."""
    fixed = list(takewhile(lambda part: part != "**", pattern))
    deep_enough = len(fixed) < len(pattern) or len(parts) < len(pattern)
    return deep_enough and all(map(fnmatchcase, parts, fixed))


def _walk(folder: Path, parts: Parts, above: frozenset[str], enters: Callable[[Parts], bool]) -> Iterator[Parts]:
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        below, kind = (*parts, entry.name), kind_of_entry(entry)
        if kind == "file":
            yield below
        elif kind == "folder" and enters(below) and (real := os.path.realpath(entry.path)) not in above:
            yield from _walk(Path(entry.path), below, above | {real}, enters)
