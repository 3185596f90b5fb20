"""Loads the saved model that a job starts from, by Keras' own reader and with the classes of the user's files.

Runs in: every Train worker.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import tensorflow as tf
from keras.src.saving.serialization_lib import in_safe_mode

from raytrain.errors import Problem, UserCodeError
from raytrain.import_file import modules_of
from raytrain.spec.job import JobSpec
from raytrain.spec.python_refs import worker_refs
from raytrain.user_code import load_reference

_OF_KERAS = (keras.layers, keras.losses, keras.metrics, keras.activations, keras.initializers, keras.regularizers)


def load_base(spec: JobSpec, folder: Path, path: Path, strategy: tf.distribute.Strategy) -> keras.Model:
    """The model in the file, compiled as it was saved where that can be.

    The user's files come first, as what they register is what the saved model is made of, and what they allow
    (`keras.config.enable_unsafe_deserialization`) holds for it. What they define and do not register is tried next,
    and then the model without what it was compiled with, such as metrics that only Keras 2 spells so.

    Raises:
        UserCodeError: Keras cannot load it.
    """
    _import_all(spec, folder, strategy)
    own = defined_in(folder)
    draws = random.getstate()  # Keras draws seeds from it: a try that failed must not leave others behind
    for compiled in (True, False):
        for names in ({}, own):
            random.setstate(draws)
            try:
                with strategy.scope():
                    return keras.saving.load_model(
                        path, custom_objects=names, compile=compiled, safe_mode=in_safe_mode() is not False
                    )
            except Exception as error:  # noqa: BLE001  of any kind, from Keras and from the user's `from_config`
                failed = error
    raise UserCodeError(_problem(failed, spec, path)) from failed


def _import_all(spec: JobSpec, folder: Path, strategy: tf.distribute.Strategy) -> None:
    """Imports the user's files as they are later: callbacks, and what their file makes, are no part of the model."""
    of_callbacks = spec.callbacks if isinstance(spec.callbacks, str) else None
    with strategy.scope():
        for ref in worker_refs(spec):
            if ref != of_callbacks:
                load_reference(ref, folder)
    if of_callbacks is not None:
        load_reference(of_callbacks, folder)


def defined_in(folder: Path) -> dict[str, Any]:
    """Classes and functions of the user's by their names, but for the names of Keras' own."""
    return {
        name: value
        for module in modules_of(folder)
        for name, value in vars(module).items()
        if (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == module.__name__
        if not any(hasattr(namespace, name) for namespace in _OF_KERAS)
    }


def _problem(error: Exception, spec: JobSpec, path: Path) -> Problem:
    named = {"init_from": spec.init_from, "model.file": spec.model.file, "model.run": spec.model.run}
    field, name = next((field, name) for field, name in named.items() if name)
    file, why, version = next(worker_refs(spec), "FILE.py:").partition(":")[0], _cause(error), _saved_by(path)
    fix = ""
    if "safe_mode" in str(error):
        fix = f"if you trust the model, call keras.config.enable_unsafe_deserialization() at the top of {file}"
    elif version.startswith("2."):
        fix = "build the model anew in your function and load its weights, or save it as .h5 with tf_keras"
    elif why.startswith(("Could not locate", "Unknown layer")):
        fix = f"define it in {file}, or import it there"
    return Problem(
        field=field,
        got=f"{name}{version and f', saved by Keras {version}'}, which cannot be loaded: {why}",
        expected="a saved model of Keras' own classes, and of those that the job's Python defines",
        fix=fix,
    )


def _saved_by(path: Path) -> str:
    """The version of Keras; empty where the file does not tell."""
    with contextlib.suppress(OSError, LookupError, ValueError, zipfile.BadZipFile):
        if path.suffix == ".h5":
            with h5py.File(path) as file:
                return str(file.attrs["keras_version"])
        with zipfile.ZipFile(path) as archive:
            return str(json.loads(archive.read("metadata.json"))["keras_version"])
    return ""


def _cause(error: Exception) -> str:
    """What went wrong at the innermost object, without the configurations of all those around it."""
    said = str(error).rpartition("Exception encountered: ")[2].partition("Full object config:")[0].strip()
    return said.partition("\n")[0].partition(". ")[0] or type(error).__name__
