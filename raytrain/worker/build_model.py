"""Builds and compiles the user's model as the spec says, under the strategy's scope.

Runs in: every Train worker.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf

from raytrain.errors import Problem, UserCodeError
from raytrain.run.events import Initialised
from raytrain.spec.job import CompileSpec, JobSpec
from raytrain.user_code import call_reference, check_takes, load_reference
from raytrain.worker import keras_objects
from raytrain.worker.init_weights import SavedLayers, freeze, initialised
from raytrain.worker.load_base import load_base


def build_model(
    spec: JobSpec,
    folder: Path,
    strategy: tf.distribute.Strategy,
    *,
    base_model: Path | None,
    tell: Callable[[Initialised], None] | None = None,
) -> keras.Model:
    """The compiled model.

    Args:
        folder: the job's own folder, where FILE.py references are found.
        base_model: the saved model that `init_from`, `model.file` or `model.run` names.
        tell: told what each layer begins with, where `init_from` or `freeze` says.

    Raises:
        UserCodeError: what the user's code returned is not a model that can be trained here.
    """
    base = load_base(spec, folder, base_model, strategy) if base_model else None
    saved = SavedLayers.of(base) if base is not None and spec.init_from else None
    with strategy.scope():
        model = make_and_compile(spec, folder, base)
    if model._distribute_strategy is not strategy:
        raise UserCodeError(
            Problem(
                field="model",
                got="a model that was made while its file was imported",
                expected="a model made inside the function",
                fix=f"move the model's construction into {spec.model.python}",
            )
        )
    _refuse_stateful(model)
    if tell is not None and (saved is not None or spec.freeze):
        tell(initialised(model, saved))
    return model


def make_and_compile(spec: JobSpec, folder: Path, base: keras.Model | None) -> keras.Model:
    """The compiled model, in the scope that is entered.

    Raises:
        UserCodeError: as `build_model` says.
    """
    model = _make(spec, folder, base)
    freeze(model, spec.freeze)
    if spec.compile is not None:
        _compile(model, spec.compile, folder)
    if not model.compiled:
        raise UserCodeError(
            Problem(
                field="compile",
                got="a model that is not compiled",
                expected="a `compile:` section, or model.compile(…) in the model function",
            )
        )
    return model


def _make(spec: JobSpec, folder: Path, base: keras.Model | None) -> keras.Model:
    if spec.model.layers is not None:
        return keras_objects.build_layers(spec.model.layers)
    if spec.model.python is None:
        assert base is not None
        return base
    function = load_reference(spec.model.python, folder)
    arguments = dict(spec.model_args)
    if base is not None:
        if "base" not in inspect.signature(function).parameters:
            raise UserCodeError(
                Problem(
                    field="init_from",
                    got=f"{spec.model.python} without a parameter `base`",
                    expected="a function that takes the loaded model as `base`",
                )
            )
        arguments["base"] = base
    check_takes(function, spec.model.python, **arguments)
    model = function(**arguments)
    if not isinstance(model, keras.Model):
        raise UserCodeError(
            Problem(
                field="model",
                file=spec.model.python.split(":")[0],
                got=f"{type(model).__module__}.{type(model).__qualname__} from {spec.model.python}",
                expected="a keras.Model",
                fix="return the model (Keras 3, `import keras`)",
            )
        )
    return model


def _refuse_stateful(model: keras.Model) -> None:
    """A layer that carries its state from batch to batch has no answer of one: each worker would carry another's."""
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False) and isinstance(layer, keras.layers.RNN):
            raise UserCodeError(
                Problem(
                    field="model",
                    got=f"stateful layer `{layer.name}`",
                    expected="layers that begin each batch anew",
                    fix="leave stateful=True out",
                )
            )


def _compile(model: keras.Model, spec: CompileSpec, folder: Path) -> None:
    if spec.python is not None:
        call_reference(spec.python, folder, model)
        return
    model.compile(
        optimizer=keras_objects.optimizer(spec.optimizer, folder),
        loss=keras_objects.loss_or_metric(spec.loss, keras.losses, folder, field="compile.loss"),
        loss_weights=spec.loss_weights,
        metrics=keras_objects.loss_or_metric(spec.metrics, keras.metrics, folder, field="compile.metrics"),
        weighted_metrics=keras_objects.loss_or_metric(
            spec.weighted_metrics, keras.metrics, folder, field="compile.weighted_metrics"
        ),
        run_eagerly=spec.run_eagerly,
        jit_compile=spec.jit_compile,
        steps_per_execution=1 if spec.steps_per_execution == "auto" else spec.steps_per_execution,
        auto_scale_loss=spec.auto_scale_loss,
    )
