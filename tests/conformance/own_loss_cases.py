"""A `compute_loss` of the user's own that counts something in its batch, and layers that keep state."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.conformance.cases import ADAM, BCE, make, mlp
from tests.conformance.gradient_cases import SERIALIZABLE, on_each_last_batch
from tests.worker.pool import Case

SPECTRAL = mlp(ADAM, layers="keras.layers.SpectralNormalization(keras.layers.Dense(8)),")
EACH_STEP = mlp(
    ADAM,
    layers="Counted(),",
    before=f"""
{SERIALIZABLE}
class Counted(keras.layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")
        self.average = self.add_weight(shape=(shape[-1],), initializer="zeros", trainable=False)
        self.steps = self.add_weight(initializer="zeros", trainable=False)
    def call(self, x, training=False):
        if training:
            self.steps.assign(self.steps * 0.9 + 0.1)
            self.average.assign(0.7 * self.average + 0.3 * self.scale)
        return x * self.scale * (1.0 + 0.5 * self.steps) + 0.5 * self.average
""",
)
STATE = {
    **on_each_last_batch("SpectralNormalization", SPECTRAL),
    **on_each_last_batch("a counter and an average of weights", EACH_STEP),
    "a counter and an average of weights, run eagerly": make(
        EACH_STEP.replace(BCE, f"{BCE}, run_eagerly=True"), train=33, epochs=2
    ),
    "SpectralNormalization, batches of fewer rows than workers": make(SPECTRAL, train=9, fit={"global_batch_size": 2}),
    "SpectralNormalization, batches of one row": make(SPECTRAL, train=5, fit={"global_batch_size": 1}),
}


def boxes(seed: int, rows: int) -> tuple[Any, ...]:
    generator = np.random.default_rng(seed)
    classes = generator.integers(0, 3, (rows, 5))
    classes[np.arange(5)[None] >= generator.integers(1, 6, rows)[:, None]] = -1
    places = generator.random((rows, 5, 4), dtype=np.float32)
    images = generator.random((rows, 8, 8, 1), dtype=np.float32)
    return images, {"boxes": places, "classes": classes.astype(np.float32)}


DETECTOR = f"""
import keras
from keras import layers, ops
{SERIALIZABLE}
class Detector(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        classes = ops.cast(y["classes"], "int32")
        positive = ops.cast(ops.greater(classes, -1), "float32")
        normalizer = ops.maximum(ops.sum(positive), 1.0)
        one_hot = ops.one_hot(ops.maximum(classes, 0), 3) * positive[..., None]
        y_true = {{"boxes": y["boxes"], "classes": one_hot}}
        weights = {{"boxes": positive / normalizer, "classes": ops.ones_like(positive) / normalizer}}
        return super().compute_loss(x=x, y=y_true, y_pred=y_pred, sample_weight=weights)
def build_model():
    i = keras.Input((8, 8, 1))
    h = layers.Flatten()(layers.Conv2D(4, 3, activation="relu", strides=2)(i))
    boxes = layers.Reshape((5, 4), name="boxes")(layers.Dense(20, kernel_regularizer="l2")(h))
    classes = layers.Reshape((5, 3), name="classes")(layers.Dense(15, activity_regularizer="l2")(h))
    model = Detector(i, {{"boxes": boxes, "classes": classes}})
    model.compile(
        optimizer=keras.optimizers.SGD(0.01, momentum=0.9, global_clipnorm=10.0),
        loss={{
            "boxes": keras.losses.Huber(reduction="sum"),
            "classes": keras.losses.BinaryFocalCrossentropy(from_logits=True, reduction="sum"),
        }},
    )
    return model
"""


def detector(model_py: str, rows: int, epochs: int = 2) -> Case:
    splits = {"train": boxes(1, rows), "validation": boxes(2, 13), "test": boxes(3, 17)}
    return Case(model_py=model_py, spec={"fit": {"epochs": epochs, "global_batch_size": 16}}, splits=splits)


def with_compute_loss(lines: str, compiled: str, *, before: str = "", kind: str = "(6,)", net: str = "") -> str:
    """A user's file whose model's `compute_loss` has these lines."""
    body = "\n".join(f"        {line}" for line in lines.strip().splitlines())
    net = net or 'keras.layers.Dense(1, activation="sigmoid")(keras.layers.Dense(5, activation="tanh")(x))'
    return f"""
import keras
from keras import ops
{before}
{SERIALIZABLE}
class Own(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
{body}
def build_model():
    x = keras.Input({kind})
    model = Own(x, {net})
    model.compile(optimizer=keras.optimizers.SGD(0.05), {compiled})
    return model
"""


COUNTED: dict[str, Case] = {
    **{f"a detector's positives, {rows} rows": detector(DETECTOR, rows) for rows in (128, 129, 130)},
    "a detector's positives, run eagerly": detector(
        DETECTOR.replace("        loss={", "        run_eagerly=True, loss={"), 33, 1
    ),
    "a sum divided by the number of rows": make(
        with_compute_loss(
            "return super().compute_loss(y=y, y_pred=y_pred) / ops.cast(ops.shape(y_pred)[0], 'float32')",
            'loss=keras.losses.BinaryCrossentropy(reduction="sum")',
        ),
        train=129,
    ),
    "a sum that is divided by a number": make(
        with_compute_loss(
            "return super().compute_loss(y=y, y_pred=y_pred) / 16.0",
            'loss=keras.losses.BinaryCrossentropy(reduction="sum")',
        ),
        train=129,
    ),
    "rows of a kind, by hand": make(
        with_compute_loss(
            """
wanted = ops.cast(x[:, 2] > 0.3, "float32")
rows = ops.square(y_pred[:, 0] - y) * wanted
return ops.sum(rows) / (ops.sum(wanted) + 1e-3) + sum(self.losses)
""",
            'loss="mse"',
            net='keras.layers.Dense(1, kernel_regularizer="l2")(x)',
        ),
        "regression",
        train=129,
    ),
    "with metrics in it": make(
        with_compute_loss(
            """
wanted = ops.cast(x[:, 2] > 0.3, "float32")
loss = ops.sum(ops.square(y_pred[:, 0] - y) * wanted) / (ops.sum(wanted) + 1e-3)
self.kept.update_state(loss)
self.rows.update_state(ops.square(y_pred[:, 0] - y))
self.total.update_state(wanted)
return loss
""",
            'loss="mse"',
            net="keras.layers.Dense(1)(x)",
        ).replace(
            "    model.compile",
            '    model.kept, model.rows = keras.metrics.Mean(name="kept"), keras.metrics.Mean(name="rows")\n'
            '    model.total = keras.metrics.Sum(name="total")\n    model.compile',
        ),
        "regression",
        train=129,
    ),
    "of words with a mask": make(
        with_compute_loss(
            "return super().compute_loss(y=y, y_pred=y_pred, sample_weight=ops.ones_like(y) / ops.sum(y))",
            'loss=keras.losses.BinaryCrossentropy(reduction="sum")',
            kind="(7,)",
            net='keras.layers.Dense(1, activation="sigmoid")('
            "keras.layers.GRU(6, return_sequences=True)(keras.layers.Embedding(30, 5, mask_zero=True)(x)))",
        ),
        "tagged tokens",
        train=129,
    ),
    "with weighted rows": make(
        with_compute_loss(
            """
weights = sample_weight / ops.sum(sample_weight)
return super().compute_loss(y=y, y_pred=y_pred, sample_weight=weights)
""",
            'loss=keras.losses.BinaryCrossentropy(reduction="sum")',
        ),
        "weighted",
        train=129,
    ),
}

GROUPS: dict[str, dict[str, Case]] = {"state of each step": STATE, "counted over the batch": COUNTED}
