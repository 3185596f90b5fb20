"""The model that is exported: inputs named after the columns, the preprocessing steps, then the trained model.

Runs in: a child process of the client.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from raytrain.data.pipeline import Pipeline
from raytrain.data.preprocess.step_field import Array
from raytrain.data.preprocess.step_kinds import Step
from raytrain.errors import Problem, UsageError
from raytrain.export_protocol import Format, ServedInput
from raytrain.model.export.graph_steps import Columns, GraphSteps
from raytrain.model.export.sample_rows import Sample
from raytrain.spec.data_spec import DataSpec


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A Keras model as it is exported, with rows to try it on.

    Attributes:
        rows: what its inputs are fed, by name.
        features: what the trained model itself is fed of these rows.
        answers: what it gives for them, by output.
    """

    model: keras.Model
    inputs: tuple[ServedInput, ...]
    rows: Mapping[str, Array]
    features: Any
    answers: Mapping[str, Array]


def served_steps(pipeline: Pipeline, data: DataSpec) -> tuple[list[tuple[Step, set[str]]], list[str]]:
    """The steps that features come through, each with those of its outputs that are needed, and the source's columns.

    A step that a label or a weight alone comes through is no part of what is served.
    """
    wanted = set(data.feature_columns)
    found: list[tuple[Step, set[str]]] = []
    for step in reversed(pipeline.steps):
        value = step.step
        if value.python:
            found.append((step, set()))
            continue
        made = wanted & set(value.outputs)
        if not made:
            continue
        found.append((step, made))
        together = value.normalize or value.concatenate
        pairs = [] if together else list(zip(value.columns, value.outputs, strict=True))
        read = set(value.columns) if together else {name for name, into in pairs if into in made}
        wanted = (wanted - made) | read
    order = [*data.source_columns, *wanted]
    return found[::-1], [name for name in dict.fromkeys(order) if name in wanted]


def with_steps(model: keras.Model, sample: Sample, pipeline: Pipeline, data: DataSpec, format: Format) -> ServedModel:
    """The model behind the preprocessing steps that the run has fitted.

    Raises:
        UsageError: the format cannot express a step.
    """
    graph = GraphSteps.of(format)
    steps, sources = served_steps(pipeline, data)
    rows = {name: _fed(sample.before[name], format) for name in sources}
    inputs = _inputs(rows)
    columns: Columns = {name: _input(each) for name, each in zip(rows, inputs, strict=True)}
    given = dict(columns)
    for step, made in steps:
        columns = graph.apply(step, columns, made)
    wide = {name for name, options in data.columns.items() if options.dtype == "float64"}
    columns = {name: each if name in wide else graph.narrow(each) for name, each in columns.items()}
    features = _features(columns, data, graph)
    return _served(model, inputs, list(given.values()), features, sample.features, rows, data)


def alone(model: keras.Model, features: Any, data: DataSpec, format: Format) -> ServedModel:
    """The model without any steps, fed what they make.

    Args:
        features: a few rows as the model is fed them.
    """
    named = features if isinstance(features, dict) else {_name_of_features(data, model): features}
    rows = {name: _fed(array, format) for name, array in named.items()}
    inputs = _inputs(rows)
    given = [_input(each) for each in inputs]
    fed = dict(zip(rows, given, strict=True)) if isinstance(features, dict) else given[0]
    return _served(model, inputs, given, fed, features, rows, data)


def _served(
    model: keras.Model,
    inputs: tuple[ServedInput, ...],
    given: Sequence[Any],
    fed: Any,
    features: Any,
    rows: Mapping[str, Array],
    data: DataSpec,
) -> ServedModel:
    names = [each.name for each in inputs]
    outputs = _named_outputs(model, model(fed), data)
    answers = _named_outputs(model, model(_tensors(features), training=False), data)
    return ServedModel(
        model=keras.Model(dict(zip(names, given, strict=True)), outputs, name="served"),
        inputs=inputs,
        rows=dict(zip(names, rows.values(), strict=True)),
        answers={name: np.asarray(keras.ops.convert_to_numpy(each)) for name, each in answers.items()},
        features=features,
    )


def _named_outputs(model: keras.Model, outputs: Any, data: DataSpec) -> dict[str, Any]:
    """Each output by its name: after the label column where there is one of each."""
    if isinstance(outputs, dict):
        return {_plain(name): each for name, each in outputs.items()}
    if isinstance(outputs, list | tuple):
        known = list(getattr(model, "output_names", None) or [])
        names = known if len(known) == len(outputs) else [f"output_{place}" for place in range(len(outputs))]
        return dict(zip(_distinct(names), outputs, strict=True))
    return {_plain(data.label if isinstance(data.label, str) else "output"): outputs}


def _features(columns: Columns, data: DataSpec, graph: GraphSteps) -> Any:
    def of(group: str | list[str]) -> Any:
        return columns[group] if isinstance(group, str) else graph.side_by_side([columns[name] for name in group])

    if isinstance(data.features, dict):
        return {name: of(group) for name, group in data.features.items()}
    assert data.features is not None
    return of(data.features)


def _name_of_features(data: DataSpec, model: keras.Model) -> str:
    if isinstance(data.features, str):
        return data.features
    inputs = getattr(model, "inputs", None)
    return str(inputs[0].name) if inputs else "features"


def _inputs(rows: Mapping[str, Array]) -> tuple[ServedInput, ...]:
    return tuple(
        ServedInput(name=name, column=column, dtype=_dtype(array), shape=(None, *array.shape[1:]))
        for name, (column, array) in zip(_distinct(rows), rows.items(), strict=True)
    )


def _input(served: ServedInput) -> Any:
    return keras.Input(served.shape[1:], name=served.name, dtype=served.dtype)


def _fed(array: Array, format: Format) -> Array:
    """What a format's input takes of a column.

    Raises:
        UsageError: it does not take text, or lists of any length.
    """
    if array.dtype == object:
        is_text = all(isinstance(cell, str) for cell in array.ravel())
        if format in ("onnx", "litert") or not is_text:
            what = "text" if is_text else "cells that are empty, or lists of any length"
            fix = "--without-preprocessing exports the model alone, fed what the steps make" if is_text else ""
            got = f"a column of {what}, which {format} does not take here"
            raise UsageError(
                Problem(got=got, expected="columns of numbers, and in keras and tf_saved_model text", fix=fix)
            )
        return array
    return array.astype(np.float32) if format == "litert" and array.dtype == np.float64 else array


def _dtype(array: Array) -> str:
    return "string" if array.dtype == object else str(array.dtype)


def _tensors(features: Any) -> Any:
    def of(array: Array) -> Any:
        return keras.ops.convert_to_tensor(array.tolist() if array.dtype == object else array, dtype=_dtype(array))

    return {name: of(array) for name, array in features.items()} if isinstance(features, dict) else of(features)


def _distinct(names: Iterable[str]) -> list[str]:
    """Each name as a runtime's signature has it, none twice."""
    found: list[str] = []
    for name in map(_plain, names):
        place, made = 2, name
        while made in found:
            made, place = f"{name}_{place}", place + 1
        found.append(made)
    return found


def _plain(name: str) -> str:
    """In letters, digits and underscores, a letter first."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    return plain if re.match(r"[A-Za-z]", plain) else f"column_{plain}"
