"""The saved model that a run starts from, found on this machine so that it can travel with the job."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from raytrain.client.registry import RunRecord
from raytrain.client.run_directory import pull
from raytrain.errors import NotFound, Problem, SpecError
from raytrain.run.run_paths import RunPaths
from raytrain.spec.file_errors import local_path, looking_up

if TYPE_CHECKING:
    from raytrain.spec.job import JobSpec


def base_model_of(spec: JobSpec, folder: Path, find: Callable[[str], RunRecord]) -> Path | None:
    """The `.keras` file that `init_from`, `model.file` or `model.run` names; None when none does.

    Args:
        spec: the job.
        folder: what relative paths are relative to.
        find: finds a run by what the user calls it; raises NotFound.

    Raises:
        SpecError: two of them are given, or the file is missing.
        NotFound: there is no such run, or it has saved no model.
    """
    named = {
        "init_from": spec.init_from,
        "model.file": spec.model.file,
        "model.run": spec.model.run,
    }
    given = [(field, value) for field, value in named.items() if value]
    if not given:
        return None
    if len(given) > 1:
        raise SpecError(
            Problem(
                got=" and ".join(field for field, _ in given),
                expected="one model to start from",
                fix="init_from hands the model to your function; model.file and model.run train it as it is",
                field=given[0][0],
            )
        )
    [(field, value)] = given
    is_file = field == "model.file" or (field == "init_from" and _names_a_file(value, folder))
    return _file(value, folder, field) if is_file else _of_run(value, field, find)


def _names_a_file(value: str, folder: Path) -> bool:
    with looking_up(value):
        return value.endswith(".keras") or _path(value, folder).is_file()


def _path(value: str, folder: Path) -> Path:
    return folder / local_path(value)


def _file(value: str, folder: Path, field: str) -> Path:
    path = _path(value, folder)
    if os.path.isfile(path):
        return path
    raise SpecError(
        Problem(got=f"{value}, and there is no such file", expected="a saved .keras file on this machine", field=field)
    )


def _of_run(value: str, field: str, find: Callable[[str], RunRecord]) -> Path:
    record = find(value)
    paths = RunPaths.of(record.storage, record.run)
    model = paths.model
    pull(paths, model)
    if record.storage and os.path.isfile(model):
        return model
    raise NotFound(
        Problem(
            got=f"run {record.run}, whose model is not at {model}",
            expected="a run that has ended with a saved model, in a directory that this machine sees",
            fix=f"raytrain status {record.run} tells how it ended; a path to a .keras file does as well",
            field=field,
        )
    )
