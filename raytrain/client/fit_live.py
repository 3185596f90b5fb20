"""`raytrain.fit`: trains a model of this process on the workers of a cluster, where `model.fit` stood."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raytrain.client.live_job import LiveJob
from raytrain.client.read_job import Overrides
from raytrain.errors import Problem, UsageError
from raytrain.spec.python_refs import LIVE_MODEL_FILE

if TYPE_CHECKING:
    import keras

    from raytrain.model.live.rows import Rows

_training: set[int] = set()  # the ids of the models that are being trained
_lock = threading.Lock()


def fit(
    model: keras.Model,
    x: Any = None,
    y: Any = None,
    batch_size: int | None = None,
    epochs: int = 1,
    verbose: int | str = "auto",
    callbacks: Sequence[keras.callbacks.Callback] | keras.callbacks.Callback | None = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    shuffle: bool = True,
    class_weight: Mapping[int, float] | None = None,
    sample_weight: Any = None,
    initial_epoch: int = 0,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    validation_batch_size: int | None = None,
    validation_freq: int = 1,
    *,
    workers: int = 1,
    seed: int = 0,
    name: str | None = None,
    storage: str | os.PathLike[str] | None = None,
    address: str | None = None,
    overrides: Overrides | None = None,
) -> keras.callbacks.History:
    """Trains a compiled model as `model.fit` does, on the workers of a Ray cluster.

    It makes a job of the model and the rows, runs it where `raytrain.submit` would, shows its progress, and puts the
    weights, the optimizer's state, the callbacks' state and the history back. With `shuffle=False` the result is that
    of `model.fit`; with `shuffle=True` that of `model.fit` on raytrain's order of each epoch, which depends on `seed`
    and the epoch's number alone. A second call goes on from the first.

    Layers, losses, metrics, callbacks and functions that are defined in the notebook or script travel with it.
    Callbacks run on the workers. Interrupting it stops the run after its step, keeps what was trained, and raises
    KeyboardInterrupt.

    Args:
        model: compiled, and made outside of any strategy's scope.
        x, y: arrays, frames or tensors of as many rows, shape (rows, …), or dicts, lists or tuples of them; or `x` a
            `tf.data.Dataset` of batches, read once in its own order, whose batch size counts as `batch_size`; or `x` a
            Ray Dataset, of which `y` (and `sample_weight`) name columns. Its others are the inputs of those names, or
            stand side by side; this process reads them all, in the dataset's order.
        batch_size: the batch that the optimizer sees, whatever the number of workers; 32 when left out.
        epochs, initial_epoch: numbers of epochs, as in `model.fit`: those from `initial_epoch` to before `epochs`.
        verbose: 0 shows nothing.
        callbacks: one, or several; those that write files need paths that the workers see.
        validation_split: a part of the rows, the last ones.
        validation_data: `(x, y)`, `(x, y, sample_weight)`, a dataset of batches, or a Ray Dataset of such columns.
        shuffle: False keeps the rows' order, every epoch.
        class_weight: the weight of each class, by its number.
        sample_weight: shape (rows,), or one for each output.
        steps_per_epoch, validation_steps: refused.
        validation_batch_size: `batch_size` when left out.
        validation_freq: epochs from one validation to the next.
        workers: how many processes train.
        seed: of the order of the rows and of random draws.
        name: of the job; the model's when left out.
        storage: the directory that keeps the run, which this machine and the cluster see; `~/raytrain` when left out.
        address: Ray's dashboard, as for `submit`.
        overrides: further fields of the job, such as `{"scaling.cpus_per_worker": 2}`.

    Returns:
        Keras' own History, which is the model's `history` too.

    Raises:
        UsageError: an argument that no run could honour; nothing was started.
        SpecError: something cannot travel, and its name; or a value that no job takes. Nothing was started.
        ClusterError: as `submit`.
        RunFailed: with the user's own file and line first; the model is as it was.
        RunStopped: somebody else stopped the run; the model has what was trained.

    Example:
        >>> import keras, numpy as np
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        >>> model.compile(optimizer="adam", loss="mse")
        >>> x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
        >>> history = raytrain.fit(model, x, x.sum(axis=1), epochs=2, batch_size=16, workers=2, verbose=0)
        >>> sorted(history.history), history.epoch
        (['loss'], [0, 1])
        >>> int(model.optimizer.iterations)
        8
    """
    from raytrain.model.live.hand_over import build, check_model
    from raytrain.model.live.ray_columns import columns_of, is_ray_dataset
    from raytrain.model.live.rows import last_rows, rows_given, validation_given

    given = [callbacks] if callbacks is not None and not isinstance(callbacks, list | tuple) else list(callbacks or ())
    check_model(model, given)
    _refuse_steps(steps_per_epoch=steps_per_epoch, validation_steps=validation_steps)
    _refuse_odd(shuffle, validation_freq, class_weight, sample_weight, y)
    validation_data = _arrays_of_ray(validation_data, y, sample_weight, model)
    if is_ray_dataset(x):
        x, y, sample_weight = columns_of(x, y, sample_weight, model)
    train = rows_given(x, y, sample_weight)
    validation = validation_given(validation_data) if validation_data is not None else None
    if validation is None and validation_split:
        train, validation = last_rows(train, validation_split)
    fields = {
        "name": name or _job_name(model.name),
        "callbacks": f"{LIVE_MODEL_FILE}:callbacks",
        "model": f"{LIVE_MODEL_FILE}:build_model",
        "fit": {
            "epochs": epochs,
            "initial_epoch": initial_epoch,
            "global_batch_size": train.batch_size or batch_size or 32,
            "seed": seed,
            "validation_freq": validation_freq,
            **_said(validation_batch_size=_validation_batch(validation, validation_batch_size)),
            **_said(class_weight={int(key): float(value) for key, value in (class_weight or {}).items()} or None),
        },
        "scaling": {"workers": workers},
    }
    with _alone(model):
        if epochs <= initial_epoch:
            return _nothing_to_train(model)
        build(model, train.example())
        job = LiveJob(model, given, fields, shuffle=shuffle and train.batch_size is None, quiet=verbose == 0)
        return job.run(train, validation, storage=storage, address=address, overrides=overrides)


def _arrays_of_ray(data: Any, y: Any, sample_weight: Any, model: keras.Model) -> Any:
    """Validation data as they are, but for a Ray Dataset, whose columns are named with it or are those of training."""
    from raytrain.model.live.ray_columns import columns_of, is_ray_dataset

    dataset = data
    if isinstance(data, tuple | list) and len(data) <= 3:
        dataset, y, sample_weight = (*data, None, None, None)[:3]
    return columns_of(dataset, y, sample_weight, model, "validation_data") if is_ray_dataset(dataset) else data


@contextlib.contextmanager
def _alone(model: keras.Model) -> Iterator[None]:
    """Refuses a model that another call is training."""
    with _lock:
        if id(model) in _training:
            got = f"the model `{model.name}`, which another call of raytrain.fit is training"
            raise UsageError(Problem(got=got, expected="one call at a time", fix="keras.models.clone_model(model)"))
        _training.add(id(model))
    try:
        yield
    finally:
        _training.discard(id(model))


def _refuse_steps(**given: int | None) -> None:
    for name, value in given.items():
        if value is not None:
            fix = "leave it out; fewer rows make fewer steps: x[:steps * batch_size]"
            raise UsageError(Problem(got=f"{name}={value}", expected="epochs that go through every row once", fix=fix))


def _refuse_odd(
    shuffle: Any, validation_freq: Any, class_weight: Mapping[int, float] | None, sample_weight: Any, y: Any
) -> None:
    """What Keras itself refuses, or takes in a form that no job has."""
    if not isinstance(shuffle, bool):
        raise UsageError(Problem(got=f"shuffle={shuffle!r}", expected="True or False"))
    if not isinstance(validation_freq, int):
        raise UsageError(Problem(got=f"validation_freq={validation_freq!r}", expected="a whole number"))
    if class_weight and (sample_weight is not None or isinstance(y, dict | list | tuple)):
        got = "class_weight beside sample_weight" if sample_weight is not None else "class_weight for several outputs"
        raise UsageError(Problem(got=got, expected="one of them, for one output", fix="sample_weight says both"))


def _validation_batch(validation: Rows | None, asked: int | None) -> int | None:
    return (validation.batch_size if validation is not None else None) or asked


def _said(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _job_name(name: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:40] or "model"


def _nothing_to_train(model: keras.Model) -> keras.callbacks.History:
    """As `model.fit` does where `epochs` are done already."""
    keras = sys.modules["keras"]
    history: Any = keras.callbacks.History()
    history.set_model(model)
    history.on_train_begin()
    model.history = history
    return history
