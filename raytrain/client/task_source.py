"""The rows that a finished run is asked about: a path whose kind follows from its name, or a source as in `data.train`.

A path is read as the run's own train rows were, where those are of the same kind: a csv with its separator, images in
their size.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from raytrain.errors import Problem, SpecError
from raytrain.file_systems import is_uri
from raytrain.spec.job import JobSpec
from raytrain.spec.peek.inspect_source import source_columns
from raytrain.spec.peek.named_files import FILE_NAMES, find_files, is_wild
from raytrain.spec.source_kinds import Source
from raytrain.spec.strict_yaml import read_yaml
from raytrain.spec.suggest import did_you_mean

Given = str | os.PathLike[str] | Mapping[str, Any] | Source


def task_source(given: Given, spec: JobSpec, *, field: str, folder: Path | None = None) -> Source:
    """The source that is meant, its paths in full.

    Args:
        spec: of the run.
        field: the option or argument that names it, for error messages.
        folder: what relative paths are relative to; the current folder when left out.

    Raises:
        SpecError: it is no source, or nobody can tell its kind, or a file of it is not there.
    """
    folder = Path.cwd() if folder is None else folder
    if isinstance(given, Source):
        return _in_full(given, folder)
    if isinstance(given, Mapping):
        return _in_full(_validated(given, field), folder)
    text = os.fspath(given).strip()
    if text.startswith("{"):
        return _in_full(_validated(read_yaml(text, field).data, field), folder)
    return _in_full(_of_path(text, spec, field, folder), folder)


def check_columns(source: Source, spec: JobSpec, *, field: str, labels: bool) -> None:
    """Refuses, as far as this machine can tell, a source that is missing or lacks columns the model was trained on.

    Args:
        labels: whether labels and weights are needed, too.

    Raises:
        SpecError: a file is missing or broken, or a column is not there.
    """
    try:
        offered = source_columns(source, Path("/"))
    except SpecError as error:
        problems = (replace(problem, field=problem.field or field) for problem in error.problems)
        raise SpecError(*problems) from None
    if offered is None or any(step.python for step in spec.data.preprocess):
        return
    data = spec.data
    aside = set() if labels else {*data.label_sources, *data.label_columns, *([data.weight] if data.weight else [])}
    missing = [name for name in data.source_columns if name not in offered and name not in aside]
    if missing:
        named = ", ".join(f"`{name}`" for name in missing)
        got = f"no column {named}" if len(missing) == 1 else f"no columns {named}"
        what = "the columns that the model was trained on"
        fix = did_you_mean(missing[0], list(offered))
        raise SpecError(Problem(field=field, got=f"{got} among {', '.join(offered)}", expected=what, fix=fix))


def check_there(source: Source, *, field: str) -> None:
    """Refuses files that are not on this machine, where the cluster has no other disks than this one's.

    Raises:
        SpecError: a path leads nowhere.
    """
    if source.kind not in FILE_NAMES or source.paths is None:
        return
    paths = source.paths
    names = [paths] if isinstance(paths, str) else list(paths.values() if isinstance(paths, Mapping) else paths)
    missing = next(
        (name for name in names if not is_uri(name) and find_files(name, Path("/"), kind=source.kind) is None), None
    )
    if missing is not None:
        raise SpecError(Problem(field=field, got=f"{missing}, which is not there", expected="files to read"))


def _validated(value: Any, field: str) -> Source:
    try:
        return Source.model_validate(value)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        place = ".".join([field, *(str(part) for part in detail["loc"])])
        expected = "a source in the words of data.train, such as {csv: rows.csv}"
        raise SpecError(Problem(field=place, got=f"{value}: {detail['msg']}", expected=expected)) from None


def _of_path(text: str, spec: JobSpec, field: str, folder: Path) -> Source:
    train = spec.data.train
    kind = _kind_of(text, folder)
    if kind is None and train.kind in FILE_NAMES and (is_uri(text) or is_wild(text) or os.path.exists(folder / text)):
        kind = train.kind
    if kind is None:
        there = is_uri(text) or os.path.exists(folder / Path(text).expanduser())
        got = text or "nothing"
        got = got if there else f"{got}, which is not there"
        fix = "a map says it: {csv: PATH}, {parquet: PATH}, {images: PATH}"
        raise SpecError(Problem(field=field, got=got, expected="files whose name tells their kind", fix=fix))
    details = train.details if train.kind == kind else None
    if details is not None and hasattr(details, "path") and details.path is not None:
        return Source.model_validate({kind: details.model_copy(update={"path": text})})
    return Source.model_validate({kind: text})


def _kind_of(text: str, folder: Path) -> str | None:
    """By the name itself; of a folder by the names of its files, where they are of one kind."""
    path = folder / Path(text).expanduser()
    if not is_uri(text) and os.path.isdir(path):
        names = [name for _, _, files in os.walk(path) for name in files if not name.startswith((".", "_"))]
        kinds = {kind for kind, pattern in FILE_NAMES.items() if any(pattern.search(name) for name in names)}
        return kinds.pop() if len(kinds) == 1 else None
    return next((kind for kind, pattern in FILE_NAMES.items() if pattern.search(text)), None)


def _in_full(source: Source, folder: Path) -> Source:
    """With its relative paths in full: the job's own folder, where the cluster would look for them, is another."""
    if source.kind in ("delta", "lance", *FILE_NAMES) and source.paths is not None:
        paths = _full(source.paths, folder)
        if hasattr(source.value, "path"):
            return Source.model_validate({source.kind: source.value.model_copy(update={"path": paths})})
        return Source.model_validate({source.kind: paths})
    return source


def _full(paths: Any, folder: Path) -> Any:
    if isinstance(paths, str):
        return paths if is_uri(paths) else os.path.normpath(folder / Path(paths).expanduser())
    if isinstance(paths, Mapping):
        return {name: _full(path, folder) for name, path in paths.items()}
    return [_full(path, folder) for path in paths]
