"""Loads the model that a run has saved, with the classes of the job's own files.

Runs in: the process that asks for it.
"""

from __future__ import annotations

import inspect
import re
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras

from raytrain.errors import Problem, UserCodeError
from raytrain.import_file import modules_of
from raytrain.model.live.arrival import Arrival
from raytrain.run.run_paths import RunPaths
from raytrain.spec.job import JobSpec
from raytrain.spec.python_refs import worker_refs
from raytrain.user_code import load_reference


def load_model(paths: RunPaths) -> keras.Model:
    """The model as it was saved, compiled where that can be done here.

    The job's files are run only where Keras does not know a class of the model's: they are its owner's, not the file's.

    Raises:
        UserCodeError: Keras cannot load it.
    """
    return load_with_names(paths)[0]


def load_with_names(paths: RunPaths) -> tuple[keras.Model, dict[str, Any]]:
    """The model, and what the job's files define by its names, where Keras does not load it without.

    Raises:
        UserCodeError: Keras cannot load it.
    """
    try:
        return keras.saving.load_model(paths.model), {}
    except (TypeError, ValueError):
        names = _names_of_job(paths)
    for compiled in (True, False):
        try:
            model = keras.saving.load_model(paths.model, custom_objects=names, compile=compiled, safe_mode=False)
            if isinstance(arrival := names.get("arrival"), Arrival):
                arrival.give_functions(model)
            return model, names
        except (TypeError, ValueError) as error:
            failed = error
    named = re.search(r"Could not locate [^.\n]*", str(failed))  # which Keras says last, of the class that is gone
    why = named[0] if named else str(failed).rpartition("Exception encountered: ")[2].strip().partition("\n")[0]
    raise UserCodeError(
        Problem(
            file=str(paths.model),
            got=f"a model that Keras cannot load: {why}",
            expected="a model of Keras' own classes, and of those that the job's Python defines",
            fix="keras.saving.load_model(…, custom_objects={…}) with the classes it names",
        )
    ) from failed


def _names_of_job(paths: RunPaths) -> dict[str, Any]:
    """What the job's files define, from the run's own copy of them."""
    if not paths.package.is_file():
        return {}
    folder = Path(tempfile.mkdtemp(prefix=f"raytrain-code-{paths.run}-"))  # stays: its classes' source is in it
    with zipfile.ZipFile(paths.package) as archive:
        archive.extractall(folder)
    spec = JobSpec.model_validate_json(paths.spec.read_text())
    for ref in worker_refs(spec):
        load_reference(ref, folder)
    return {
        name: value
        for module in modules_of(folder)
        for name, value in vars(module).items()
        if inspect.isclass(value) or inspect.isfunction(value) or isinstance(value, Arrival)
    }
