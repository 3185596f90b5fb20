"""The files that a source names, on this machine's disks or in an object store, with the file system that opens them.

Runs in: the driver.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
from pyarrow import fs

from raytrain.data.sources.partitions import typed_partitions
from raytrain.errors import Problem, SpecError, UserCodeError
from raytrain.file_systems import is_uri, open_filesystem, share_filesystem, uri_of
from raytrain.spec.file_errors import reason_of
from raytrain.spec.peek.named_files import (
    FILE_NAMES,
    find_files,
    glob_parts,
    is_hidden,
    is_wild,
    match_glob,
    named_twice,
    shown_path,
    walk_files,
)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Files in order.

    Attributes:
        filesystem: opens them, in this process and in others.
        paths: as the file system knows them.
        sizes: bytes of each, compressed as they are.
        names: the files as a user names them: paths, or URIs.
        partitions: for each file, the values of the folders `column=value` above it, typed.
        notices: what the user should know of those columns, in words.
    """

    filesystem: Any
    paths: tuple[str, ...]
    sizes: tuple[int, ...]
    names: tuple[str, ...]
    partitions: tuple[dict[str, pa.Scalar], ...]
    notices: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        return sum(self.sizes)

    def select(self, names: Sequence[str]) -> Listing:
        """These of the files, in this order."""
        positions = {name: position for position, name in enumerate(self.names)}
        return self.take([positions[name] for name in names])

    def take(self, positions: Sequence[int]) -> Listing:
        return Listing(
            filesystem=self.filesystem,
            paths=tuple(self.paths[position] for position in positions),
            sizes=tuple(self.sizes[position] for position in positions),
            names=tuple(self.names[position] for position in positions),
            partitions=tuple(self.partitions[position] for position in positions),
            notices=self.notices,
        )


@dataclass(frozen=True, kw_only=True)
class Size:
    """What metadata tells of files: the rows of each, where it does, and their bytes in memory, estimated."""

    rows: tuple[int, ...] | None
    bytes: int


def list_files(names: str | Sequence[str], folder: Path, *, kind: str, field: str, repeats: bool = False) -> Listing:
    """The files that `names` stand for: paths, folders and globs, of one file system.

    Args:
        names: a name or several; relative ones lie within `folder`.
        folder: the job's own folder.
        kind: of the source, one of `raytrain.spec.peek.named_files.FILE_NAMES`.
        field: where the source stands in the spec, for error messages.
        repeats: whether a file may be named twice.

    Raises:
        UserCodeError: a file is missing or named twice, or its file system cannot be reached.
    """
    given = [names] if isinstance(names, str) else list(names)
    remote = [is_uri(name) for name in given]
    if any(remote) and not all(remote):
        both = f"{given[remote.index(True)]} beside {given[remote.index(False)]}"
        raise UserCodeError(Problem(field=field, got=both, expected="files of one file system"))
    if any(remote):
        listing = _remote(given, kind, field)
        if not repeats and (problem := named_twice(listing.names)):
            raise UserCodeError(replace(problem, field=field))
        return listing
    try:
        found = find_files(given, folder, kind=kind, repeats=repeats)
    except SpecError as error:
        raise UserCodeError(*(replace(problem, field=field) for problem in error.problems)) from error
    if found is None:
        missing = next(name for name in given if find_files(name, folder, kind=kind) is None)
        got = f"{missing}, which {'matches no file' if is_wild(missing) else 'does not exist'} on the cluster"
        raise UserCodeError(Problem(field=field, got=got, expected="a path that every node sees"))
    paths = [str(path) for path in found]
    partitions, notices = typed_partitions([shown_path(path, folder) for path in found])
    return Listing(
        filesystem=fs.LocalFileSystem(),
        paths=tuple(paths),
        sizes=tuple(path.stat().st_size for path in found),
        names=tuple(paths),
        partitions=partitions,
        notices=notices,
    )


def full_path(name: str, folder: Path) -> str:
    """A path within the job's folder in full; a URI as it is."""
    return name if is_uri(name) else str(folder / Path(name).expanduser())


def _remote(uris: list[str], kind: str, field: str) -> Listing:
    first = uris[0]
    try:
        if (other := next((uri for uri in uris if not share_filesystem(first, uri)), None)) is not None:
            raise UserCodeError(
                Problem(field=field, got=f"{other} beside {first}", expected="files of one file system")
            )
        filesystem = open_filesystem(first)[0]
        files: list[fs.FileInfo] = []
        names: list[str] = []
        for uri in uris:
            path = open_filesystem(uri)[1]
            found = _expand(filesystem, path.rstrip("/"), kind)
            if not found:
                got = f"{uri}, {_missing(filesystem, path, kind)}"
                raise UserCodeError(Problem(field=field, got=got, expected=f"at least one {kind} file"))
            files += found
            names += [uri_of(info.path, uri) for info in found]
    except (OSError, pa.ArrowException, ValueError) as error:
        got = f"{first}, which cannot be reached: {reason_of(error)}"
        fix = "give the cluster its credentials and endpoint in environment.env_vars"
        raise UserCodeError(
            Problem(field=field, got=got, expected="a URI that the cluster can read", fix=fix)
        ) from error
    partitions, notices = typed_partitions([info.path for info in files])
    return Listing(
        filesystem=filesystem,
        paths=tuple(info.path for info in files),
        sizes=tuple(info.size or 0 for info in files),
        names=tuple(names),
        partitions=partitions,
        notices=notices,
    )


def _expand(filesystem: Any, path: str, kind: str) -> list[Any]:
    """The files of a path, folder or glob of a file system, sorted; none where nothing is there."""
    if is_wild(path):
        root = "".join(takewhile(lambda part: not is_wild(part), re.findall(r"[^/]*/", path)))
        root = root.rstrip("/") or root[:1]
        pattern = glob_parts(path.removeprefix(root))
        below = len(PurePosixPath(root).parts)
        return [info for info in _walk(filesystem, root) if match_glob(PurePosixPath(info.path).parts[below:], pattern)]
    info = filesystem.get_file_info(path)
    if info.type == fs.FileType.File:
        return [info]
    if info.type == fs.FileType.NotFound:
        return []
    belongs = FILE_NAMES[kind].search
    return [file for file in _walk(filesystem, path) if belongs(file.base_name)]


def _walk(filesystem: Any, root: str) -> list[Any]:
    if isinstance(filesystem, fs.LocalFileSystem):  # a URI `file://`, whose links end where those of a path do
        walked = walk_files(Path(root), lambda parts: not is_hidden(parts)) if Path(root).is_dir() else ()
        wanted: Any = [str(Path(root, *parts)) for parts in walked]
    else:
        wanted = fs.FileSelector(root, recursive=True, allow_not_found=True)
    found = [info for info in filesystem.get_file_info(wanted) if info.type == fs.FileType.File]
    below = len(PurePosixPath(root).parts)
    return sorted(
        (info for info in found if not is_hidden(PurePosixPath(info.path).parts[below:])), key=lambda info: info.path
    )


def _missing(filesystem: Any, path: str, kind: str) -> str:
    if is_wild(path):
        return "which matches no file"
    exists = filesystem.get_file_info(path.rstrip("/")).type != fs.FileType.NotFound
    return f"a folder without {kind} files" if exists else "which does not exist"
