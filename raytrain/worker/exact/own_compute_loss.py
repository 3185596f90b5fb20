"""A model's own `compute_loss`, computed over all workers' rows.

Runs in: every Train worker, within a step.

It returns one number for a batch, and makes of the batch what it likes: it divides by what it counts in it, picks rows,
sets them against each other. So each worker is handed the rows of all, and gradients flow back to where they are from.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf
from keras import tree
from keras.src import backend

from raytrain.worker.exact import current_step
from raytrain.worker.exact.gather_rows import Parts, can_be_sent
from raytrain.worker.exact.metric_pooling import is_alike
from raytrain.worker.exact.patching import is_of_keras, replaced
from raytrain.worker.exact.whole_batch import check_gradients_come_back
from raytrain.worker.variables import local


@contextlib.contextmanager
def over_all_rows(model: keras.Model) -> Iterator[None]:
    """The model's `compute_loss`, where it is the user's, takes all workers' rows while the block, a step, runs."""
    own = model.compute_loss
    if is_of_keras(getattr(own, "__func__", own)):
        yield
        return

    def compute_loss(*args: Any, **kwargs: Any) -> Any:
        if not current_step.is_shared() or current_step.is_conditional():
            return own(*args, **kwargs)
        check_gradients_come_back("compute_loss")
        leaves = tree.flatten((args, kwargs))
        sent = _sent(leaves, lambda replaced: own_loss(*_packed(args, kwargs, replaced)))
        return own_loss(*_packed(args, kwargs, _of_all_workers(leaves, sent)))

    def own_loss(args: Any, kwargs: Any) -> Any:
        with current_step.over_all_rows(), _counted_once(model):
            return own(*args, **kwargs)

    with replaced(model, "compute_loss", compute_loss):
        yield


def _packed(args: Any, kwargs: Any, leaves: list[Any]) -> tuple[Any, Any]:
    return tree.pack_sequence_as((args, kwargs), leaves)  # type: ignore[no-any-return]


def _sent(leaves: list[Any], loss_of: Callable[[list[Any]], Any]) -> list[int]:
    """Which of the arguments' tensors the loss depends on, and so must be sent; the inputs, say, it seldom does.

    It is found by computing the loss in a graph that nobody runs.
    """
    candidates = [index for index, leaf in enumerate(leaves) if can_be_sent(leaf)]
    with tf.__internal__.FuncGraph("compute_loss").as_default():
        stand_ins = list(leaves)
        for index in candidates:
            leaf = leaves[index]
            stand_ins[index] = tf.compat.v1.placeholder(leaf.dtype, [None, *leaf.shape[1:]])
            if (mask := backend.get_keras_mask(leaf)) is not None:
                backend.set_keras_mask(stand_ins[index], tf.compat.v1.placeholder(mask.dtype, [None, *mask.shape[1:]]))
        try:
            loss_of(stand_ins)
        except Exception:  # noqa: BLE001  the user's code, which is called with the rows themselves next
            return candidates
        return [index for index in candidates if stand_ins[index].consumers() or _mask_is_used(stand_ins[index])]


def _mask_is_used(tensor: tf.Tensor) -> bool:
    mask = backend.get_keras_mask(tensor)
    return mask is not None and bool(mask.consumers())


def _of_all_workers(leaves: list[Any], sent: list[int]) -> list[Any]:
    """The arguments, those at `sent` with all workers' rows, and with their masks."""
    masks = {index: mask for index in sent if (mask := backend.get_keras_mask(leaves[index])) is not None}
    rows = Parts([*(leaves[index] for index in sent), *masks.values()]).gathered() if sent else []
    found = list(leaves)
    for index, tensor in zip([*sent], rows, strict=False):
        found[index] = tensor
    for index, mask in zip(masks, rows[len(sent) :], strict=True):
        backend.set_keras_mask(found[index], mask)
    return found


@contextlib.contextmanager
def _counted_once(model: keras.Model) -> Iterator[None]:
    """The model's metrics are updated by the first worker alone, since all have the same rows."""
    metrics = {id(metric): metric for metric in model.metrics}.values()
    with contextlib.ExitStack() as mended:
        for metric in metrics:
            mended.enter_context(replaced(metric, "update_state", _by_first_worker(metric)))
        yield


def _by_first_worker(metric: keras.metrics.Metric) -> Callable[..., Any]:
    update_state = metric.update_state

    def update(*args: Any, **kwargs: Any) -> Any:
        strategy = tf.distribute.get_strategy()
        if strategy.cluster_resolver.task_id == 0:
            return update_state(*args, **kwargs)
        copies = [local(strategy, variable) for variable in metric.variables if not is_alike(variable)]
        before = [copy.read_value() for copy in copies]
        returned = update_state(*args, **kwargs)
        for copy, value in zip(copies, before, strict=True):
            copy.assign(value)
        return returned

    return update
