"""Writes a model in each format, and runs what was written by the format's own runtime.

Runs in: a child process of the client.
"""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from raytrain.data.preprocess.step_field import Array
from raytrain.errors import Problem, UsageError
from raytrain.export_protocol import Format
from raytrain.model.export.served_model import ServedModel

Rows = Mapping[str, Array]
_TABLES = ("StringLookup", "IntegerLookup", "TextVectorization", "Hashing", "HashedCrossing")


def write(served: ServedModel, path: Path, format: Format) -> None:
    """Writes the artifact.

    Raises:
        UsageError: the format cannot express the model, or a package is missing.
    """
    served.model(_tensors(served.rows), training=False)  # an exporter takes none that was never called
    _WRITERS[format](served.model, path)


def run(path: Path, format: Format, rows: Rows, names: Mapping[str, Any]) -> dict[str, Array]:
    """The answers of the artifact as its own runtime gives them, by output.

    Args:
        names: classes and functions of the job's own, which a Keras file is loaded with.
    """
    return _RUNNERS[format](path, rows, names)


def _write_keras(model: keras.Model, path: Path) -> None:
    model.save(path)


def _write_saved_model(model: keras.Model, path: Path) -> None:
    model.export(path, format="tf_saved_model", verbose=False)


def _write_onnx(model: keras.Model, path: Path) -> None:
    for package in ("onnx", "tf2onnx", "onnxruntime"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            got, fix = f"no package {package} here ({error})", "pip install 'raytrain[onnx]'"
            raise UsageError(Problem(got=got, expected="tf2onnx, onnx and onnxruntime for onnx", fix=fix)) from error
    _refuse_tables(model, "onnx")
    layers = [layer for layer in model._flatten_layers() if layer.dtype_policy.compute_dtype.endswith("float16")]
    if layers:
        got = f"layer {layers[0].name} of the policy {layers[0].dtype_policy.name}, which onnx cannot express"
        fix = "keras, tf_saved_model and litert take it"
        raise UsageError(Problem(got=got, expected="the policy float32", fix=fix))
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _refusing("onnx", lambda: model.export(path, format="onnx", verbose=False))


def _write_litert(model: keras.Model, path: Path) -> None:
    _refuse_tables(model, "litert")
    only = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}  # what every interpreter has
    _refusing("litert", lambda: model.export(path, format="litert", verbose=False, target_spec=only))


def _write_weights(model: keras.Model, path: Path) -> None:
    model.save_weights(path)


def _refuse_tables(model: keras.Model, format: Format) -> None:
    """A layer that looks values up in a table is no part of these formats."""
    for layer in model._flatten_layers():
        if type(layer).__name__ in _TABLES:
            got = f"layer {layer.name}, a {type(layer).__name__}, which {format} cannot express"
            fix = "keras and tf_saved_model take it; or look up before the model, and train on numbers"
            raise UsageError(Problem(got=got, expected="a model without look-ups", fix=fix))


def _refusing(format: Format, convert: Callable[[], None]) -> None:
    try:
        convert()
    except Exception as error:  # a converter raises what it likes
        said = [line.strip() for line in str(error).splitlines() if line.strip()]
        why = next((line for line in said if "op" in line.lower()), said[0] if said else type(error).__name__)
        got = f"a model that {format} cannot express: {why[:300]}"
        fix = "keras and tf_saved_model express every model"
        raise UsageError(Problem(got=got, expected=f"operations that {format} has", fix=fix)) from error


def _run_keras(path: Path, rows: Rows, names: Mapping[str, Any]) -> dict[str, Array]:
    with keras.saving.custom_object_scope(dict(names)):
        model = keras.saving.load_model(path, compile=False, safe_mode=not names)
    return _arrays(model(_tensors(rows), training=False))


def _run_saved_model(path: Path, rows: Rows, names: Mapping[str, Any]) -> dict[str, Array]:
    loaded = tf.saved_model.load(str(path))
    return _arrays(loaded.signatures["serving_default"](**_tensors(rows)))


def _run_onnx(path: Path, rows: Rows, names: Mapping[str, Any]) -> dict[str, Array]:
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    outputs = [each.name for each in session.get_outputs()]
    return dict(zip(outputs, session.run(None, dict(rows)), strict=True))


def _run_litert(path: Path, rows: Rows, names: Mapping[str, Any]) -> dict[str, Array]:
    try:
        interpreter = importlib.import_module("ai_edge_litert.interpreter").Interpreter(str(path))
    except ImportError:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it will move there
            interpreter = tf.lite.Interpreter(str(path))
    return {name: np.asarray(each) for name, each in interpreter.get_signature_runner()(**rows).items()}


def _tensors(rows: Rows) -> dict[str, Any]:
    return {
        name: tf.constant(array.tolist(), tf.string) if array.dtype == object else tf.constant(array)
        for name, array in rows.items()
    }


def _arrays(outputs: Mapping[str, Any]) -> dict[str, Array]:
    return {name: np.asarray(each) for name, each in outputs.items()}


_WRITERS: dict[Format, Callable[[keras.Model, Path], None]] = {
    "keras": _write_keras,
    "tf_saved_model": _write_saved_model,
    "onnx": _write_onnx,
    "litert": _write_litert,
    "weights": _write_weights,
}
_RUNNERS: dict[Format, Callable[[Path, Rows, Mapping[str, Any]], dict[str, Array]]] = {
    "keras": _run_keras,
    "tf_saved_model": _run_saved_model,
    "onnx": _run_onnx,
    "litert": _run_litert,
}
