"""What the spec names by path always travels, or is refused by name: here, before anything is sent.

An absolute path names no part of the upload: the cluster looks for it where it is. A saved model that the job starts
from is sent beside the folder, whatever is left out of that.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from raytrain.errors import Problem, SpecError
from raytrain.spec.exclude import ALWAYS, Excludes, exclude_patterns, pattern_of
from raytrain.spec.file_errors import local_path, looking_up
from raytrain.spec.job import JobSpec
from raytrain.spec.line_numbers import LineNumbers, Loc, dotted
from raytrain.spec.peek.named_files import FILE_NAMES, find_files, leaves_folder, walk_files
from raytrain.spec.python_refs import python_refs
from raytrain.spec.source_kinds import Source
from raytrain.spec.value_types import split_python_ref

_EXCLUDE: Loc = ("environment", "exclude")
# How an entry of `environment.pip` names a file of the upload: Ray sets the variable while it installs.
_IN_UPLOAD = re.compile(r"\$\{RAY_RUNTIME_ENV_CREATE_WORKING_DIR\}/([^\s;#]+)")
# Kinds of name of which, where it is a folder's, the files within may be left out.
_FOLDER_ALONE = ("image folder", "pip")


def left_behind(spec: JobSpec, folder: Path, lines: LineNumbers) -> list[Problem]:
    """A problem for each name of which something would stay behind, and for patterns that cannot be read."""
    try:
        excludes = Excludes(exclude_patterns(spec, folder))
    except SpecError as error:
        file, line = lines.of(_EXCLUDE)
        return [replace(problem, file=file, line=line) for problem in error.problems]
    problems: dict[str, Problem] = {}
    for loc, name, kind in _named(spec):
        left = [path for path in _paths(name, folder, kind) if excludes.left_out(path)]
        if left and name not in problems:
            problems[name] = _problem(loc, left, excludes, spec, lines)
    return list(problems.values())


def _named(spec: JobSpec) -> Iterator[tuple[Loc, str, str]]:
    """Everything that the spec names by path: its field, the name, and the kind of file."""
    for loc, ref, _ in python_refs(spec):
        yield loc, split_python_ref(ref)[0], "python"
    for part in ("train", "validation", "test"):
        source = getattr(spec.data, part)
        if isinstance(source, Source):
            for loc, names, kind in _named_by(source):
                for name in [names] if isinstance(names, str) else names:
                    yield ("data", part, *loc), name, kind
    for index, requirement in enumerate(spec.environment.pip):
        yield from ((("environment", "pip", index), name, "pip") for name in _IN_UPLOAD.findall(requirement))


def _named_by(source: Source) -> Iterator[tuple[Loc, str | list[str], str]]:
    kind, details = source.kind, source.details
    if source.images is not None and details.table is not None:
        table = details.table
        yield (kind, "table", table.kind), Source.model_validate({table.kind: table.value}).paths, table.kind
        yield (kind, "folder"), details.folder, "image folder"
    elif source.huggingface is not None:
        yield (kind,), details.path, kind
        yield (kind, "data_files"), details.data_files or [], kind
    elif kind in ("images", "delta", "lance"):
        yield (kind,), details.path, kind
    elif isinstance(source.numpy, dict):
        yield from (((kind, column), file, kind) for column, file in source.numpy.items())
    elif kind in FILE_NAMES:
        yield (kind,), source.paths, kind


def _paths(name: str, folder: Path, kind: str) -> list[str]:
    """The files that a name stands for, or the folder where that alone is meant; none of what is not in the upload."""
    with contextlib.suppress(SpecError), looking_up(name):  # who checks the name itself tells what is wrong with it
        if local_path(name).is_absolute() or leaves_folder(name):
            return []
        path = folder / name
        if kind in FILE_NAMES or not path.is_dir():
            found = find_files(name, folder, kind=kind) or []
        elif kind in _FOLDER_ALONE:
            return [] if path == folder else [f"{_relative(path, folder)}/"]
        else:
            walked = sorted(walk_files(path, lambda _: True))
            found = [path.joinpath(*parts) for parts in walked if not {*ALWAYS}.intersection(parts)]
        return [_relative(file, folder) for file in found]
    return []


def _relative(path: Path, folder: Path) -> str:
    return os.path.normpath(path.relative_to(folder))


def _problem(loc: Loc, left: list[str], excludes: Excludes, spec: JobSpec, lines: LineNumbers) -> Problem:
    path, patterns = left[0], spec.environment.exclude
    at_fault = excludes.left_out(path)
    pattern = excludes.pattern_against(at_fault)
    files = f"{path} and {len(left) - 1} more" if len(left) > 1 else path
    field = line_of = loc
    if pattern in ALWAYS:
        why, fix = f"lies in {pattern} and stays behind", "move it to a folder of another name"
    elif pattern not in patterns:
        why, fix = f"lies in {at_fault} with the runs and stays behind", "set storage to another folder"
    else:
        field, line_of = _EXCLUDE, (*_EXCLUDE, patterns.index(pattern))
        why, fix = f"`{pattern}` leaves out", f"take `{pattern}` out"
        if [at_fault] == left:
            fix += f", or add `!{pattern_of(path)}` after it"
    file, line = lines.of(line_of)
    got, expected = f"{files}, which {why}, though {dotted(loc)} names it", "all that the job names to travel with it"
    return Problem(got=got, expected=expected, fix=fix, field=dotted(field), file=file, line=line)
