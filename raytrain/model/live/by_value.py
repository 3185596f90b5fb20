"""Pickles what a live process holds so that it can be unpickled where its own code is not there.

Runs in: the process that calls `raytrain.fit`, and the chief, which sends back what changed.

Classes and functions of a notebook, of the script that runs, and of packages that only this process has, travel by
their source; those of packages that the cluster has, by their names. The model and its parts are not pickled: they
stand as names, and become the parts of the model over there.
"""

from __future__ import annotations

import contextlib
import copyreg
import functools
import importlib.metadata
import io
import pickle
import re
import site
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import keras

from raytrain.model.live.quiet_import import cloudpickle
from raytrain.model.live.state import variables_of

# Where Keras' own callbacks write, a path each.
WRITES_TO = {
    keras.callbacks.ModelCheckpoint: "filepath",
    keras.callbacks.CSVLogger: "filename",
    keras.callbacks.TensorBoard: "log_dir",
    keras.callbacks.BackupAndRestore: "backup_dir",
}


def parts_of(model: keras.Model) -> dict[str, Any]:
    """The model and what it is made of, by names that say the same on both sides."""
    layers = {f"layer {number}": layer for number, layer in enumerate(model._flatten_layers(include_self=False))}
    variables = {f"variable {number}": variable for number, variable in enumerate(variables_of(model))}
    return {"model": model, **layers, **variables}


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    def __init__(self, file: Any, parts: Mapping[str, Any], resolve: Callable[[str], str] | None) -> None:
        super().__init__(file)
        self._names = {id(part): name for name, part in parts.items() if part is not None}
        self._resolve = resolve

    def persistent_id(self, obj: Any) -> str | None:
        return self._names.get(id(obj))

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is keras.metrics.MeanMetricWrapper and hasattr(
            obj, "_fn_kwargs"
        ):  # whose function may be a lambda
            return _wrapped, (obj._fn, obj.name, obj.dtype, obj._fn_kwargs)
        if isinstance(obj, keras.Optimizer | keras.Metric):
            return _from_config, (type(obj), obj.get_config())
        if isinstance(obj, keras.Loss):
            return copyreg.__newobj__, (type(obj),), vars(obj)  # type: ignore[attr-defined]
        if isinstance(obj, keras.callbacks.Callback) and not _says_how(type(obj)):
            return copyreg.__newobj__, (type(obj),), self._state(obj)  # type: ignore[attr-defined]
        return super().reducer_override(obj)

    def _state(self, callback: keras.callbacks.Callback) -> dict[str, Any]:
        state = {name: value for name, value in vars(callback).items() if name != "_model"}
        for kind, name in WRITES_TO.items():
            if self._resolve is not None and isinstance(callback, kind) and isinstance(state.get(name), str):
                state[name] = self._resolve(state[name])
        return state


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: Any, parts: Mapping[str, Any]) -> None:
        super().__init__(file)
        self._parts = parts

    def persistent_load(self, name: str) -> Any:
        return self._parts[name]


def dumps(value: Any, parts: Mapping[str, Any], resolve: Callable[[str], str] | None = None) -> bytes:
    """The value as bytes.

    Args:
        parts: what stands as a name, as `parts_of` gives it.
        resolve: makes a path that a callback writes to one that the workers understand.

    Raises:
        Whatever says that something of it cannot be pickled: TypeError, PicklingError, …
    """
    buffer = io.BytesIO()
    _Pickler(buffer, parts, resolve).dump(value)
    return buffer.getvalue()


def loads(content: bytes, parts: Mapping[str, Any]) -> Any:
    return _Unpickler(io.BytesIO(content), parts).load()


@contextlib.contextmanager
def own_modules_by_value(*, shares_this_machine: bool) -> Iterator[None]:
    """While the block runs, modules that only this process has are pickled by their source.

    Args:
        shares_this_machine: the cluster has whatever is installed here.
    """
    chosen: list[ModuleType] = []
    known = cloudpickle.list_registry_pickle_by_value()
    for name, module in list(sys.modules.items()):
        is_top = isinstance(module, ModuleType) and "." not in name and name not in known
        if is_top and is_own(module, shares_this_machine=shares_this_machine):
            cloudpickle.register_pickle_by_value(module)
            chosen.append(module)
    try:
        yield
    finally:
        for module in chosen:
            cloudpickle.unregister_pickle_by_value(module)


def is_own(module: ModuleType, *, shares_this_machine: bool) -> bool:
    """Whether only this process has a module: no cluster has its file, or its package."""
    name, file = str(vars(module).get("__name__")), vars(module).get("__file__")
    path = file or next(iter(vars(module).get("__path__", ())), None)
    if name in ("__main__", "__mp_main__", "raytrain") or name in sys.stdlib_module_names or not isinstance(path, str):
        return False  # cloudpickle itself takes what `__main__` defines by its source
    if not any(Path(path).is_relative_to(folder) for folder in _installed()):
        return True
    return not shares_this_machine and name not in _of_raytrain()


def _from_config(kind: Any, config: dict[str, Any]) -> Any:
    return kind.from_config(config)


def _wrapped(function: Any, name: str, dtype: Any, arguments: dict[str, Any]) -> keras.Metric:
    return keras.metrics.MeanMetricWrapper(function, name=name, dtype=dtype, **arguments)


def _says_how(kind: type) -> bool:
    """Whether a class has its own way of being pickled."""
    return any(
        getattr(kind, name, None) is not getattr(object, name, None)
        for name in ("__reduce__", "__reduce_ex__", "__getstate__")
    )


@functools.cache
def _installed() -> tuple[Path, ...]:
    named = sysconfig.get_paths()
    folders = [*site.getsitepackages(), site.getusersitepackages(), *(named[name] for name in ("stdlib", "platstdlib"))]
    return tuple(Path(folder) for folder in folders)


@functools.cache
def _of_raytrain() -> frozenset[str]:
    """The top modules of raytrain's own requirements and of theirs, which every cluster has."""
    waiting, seen = ["raytrain"], set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                needs = [text for text in importlib.metadata.requires(name) or () if "extra ==" not in text]
                waiting += [_normal(re.split(r"[^\w.-]", text, maxsplit=1)[0]) for text in needs]
    tops = importlib.metadata.packages_distributions()
    return frozenset(top for top, owners in tops.items() if any(_normal(owner) in seen for owner in owners))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
