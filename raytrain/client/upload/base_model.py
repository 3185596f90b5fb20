"""The saved model that a run starts from, found on this machine so that it can travel with the job."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from raytrain.client.registry import RunRecord
from raytrain.client.run_directory import pull
from raytrain.errors import NotFound, Problem, SpecError
from raytrain.run.run_paths import RunPaths
from raytrain.spec.base_checks import check_saved_model, find_saved_model, names_a_file

if TYPE_CHECKING:
    from raytrain.spec.job import JobSpec


def base_model_of(spec: JobSpec, folder: Path, find: Callable[[str], RunRecord]) -> Path | None:
    """The file that `init_from`, `model.file` or `model.run` names; None when none does.

    Args:
        spec: the job.
        folder: what relative paths are relative to.
        find: finds a run by what the user calls it; raises NotFound.

    Raises:
        SpecError: two of them are given, the file is missing, or no worker could load it.
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
    is_file = field == "model.file" or (field == "init_from" and names_a_file(value, folder))
    try:
        path = find_saved_model(value, folder) if is_file else saved_model(find(value), field)
        check_saved_model(path, value if is_file else f"the model of {value}", spec)
    except SpecError as error:
        raise SpecError(*(replace(problem, field=field) for problem in error.problems)) from None
    return path


def saved_model(record: RunRecord, field: str = "") -> Path:
    """The model that a run has saved, on this machine.

    Args:
        field: of the spec that names the run, for the error message.

    Raises:
        NotFound: it has saved none, or its directory is out of sight.
    """
    model = RunPaths.of(record.storage, record.run).model
    pull(RunPaths.of(record.storage, record.run), model)
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
