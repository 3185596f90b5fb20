"""The files that a csv or parquet source names: paths, folders, globs and lists, in one fixed order."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from raytrain.errors import Problem, SpecError
from raytrain.spec.wording import did_you_mean

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_WILD = re.compile(r"[*?\[]")


def find_files(names: str | list[str], folder: Path, *, suffix: str) -> list[Path] | None:
    """The files, in the order given and sorted within a folder or glob; None where this machine cannot know them.

    A URI, or an absolute path that is not on this machine, may still be there for the cluster.

    Args:
        names: a path, folder, glob, or a list of them; relative ones lie within `folder`.
        folder: the spec's folder.
        suffix: of the files that count in a folder, such as `.csv`.

    Raises:
        SpecError: a relative path that is not there or leaves the folder, or a glob that matches nothing.
    """
    found: list[Path] = []
    unknown = False
    if not names:
        raise SpecError(Problem(got="no path", expected="a path, folder, glob, or a list of them"))
    for name in [names] if isinstance(names, str) else names:
        if is_elsewhere(name):
            unknown = True
        else:
            found += _expand(name, folder, suffix)
    return None if unknown else found


def is_elsewhere(name: str) -> bool:
    """Whether only the cluster can tell: a URI, or an absolute path of which this machine has nothing."""
    if _URI.match(name):
        return True
    path = Path(name).expanduser()
    if not path.is_absolute():
        return False
    return not (_glob(path) if _WILD.search(name) else path.exists())


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
    if not Path(name).expanduser().is_absolute() and leaves_folder(name):
        return Problem(
            got=f"{name}, which lies outside the job's folder",
            expected="a path within the folder: only that is uploaded",
            fix="copy it into the folder, or give an absolute path that every node sees",
        )
    path = folder / Path(name).expanduser()
    if path.exists():
        return None
    near = did_you_mean(path.name, [item.name for item in path.parent.iterdir()]) if path.parent.is_dir() else ""
    return Problem(got=f"{name}, which does not exist", expected=f"a file in {folder}", fix=near)


def _expand(name: str, folder: Path, suffix: str) -> list[Path]:
    path = folder / Path(name).expanduser()
    wild = _WILD.search(name) is not None and not path.exists()
    problem = check_inside(_WILD.split(name)[0].rpartition("/")[0] or "." if wild else name, folder)
    if problem:
        raise SpecError(problem)
    if wild:
        files = [file for file in _glob(path) if file.is_file()]
    elif path.is_dir():
        files = sorted(file for file in path.rglob(f"*{suffix}") if file.is_file() and not _hidden(file, path))
    else:
        return [path]
    if not files:
        got = f"{name}, which matches no file" if wild else f"{name}, a folder without {suffix} files"
        raise SpecError(Problem(got=got, expected=f"at least one {suffix} file"))
    return files


def _glob(pattern: Path) -> list[Path]:
    return sorted(Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))))


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith((".", "_")) and "=" not in part for part in file.relative_to(folder).parts)
