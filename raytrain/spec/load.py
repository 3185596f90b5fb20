"""Reads a job: the YAML, the command line's overrides, the defaults that depend on them, and the schema's verdict."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from pydantic import ValidationError

from raytrain.errors import NotFound, Problem, SpecError, UsageError
from raytrain.file_systems import ARROW_SCHEMES, keeps_runs
from raytrain.run.object_store import is_object_store
from raytrain.spec.file_errors import local_path, looking_up
from raytrain.spec.job import JobSpec
from raytrain.spec.line_numbers import LineNumbers, Loc
from raytrain.spec.overrides import INT_KEYED, Override, apply_override, parse_override
from raytrain.spec.peek.csv_header import ROW_NUMBERS
from raytrain.spec.peek.inspect_source import has_row_numbers, source_columns
from raytrain.spec.problems import problems_of
from raytrain.spec.secret_checks import secret_problems
from raytrain.spec.source_kinds import Source
from raytrain.spec.strict_yaml import read_yaml
from raytrain.spec.suggest import did_you_mean, value_in_words

JOB_FILE = "job.yaml"
STDIN = "standard input"
IN_PYTHON = "a job said in Python"
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")  # the row numbers of a frame that was filtered or shuffled


@dataclass(frozen=True, kw_only=True)
class LoadedJob:
    """A job that the schema accepts.

    Attributes:
        spec: the job with every default filled in.
        folder: absolute; what the spec's paths are relative to, and what is uploaded.
        file: the YAML file as shown to the user.
        lines: where each field was written.
    """

    spec: JobSpec
    folder: Path
    file: str
    lines: LineNumbers


def load_job(job: str, *, overrides: Sequence[str] = (), stdin: TextIO | None = None) -> LoadedJob:
    """Reads a folder with a job.yaml, a YAML file, or `-` (standard input; its folder is the current one).

    Args:
        job: what the user named.
        overrides: the `--set` arguments in order, `a.b=c` each.
        stdin: read when `job` is `-`; the process's own when left out.

    Raises:
        NotFound: there is no such file.
        UsageError: `job` is empty, a `--set` without `=`, or a file that is no YAML.
        SpecError: the job is refused; all problems at once, the most important last.
    """
    parsed = [parse_override(text) for text in overrides]
    folder, file, raw = _read(job, stdin)
    source = read_yaml(raw, file)
    data, lines = source.data, source.lines
    if not isinstance(data, dict):
        raise SpecError(
            Problem(got=value_in_words(data), expected="a map of fields, such as `name: digits`", file=file, line=1)
        )
    return _load(data, lines, parsed, folder, file)


def load_fields(fields: Mapping[str, Any], folder: Path, *, overrides: Sequence[str] = ()) -> LoadedJob:
    """A job that was said in Python, held to the same rules, in the same words.

    Args:
        fields: as in a job.yaml: texts, numbers, lists and maps of these.
        folder: what its paths are relative to, and what is uploaded.
        overrides: as for `load_job`.

    Raises:
        NotFound: there is no such folder.
        UsageError: a `--set` without `=`.
        SpecError: the job is refused; all problems at once.
    """
    parsed = [parse_override(text) for text in overrides]
    if not os.path.isdir(folder):
        expected = "the folder of the job's files"
        raise NotFound(Problem(got=f"{folder}, which is no folder", expected=expected))
    data = _as_yaml_has_it(dict(fields))
    return _load(data, LineNumbers("", {}), parsed, Path(os.path.realpath(folder)), IN_PYTHON)


def _load(data: dict[Any, Any], lines: LineNumbers, parsed: list[Override], folder: Path, file: str) -> LoadedJob:
    for override in parsed:
        apply_override(data, override, lines)
    _fill_in(data, folder)
    try:
        spec = JobSpec.model_validate(data)
    except ValidationError as error:
        raise SpecError(*_once([*problems_of(error, data, lines), *_not_json(data, lines)])) from None
    if problems := [*_not_json(data, lines), *_storage_problems(spec.storage, lines), *_secrets(spec, lines)]:
        raise SpecError(*problems)
    spec = _with_all_features(spec, folder, lines)
    return LoadedJob(spec=spec, folder=folder, file=file, lines=lines)


def _as_yaml_has_it(value: Any) -> Any:
    """Paths become texts and tuples lists; the schema refuses whatever else no YAML holds."""
    if isinstance(value, Mapping):
        return {key: _as_yaml_has_it(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_yaml_has_it(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _read(job: str, stdin: TextIO | None) -> tuple[Path, str, bytes | str]:
    """The job's folder, its file as shown, and the text."""
    if job == "-":
        return Path.cwd(), STDIN, (stdin or sys.stdin).read()
    if not job.strip():  # as a path it is the current folder
        expected = f"a folder with a {JOB_FILE}, a YAML file, or -"
        fix = "a shell variable that is not set is empty; . is the current folder"
        raise UsageError(Problem(got="an empty name of a job", expected=expected, fix=fix))
    path = local_path(job)
    with looking_up(job):
        is_folder, exists = path.is_dir(), path.exists()
    if is_folder:
        path, job = path / JOB_FILE, str(Path(job) / JOB_FILE)
    elif exists and path.suffix not in (".yaml", ".yml", ".json"):
        raise UsageError(Problem(got=f"the file {job}", expected=f"a folder with a {JOB_FILE}, a YAML file, or -"))
    try:
        return Path(os.path.realpath(path)).parent, job, path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise _not_found(path, job) from None
    except OSError as error:
        raise SpecError(Problem(got=f"{error.strerror}", expected="a file that can be read", file=job)) from None


def _not_found(path: Path, job: str) -> NotFound:
    try:
        yamls = sorted(near.name for near in path.parent.iterdir() if near.suffix in (".yaml", ".yml"))
        jobs = sorted(near.parent.name for near in path.parent.glob(f"*/{JOB_FILE}"))
    except OSError:  # its folder is not there either, or may not be listed
        yamls, jobs = [], []
    fix = did_you_mean(path.name, [*jobs, *yamls]) or (
        f"there are {', '.join([*jobs, *yamls])}" if yamls or jobs else ""
    )
    return NotFound(
        Problem(
            got=f"{job}, which does not exist",
            expected=f"a folder with a {JOB_FILE}, a YAML file, or -",
            fix=fix or f"`raytrain init NAME` makes a folder with a {JOB_FILE}",
        )
    )


def _fill_in(data: dict[Any, Any], folder: Path) -> None:
    """The defaults that depend on other fields or on the folder."""
    if "name" not in data and (name := _name_of(folder)):
        data["name"] = name
    storage = data.get("storage")
    if isinstance(storage, str) and storage and not storage.startswith(("~", "/")) and not is_object_store(storage):
        data["storage"] = os.path.realpath(folder / storage) if "\0" not in storage else storage
    part = data.get("data")
    if isinstance(part, dict) and isinstance(part.get("train"), dict) and "sklearn" in part["train"]:
        part.setdefault("features", "features")
        part.setdefault("label", "target")


def _name_of(folder: Path) -> str:
    """A job's name from its folder's: `My Job` gives `my-job`."""
    return re.sub(r"[^a-z0-9_]+", "-", folder.name.lower()).strip("-_")[:40]


def _with_all_features(spec: JobSpec, folder: Path, lines: LineNumbers) -> JobSpec:
    """`data.features` left out: all columns that are neither label, weight nor pandas' index, and decide no split."""
    data = spec.data
    if data.features is not None:
        return spec
    try:
        columns = source_columns(data.train, folder)
    except SpecError as error:
        raise SpecError(*(lines.located(problem, "data.train") for problem in error.problems)) from None
    beside = {*data.label_columns, data.weight, None if data.stratify is True else data.split_column}
    columns = _without_row_numbers(data.train, columns, folder, lines)
    features = [name for name in columns or () if name not in beside and not _PANDAS_INDEX.fullmatch(name)]
    if not features:
        got = "no `features`, and columns that are not known before the run" if columns is None else "no feature column"
        expected = "a column, a list of columns, or {input: column(s)}"
        problem = Problem(got=got, expected=expected, fix="add data.features")
        raise SpecError(lines.located(problem, "data.features"))
    return spec.model_copy(update={"data": data.model_copy(update={"features": features})})


def _without_row_numbers(
    source: Source, columns: tuple[str, ...] | None, folder: Path, lines: LineNumbers
) -> tuple[str, ...] | None:
    """The columns but for a first one by which pandas, or whoever wrote a csv file, numbered its rows.

    Raises:
        SpecError: the first column has no name of its own, and does not look like row numbers.
    """
    if not columns or columns[0] != ROW_NUMBERS:
        return columns
    if source.csv and not has_row_numbers(source, folder):
        got = f"column 1 of {len(columns)}, `{ROW_NUMBERS}`, which does not number the rows"
        problem = Problem(got=got, expected="a name for it", fix="name it in the file, or the columns in data.features")
        raise SpecError(lines.located(problem, "data.train"))
    return columns[1:]


def _storage_problems(storage: str, lines: LineNumbers) -> Iterator[Problem]:
    if not storage:
        yield lines.located(Problem(got="''", expected="a path"), "storage")
    elif is_object_store(storage):
        scheme = storage.partition("://")[0]
        if not keeps_runs(scheme):
            known = ", ".join(f"{name}://…" for name in ARROW_SCHEMES)
            expected = f"a path that every node sees, or one of {known}, or what else fsspec writes to"
            yield lines.located(Problem(got=f"{scheme}://…", expected=expected), "storage")
    else:
        try:
            local_path(storage)
        except SpecError as error:
            yield from (lines.located(problem, "storage") for problem in error.problems)


def _secrets(spec: JobSpec, lines: LineNumbers) -> Iterator[Problem]:
    """Without the value where a `--set` gave it."""
    for problem in secret_problems(spec):
        found = lines.located(problem, problem.field)
        yield replace(found, file=found.file.partition("=")[0]) if found.file.startswith("--set ") else found


def _not_json(data: Any, lines: LineNumbers, loc: Loc = ()) -> Iterator[Problem]:
    """Values that would change on their way: the job travels as JSON."""
    if isinstance(data, float) and not math.isfinite(data):
        yield lines.located(Problem(got=str(data), expected="a finite number"), loc)
    elif isinstance(data, list):
        for index, item in enumerate(data):
            yield from _not_json(item, lines, (*loc, index))
    elif isinstance(data, dict):
        for key, item in data.items():
            if isinstance(key, int) and loc not in INT_KEYED:
                problem = Problem(got=f"the key {key} (a whole number)", expected="a name", fix="put it in quotes")
                yield lines.located(problem, (*loc, key))
            yield from _not_json(item, lines, (*loc, key))


def _once(problems: list[Problem]) -> list[Problem]:
    """One problem a field: the last, which is the clearest."""
    return list({(problem.field, problem.file, problem.line): problem for problem in problems}.values())
