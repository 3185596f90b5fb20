"""Packs a live model, its compilation and its callbacks into files, or says by name what cannot travel.

Runs in: the process that calls `raytrain.fit`.
"""

from __future__ import annotations

import contextlib
import random
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any

import keras

from raytrain.errors import Problem, SpecError, UsageError
from raytrain.model.live import by_value, state
from raytrain.model.live.own_names import is_of_keras, own_names


def check_model(model: Any, callbacks: Sequence[Any]) -> None:
    """Refuses what `Model.fit` of one process could not train, or no other process could go on with.

    Raises:
        UsageError: it says what to do instead.
    """
    if keras.backend.backend() != "tensorflow":
        raise _refused(f"Keras on {keras.backend.backend()}", "Keras on TensorFlow", "KERAS_BACKEND=tensorflow")
    if not isinstance(model, keras.Model):
        kind = f"{type(model).__module__}.{type(model).__qualname__}"
        raise _refused(f"a {kind} as model", "a keras.Model of Keras 3", "import keras, not tf_keras")
    if not model.compiled:
        raise _refused(f"the model `{model.name}`, which is not compiled", "a compiled model", "model.compile(…) first")
    if model._distribute_strategy is not None:
        strategy = type(model._distribute_strategy).__name__
        way = "build and compile it outside of strategy.scope(): raytrain has a strategy of its own"
        raise _refused(f"the model `{model.name}`, made under a {strategy}", "a model of one process", way)
    for number, callback in enumerate(callbacks):
        if not isinstance(callback, keras.callbacks.Callback):
            raise _refused(f"callbacks[{number}], a {type(callback).__name__}", "keras callbacks")


def build(model: keras.Model, example: tuple[Any, ...]) -> None:
    """Makes every variable, as `Model.fit` would on its first batch.

    Args:
        example: a row of `x`, and of `y` and the weights where there are any.
    """
    build_all = getattr(model, "_symbolic_build", None)
    if callable(build_all):
        build_all(data_batch=example)
    elif not model.built:
        model(example[0])
    if model.optimizer is not None and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def packed(
    model: keras.Model,
    callbacks: Sequence[keras.callbacks.Callback],
    *,
    shares_this_machine: bool,
) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file.

    Args:
        shares_this_machine: the cluster runs here, so that it has the same packages and paths.

    Raises:
        SpecError: something of it cannot travel; its name, and what to do.
    """
    compiled = _compilation(model)
    names = own_names(model, compiled)
    functions = _functions(model)
    with by_value.own_modules_by_value(shares_this_machine=shares_this_machine), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of lambdas in layers, which travel by their source
        yield "names.pkl", _dumped(names, "the classes of the model", {})
        yield "functions.pkl", _dumped(functions, "the functions of the layers", {})
        parts = by_value.parts_of(model)
        yield "optimizer.pkl", _dumped(compiled["optimizer"], "the optimizer", {})
        parts["optimizer"] = compiled["optimizer"]
        resolve = _path_resolver(shares_this_machine=shares_this_machine)
        handed = {"compile": compiled, "callbacks": list(callbacks)}
        named = {"compile": compiled}
        named |= {f"callbacks[{number}]": callback for number, callback in enumerate(callbacks)}
        for name, part in named.items():
            _dumped(part, name, parts, resolve)
        yield "objects.pkl", by_value.dumps(handed, parts, resolve)
        with tempfile.TemporaryDirectory() as folder:
            saved = _saved(model, Path(folder) / "model.keras", try_it=bool(names))
            yield "model.keras", saved.read_bytes()
            state.save(Path(folder) / "state.npz", state.values_of(model))
            yield "state.npz", (Path(folder) / "state.npz").read_bytes()


def _functions(model: keras.Model) -> dict[int, dict[str, Any]]:
    """Functions that layers hold, by the layer's number and the attribute; Keras saves none with what it refers to."""
    found = {
        number: {
            name: value
            for name, value in vars(layer).items()
            if isinstance(value, FunctionType) and not hasattr(type(layer), name) and not is_of_keras(value)
        }
        for number, layer in enumerate(model._flatten_layers(include_self=False))
    }
    return {number: functions for number, functions in found.items() if functions}


def _compilation(model: keras.Model) -> dict[str, Any]:
    """The arguments of `compile`, as they were given."""
    if type(model).compile is not keras.Model.compile:
        raise SpecError(
            Problem(
                field="model",
                got=f"{type(model).__name__}, which has a compile() of its own",
                expected="a model that Keras' compile() compiles",
                fix="write a job whose model.py builds and compiles it, for raytrain.submit",
            )
        )
    return dict(model._compile_config.config)


def _saved(model: keras.Model, path: Path, *, try_it: bool) -> Path:
    """The model without its compilation, which travels beside it.

    Args:
        try_it: read it again, as it holds classes that may not come back from what they say of themselves.
    """
    drawn, compiled = random.getstate(), model.compiled
    model.compiled = False
    try:
        with _without_lambdas(model):
            model.save(path)
        if try_it:
            with keras.saving.custom_object_scope(own_names(model)):
                keras.saving.load_model(path, compile=False, safe_mode=False)
    except Exception as error:
        raise SpecError(
            Problem(
                field="model",
                got=f"the model `{model.name}`, which Keras cannot save and load: {_cause(error)}",
                expected="a model whose classes have a get_config() that says how to make them again",
                fix="add get_config() to the class; or write a job whose model.py builds the model",
            )
        ) from error
    finally:
        model.compiled = compiled
        random.setstate(drawn)
    return path


@contextlib.contextmanager
def _without_lambdas(model: keras.Model) -> Iterator[None]:
    """While the block runs, a function that Keras knows stands for each lambda that it could not load again."""
    layers = list(model._flatten_layers(include_self=False))
    replaced = [
        (layers[number], name, function)
        for number, functions in _functions(model).items()
        for name, function in functions.items()
        if function.__name__ == "<lambda>" and not isinstance(layers[number], keras.layers.Lambda)
    ]
    for layer, name, _ in replaced:
        setattr(layer, name, keras.activations.linear)
    try:
        yield
    finally:
        for layer, name, function in replaced:
            setattr(layer, name, function)


def _path_resolver(*, shares_this_machine: bool) -> Callable[[str], str]:
    """What becomes of a path that one of Keras' callbacks writes to."""

    def resolve(path: str) -> str:
        if "://" in path or Path(path).is_absolute():
            return path
        if shares_this_machine:
            return str(Path.cwd() / path)
        raise SpecError(
            Problem(
                field="callbacks",
                got=f"a callback that writes to {path}, which would lie on a node of the cluster",
                expected="an absolute path that this machine and the cluster see, or a URI such as s3://…",
            )
        )

    return resolve


def _dumped(value: Any, called: str, parts: dict[str, Any], resolve: Callable[[str], str] | None = None) -> bytes:
    try:
        return by_value.dumps(value, parts, resolve)
    except SpecError:
        raise
    except Exception as error:
        inner, why = _culprit(value, called, parts, error)
        raise SpecError(
            Problem(
                field=called.partition("[")[0] if called.startswith("callbacks") else "model",
                got=f"{inner}, which cannot travel to the workers: {why}",
                expected="values that can be pickled: numbers, texts, arrays, classes, functions of those",
                fix="make it where it is used, such as in on_train_begin(), or leave it out",
            )
        ) from error


def _culprit(value: Any, called: str, parts: dict[str, Any], error: Exception) -> tuple[str, str]:
    """The innermost attribute, item or name that cannot be pickled, and why."""
    if isinstance(value, dict):
        inner = {f"{called}[{key!r}]": item for key, item in value.items()}
    elif callable(value) and hasattr(value, "__code__"):
        free = dict(
            zip(value.__code__.co_freevars, (cell.cell_contents for cell in value.__closure__ or ()), strict=False)
        )
        used = {name: value.__globals__[name] for name in value.__code__.co_names if name in value.__globals__}
        inner = {f"`{name}` of {value.__name__}()": item for name, item in (used | free).items()}
    elif isinstance(value, type):
        inner = {f"{value.__name__}.{name}": item for name, item in vars(value).items() if callable(item)}
    else:
        called = f"{called} ({type(value).__name__})"
        inner = {f"{type(value).__name__}.{name}": item for name, item in getattr(value, "__dict__", {}).items()}
    for name, item in inner.items():
        with contextlib.suppress(RecursionError):
            try:
                by_value.dumps(item, parts)
            except Exception as failed:  # noqa: BLE001  of any kind
                return _culprit(item, name, parts, failed)
    return called, _cause(error)


def _cause(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__


def _refused(got: str, expected: str, fix: str = "") -> UsageError:
    return UsageError(Problem(got=got, expected=expected, fix=fix))
