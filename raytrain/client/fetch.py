"""Brings a run's files to this machine: model, metrics, spec and logs; a copy that is cut off never looks whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from raytrain import formatting
from raytrain.client.registry import RunRecord
from raytrain.client.run_directory import directory_of
from raytrain.errors import NotFound, Problem, UsageError
from raytrain.run.object_store import ObjectStore
from raytrain.run.run_paths import RunPaths

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A copy of a run's directory, which every command takes for the run.

    Attributes:
        model: the trained model in it; None where the run has saved none yet.
    """

    run: str
    directory: str
    model: str | None
    files: int
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        return {"schema_version": 1, **asdict(self)}


def fetch(
    record: RunRecord,
    *,
    output: str | os.PathLike[str] | None = None,
    checkpoints: bool = False,
    progress: Progress | None = None,
) -> Fetched:
    """Copies a run's directory, aside and then renamed.

    Args:
        record: the run.
        output: the new folder; the run's id in the current one when left out.
        checkpoints: these too, with which the run can be extended.
        progress: told in a few words what is being done.

    Raises:
        UsageError: the folder is there, or cannot be written.
        NotFound: the run's directory is out of sight here, or its storage does not answer.
    """
    paths, tell = directory_of(record), progress or (lambda _: None)
    if paths is None or (paths.uri is None and not os.path.isdir(paths.root)):
        got = f"run {record.run}, whose directory {paths.root if paths else ''} is not in sight here"
        raise NotFound(Problem(got=got, expected="storage that this machine sees", fix="--storage names it"))
    target = Path(output if output is not None else record.run).expanduser().absolute()
    if os.path.lexists(target):
        fix = "--output names another"
        raise UsageError(Problem(got=f"{target}, which is there already", expected="a folder that is not", fix=fix))
    names = _names(paths, record, checkpoints=checkpoints)
    tell(f"fetching {formatting.plural(len(names), 'file')} of {paths.shown()}")
    aside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        size = sum(_copy(paths, name, aside / name) for name in names)
        aside.rename(target)
    except OSError as error:
        got, fix = f"{error.strerror or error} for {target}", "make room there, or --output names another"
        raise UsageError(Problem(got=got, expected="a folder that takes the run's files", fix=fix)) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    here = RunPaths(target)
    model = next((str(file) for file in (here.model, here.weights) if file.is_file()), None)
    return Fetched(run=record.run, directory=str(target), model=model, files=len(names), bytes=size)


def _names(paths: RunPaths, record: RunRecord, *, checkpoints: bool) -> list[str]:
    try:
        if paths.uri is not None:
            found = ObjectStore(paths.uri).names()
        else:
            files = [file for file in paths.root.rglob("*") if file.is_file()]
            found = sorted(file.relative_to(paths.root).as_posix() for file in files)
    except OSError as error:
        raise NotFound(Problem(got=f"{paths.shown()}: {error}", expected="storage that answers")) from error
    left_out = (f"{paths.leases.name}/", *(() if checkpoints else (f"{paths.checkpoints.name}/",)))
    wanted = [name for name in found if not name.startswith((".", *left_out))]
    if not wanted:
        raise NotFound(Problem(got=f"nothing in {paths.shown()}", expected="the files of a run"))
    return wanted


def _copy(paths: RunPaths, name: str, target: Path) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    if paths.uri is not None:
        ObjectStore(paths.uri).pull(name, target)
    else:
        shutil.copyfile(paths.root / name, target)
    return target.stat().st_size if target.exists() else 0
