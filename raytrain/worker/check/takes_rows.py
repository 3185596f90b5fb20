"""Whether a model takes the rows it is to be given: what Keras says of it names neither columns nor outputs.

Runs in: plain Keras' process of a check.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from raytrain.data.packed import Arrays
from raytrain.errors import Problem, UserCodeError
from raytrain.spec.job import JobSpec


def check_inputs(model: keras.Model, rows: Arrays, spec: JobSpec) -> None:
    """Refuses rows of another shape than the model's inputs, where it says what those are.

    Raises:
        UserCodeError: an input has another shape.
    """
    features = rows[0]
    inputs = getattr(model, "inputs", None)
    if not inputs:
        return
    named = {tensor.name: tensor for tensor in inputs}
    if isinstance(features, Mapping):
        pairs = [(name, array, named[name]) for name, array in features.items() if name in named]
    else:
        pairs = [(None, features, inputs[0])] if len(inputs) == 1 else []
    for name, array, tensor in pairs:
        got, wanted = array.shape[1:], tuple(tensor.shape[1:])
        if _fits(got, wanted):
            continue
        columns = spec.data.features
        column = (columns.get(name) if isinstance(columns, Mapping) and name else columns) or name
        raise UserCodeError(
            Problem(
                field="data.features",
                got=f"{_listed(column)}, rows of shape {_shape(got)}",
                expected=f"{_shape(wanted)}, as the model's input{_named(tensor)} has it",
                fix="give the Input the rows' shape, or change the rows in data.preprocess",
            )
        )


def check_class_weight(model: keras.Model, rows: Arrays, spec: JobSpec) -> None:
    """Refuses class weights where the outputs have no such classes.

    Raises:
        UserCodeError: several outputs, weights beside them, or a class that no output stands for.
    """
    weights = spec.fit.class_weight
    if weights is None:
        return
    field = "fit.class_weight"
    if len(rows) != 2 or isinstance(rows[1], Mapping):
        raise UserCodeError(
            Problem(
                field=field,
                got="class weights beside a weight column, several outputs or no label",
                expected="one label column and no data.weight",
            )
        )
    outputs = getattr(model, "outputs", None)
    if not outputs or len(outputs) != 1 or not isinstance(outputs[0].shape[-1], int):
        return
    units = outputs[0].shape[-1]
    classes = 2 if units == 1 else units
    if beyond := [label for label in weights if not 0 <= label < classes]:
        raise UserCodeError(
            Problem(
                field=field,
                got=f"a weight of class {', '.join(map(str, beyond))}",
                expected=f"classes from 0 to {classes - 1}, of which the model's output tells {classes} apart",
            )
        )


@contextlib.contextmanager
def taking(model: keras.Model, rows: Arrays, spec: JobSpec) -> Iterator[None]:
    """Around what makes the model take the rows: what Keras finds not to fit is told with both sides of it.

    Raises:
        UserCodeError: in place of an error of Keras' or TensorFlow's, which the user's own lines stay behind.
    """
    try:
        yield
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        if _is_of_users(error) or "Could not interpret" in str(error):
            raise
        said = str(error).strip().splitlines()[0]
        takes = f"a model, a loss and metrics that take {_described(model, rows)}"
        raise UserCodeError(Problem(field="model", got=said, expected=takes)) from error


def _is_of_users(error: BaseException) -> bool:
    """Whether Keras or TensorFlow handed through what another module raised."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame.f_globals.get("__name__", ""))
        trace = trace.tb_next
    return bool(frames) and frames[-1].split(".")[0] not in ("keras", "tensorflow", "raytrain")


def _described(model: keras.Model, rows: Arrays) -> str:
    parts = zip(("features", "labels", "weights"), rows, strict=False)
    of_rows = ", ".join(f"{name} {_shapes(part)}" for name, part in parts)
    outputs = getattr(model, "outputs", None)
    return of_rows + (f", where the outputs are {_shapes_of_tensors(outputs)}" if outputs else "")


def _shapes(arrays: Any) -> str:
    if isinstance(arrays, Mapping):
        return " and ".join(f"`{name}` {_shapes(array)}" for name, array in arrays.items())
    return f"{_shape(arrays.shape[1:])} {arrays.dtype}"


def _shapes_of_tensors(outputs: Any) -> str:
    return " and ".join(_shape(tensor.shape[1:]) for tensor in tree.flatten(outputs))


def _shape(shape: Any) -> str:
    sizes = ["any" if size is None else str(size) for size in shape]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _named(tensor: Any) -> str:
    """The name, unless it is one that Keras made up."""
    return "" if tensor.name.startswith("keras_tensor") else f" `{tensor.name}`"


def _listed(column: Any) -> str:
    return ", ".join(map(str, column)) if isinstance(column, list) else str(column)


def _fits(got: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    """As Keras takes them: a last dimension of one may be there or not."""
    if len(got) + 1 == len(wanted) and wanted[-1] == 1:
        got = (*got, 1)
    if len(got) == len(wanted) + 1 and got[-1] == 1:
        got = got[:-1]
    return len(got) == len(wanted) and all(size in (None, one) for one, size in zip(got, wanted, strict=True))
