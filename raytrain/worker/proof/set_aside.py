"""What is set aside while a run proves its answer, since no two divisions of a batch have it alike.

Runs in: every Train worker.

Random draws of Keras (dropout, noise, augmentation, sampling) give what they give on average, and plain
BatchNormalization takes the statistics of the whole batch. The docs list both as what depends on the number of workers.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.tensorflow import random as keras_random

from raytrain.worker.exact.batch_normalization import plain_layers, synchronized

Draw = Callable[..., Any]


@contextlib.contextmanager
def set_aside(model: keras.Model) -> Iterator[set[str]]:
    """While the block runs; what was set aside, by name, is known at its end."""
    found: set[str] = set()
    plain = plain_layers(model)
    if plain:
        found.add("BatchNormalization")
    with contextlib.ExitStack() as ending:
        if plain:
            ending.enter_context(synchronized())
        for name, on_average in _ON_AVERAGE.items():
            ending.callback(setattr, keras_random, name, getattr(keras_random, name))
            setattr(keras_random, name, _noting(name, on_average, found))
        yield found


def _noting(name: str, on_average: Draw, found: set[str]) -> Draw:
    @functools.wraps(getattr(keras_random, name))
    def draw(*args: Any, **kwargs: Any) -> Any:
        found.add("dropout" if name == "dropout" else "random draws")
        return on_average(*args, **kwargs)

    return draw


def _dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
    return tf.convert_to_tensor(inputs)


def _normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    return tf.fill(shape, tf.cast(mean, dtype or keras.config.floatx()))


def _uniform(shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    return tf.fill(shape, tf.cast((minval + maxval) / 2, dtype or keras.config.floatx()))


def _randint(shape: Any, minval: int, maxval: int, dtype: str = "int32", seed: Any = None) -> Any:
    return tf.fill(shape, tf.cast(minval, dtype))


def _categorical(logits: Any, num_samples: int, dtype: str = "int64", seed: Any = None) -> Any:
    return tf.repeat(tf.argmax(logits, axis=-1, output_type=tf.int64)[:, None], num_samples, axis=1)


def _shuffle(x: Any, axis: int = 0, seed: Any = None) -> Any:
    return tf.convert_to_tensor(x)


def _gamma(shape: Any, alpha: Any, dtype: Any = None, seed: Any = None) -> Any:
    return tf.broadcast_to(tf.cast(alpha, dtype or keras.config.floatx()), shape)


def _binomial(shape: Any, counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None) -> Any:
    kind = dtype or keras.config.floatx()
    return tf.broadcast_to(tf.round(tf.cast(counts, kind) * tf.cast(probabilities, kind)), shape)


def _beta(shape: Any, alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> Any:
    kind = dtype or keras.config.floatx()
    alpha, beta = tf.cast(alpha, kind), tf.cast(beta, kind)
    return tf.broadcast_to(alpha / (alpha + beta), shape)


_ON_AVERAGE: dict[str, Draw] = {
    "dropout": _dropout,
    "normal": _normal,
    "truncated_normal": _normal,
    "uniform": _uniform,
    "randint": _randint,
    "categorical": _categorical,
    "shuffle": _shuffle,
    "gamma": _gamma,
    "binomial": _binomial,
    "beta": _beta,
}
