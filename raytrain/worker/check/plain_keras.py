"""Trains the first rows with plain Keras in one process, as one would without raytrain.

Runs in: a process of a check. Nothing of Keras is mended here; what optimizers are handed is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf
from keras import tree
from keras.src.trainers.data_adapters.data_adapter_utils import class_weight_to_sample_weights

from raytrain.check_protocol import CheckFolder, CheckRequest
from raytrain.data.packed import Arrays, map_arrays, row_count
from raytrain.spec.job import JobSpec
from raytrain.worker import keras_objects
from raytrain.worker.adapt_layers import adapt_layers
from raytrain.worker.build_model import make_and_compile
from raytrain.worker.check.observer import Observer
from raytrain.worker.check.phase_file import Progress
from raytrain.worker.check.rows_file import read_rows
from raytrain.worker.check.takes_rows import check_class_weight, check_inputs, taking
from raytrain.worker.check.trained import Trained
from raytrain.worker.exact.keras_patches import build_if_possible, mend_optimizers
from raytrain.worker.load_base import load_base
from raytrain.worker.reporting_hook import scalars
from raytrain.worker.strategy import check_backend


def train_in_one_process(folder: CheckFolder, request: CheckRequest, progress: Progress, *, disturbed: bool) -> Trained:
    """What it comes to.

    Args:
        disturbed: as of `Observer`.

    Raises:
        UserCodeError: the job names what Keras does not have, or its parts do not fit each other or the rows.
        Whatever the user's code raises.
    """
    check_backend()
    mend_optimizers()
    spec, job = request.spec, folder.job
    keras.utils.set_random_seed(spec.fit.seed)
    progress.reach("building the model")
    strategy = tf.distribute.get_strategy()
    base = load_base(spec, job, job / request.base_model, strategy) if request.base_model else None
    model = make_and_compile(spec, job, base)
    callbacks = keras_objects.callbacks(spec.callbacks, job)
    progress.reach("waiting for the rows")
    progress.wait_for([folder.rows])
    splits = read_rows(folder)
    progress.reach("building the model on the first rows")
    adapt_layers(model, spec, lambda: iter([splits["train"]]), strategy)
    check_inputs(model, splits["train"], spec)
    check_class_weight(model, splits["train"], spec)
    with taking(model, splits["train"], spec):
        _build(model, next(iter(_batches(splits["train"], spec.fit.global_batch_size))))
    with Observer(strategy, progress, disturbed=disturbed) as observer:
        with taking(model, splits["train"], spec):
            _fit(model, spec, splits, [*callbacks, observer])
        if "test" in splits:
            tested = model.evaluate(_batches(splits["test"], spec.fit.global_batch_size), return_dict=True, verbose=0)
            observer.tell(scalars(tested), prefix="test_")
    trained = observer.trained
    trained.rows = {split: row_count(arrays) for split, arrays in splits.items()}
    return trained


def _fit(model: keras.Model, spec: JobSpec, splits: Mapping[str, Arrays], callbacks: list[Any]) -> None:
    batch, validation = spec.fit.global_batch_size, splits.get("validation")
    model.fit(
        _batches(_weighted(splits["train"], spec), batch),
        validation_data=None if validation is None else _batches(validation, spec.fit.validation_batch_size or batch),
        initial_epoch=spec.fit.initial_epoch,
        epochs=spec.fit.initial_epoch + 1,
        callbacks=callbacks,
        verbose=0,
    )


def _weighted(arrays: Arrays, spec: JobSpec) -> Arrays:
    """With the weight of each row's class, as `fit` makes it of arrays; of a dataset it wants one of every class."""
    if spec.fit.class_weight is None:
        return arrays
    return *arrays, class_weight_to_sample_weights(arrays[1], spec.fit.class_weight)


def _batches(arrays: Arrays, batch: int) -> tf.data.Dataset:
    rows = row_count(arrays)
    tensors = map_arrays(tf.convert_to_tensor, arrays[0] if len(arrays) == 1 else arrays)
    return tf.data.Dataset.from_tensor_slices(tensors).batch(batch, drop_remainder=rows % batch == 0)


def _build(model: keras.Model, batch: Any) -> None:
    """Makes every variable while random draws are still what they are; by tracing a step where Keras cannot."""
    if build_if_possible(model, batch) or model.run_eagerly:
        return
    specs = tree.map_structure(lambda tensor: tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype), batch)
    tf.function(model.train_step, autograph=False).get_concrete_function(specs)
