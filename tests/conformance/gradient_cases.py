"""Gradients and optimizers of the user's own: sparse gradients, own `apply`, steps with two gradients, kept state."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.conformance.cases import ADAM, BCE, make, mlp
from tests.worker.pool import Case

SERIALIZABLE = '@keras.saving.register_keras_serializable("case")'


def on_each_last_batch(name: str, model_py: str, kind: str = "binary", **spec: Any) -> dict[str, Case]:
    """A case whose last batch is whole, has one row, and has two."""
    return {f"{name}, {rows} rows": make(model_py, kind, train=rows, **spec) for rows in (128, 129, 130)}


def looked_up(
    optimizer: str, positions: str, *, add: str = "words + places", more: str = "", compiled: str = ""
) -> str:
    """A user's file whose model adds to each word's embedding that of `positions`, made of `x`, (rows, 7)."""
    return f"""
import keras
import tensorflow as tf
from keras import layers, ops
{SERIALIZABLE}
class Words(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.words, self.places = layers.Embedding(30, 4), layers.Embedding(30, 4)
    def call(self, x):
        words, places = self.words(x), self.places({positions})
        return {add}
{more}
def build_model():
    x = keras.Input((7,))
    y = layers.Dense(1, activation="sigmoid")(layers.Flatten()(Words()(x)))
    model = keras.Model(x, y)
    model.compile(optimizer={optimizer}, loss="binary_crossentropy"{compiled})
    return model
"""


ADAM_SPARSE = "keras.optimizers.Adam(0.01)"
POSITIONS = "ops.arange(7)"

OWN_STEP = """
class Own(keras.Model):
    {decorator}
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {{"loss": loss}}
"""


def in_own_step(decorator: str) -> str:
    file = looked_up(ADAM_SPARSE, POSITIONS, more=SERIALIZABLE + OWN_STEP.format(decorator=decorator))
    return file.replace("keras.Model(x, y)", "Own(x, y)")


SPARSE: dict[str, Case] = {
    **on_each_last_batch("positions of a known length", looked_up(ADAM_SPARSE, POSITIONS), "tokens"),
    "positions of a length that is found as the step runs": make(
        looked_up(ADAM_SPARSE, "tf.range(tf.shape(x)[1])"), "tokens", train=129
    ),
    "positions for each row": make(
        looked_up(ADAM_SPARSE, "ops.broadcast_to(ops.arange(7), ops.shape(x))"), "tokens", train=128
    ),
    "positions for each row, found as the step runs": make(
        looked_up(ADAM_SPARSE, "tf.tile(tf.range(tf.shape(x)[1])[None], [tf.shape(x)[0], 1])"), "tokens", train=129
    ),
    "positions that come more than once": make(
        looked_up(ADAM_SPARSE, "ops.abs(ops.arange(7)[:, None] - ops.arange(7))", add="words + ops.sum(places, 0)"),
        "tokens",
        train=130,
    ),
    "one table for words and positions": make(
        looked_up(ADAM_SPARSE, POSITIONS, add="words + self.words(ops.arange(7)) + places"), "tokens", train=129
    ),
    "one table for words and positions, run eagerly": make(
        looked_up(
            ADAM_SPARSE,
            POSITIONS,
            add="words + self.words(ops.arange(7)) + places",
            compiled=", run_eagerly=True",
        ),
        "tokens",
        train=49,
        epochs=1,
    ),
    "positions kept in a variable": make(
        looked_up(ADAM_SPARSE, "self.order", add="words + places").replace(
            "    def call(self, x):",
            "        self.order = self.add_weight(shape=(7,), dtype='int32', initializer='ones', trainable=False)\n"
            "    def call(self, x):",
        ),
        "tokens",
        train=129,
    ),
    "each row's number of words": make(
        looked_up(ADAM_SPARSE, "ops.sum(ops.cast(x > 0, 'int32'), 1, keepdims=True)"), "tokens", train=129
    ),
    "in a step of one's own": make(in_own_step(""), "tokens", train=129),
    "in a step of one's own that is a tf.function": make(in_own_step("@tf.function"), "tokens", train=129),
    **{
        f"positions, {optimizer}": make(looked_up(f"keras.optimizers.{optimizer}", POSITIONS), "tokens", train=129)
        for optimizer in (
            "SGD(0.1, momentum=0.9)",
            "AdamW(0.01)",
            "RMSprop(0.01)",
            "Adagrad(0.1)",
            "Nadam(0.01)",
            "Adamax(0.01)",
            "Lamb(0.01)",
            "Adam(0.01, clipnorm=0.01)",
            "Adam(0.01, global_clipnorm=0.01)",
        )
    },
}

CLIPPING = f"""
import keras
import tensorflow as tf
from keras import ops
def clipped(grads, variables):
    found = []
    for grad, variable in zip(grads, variables):
        most, norm = 0.01 * ops.maximum(ops.norm(ops.convert_to_tensor(variable)), 1e-3), ops.norm(grad)
        found.append(ops.where(norm < most, grad, grad * (most / ops.maximum(norm, 1e-6))))
    return found
{SERIALIZABLE}
class InApply(keras.optimizers.SGD):
    def apply(self, grads, trainable_variables=None):
        super().apply(clipped(grads, trainable_variables or self._trainable_variables), trainable_variables)
{SERIALIZABLE}
class InApplyGradients(keras.optimizers.Adam):
    def apply_gradients(self, grads_and_vars):
        grads, variables = zip(*grads_and_vars)
        return super().apply_gradients(zip(clipped(grads, variables), variables))
{SERIALIZABLE}
class InBoth(InApply):
    def apply_gradients(self, grads_and_vars):
        grads, variables = zip(*grads_and_vars)
        self.apply(clipped(grads, variables), variables)
{SERIALIZABLE}
class InUpdateStep(keras.optimizers.SGD):
    def update_step(self, gradient, variable, learning_rate):
        super().update_step(clipped([gradient], [variable])[0], variable, learning_rate)
{SERIALIZABLE}
class Alone(keras.optimizers.Optimizer):
    def update_step(self, gradient, variable, learning_rate):
        self.assign_sub(variable, learning_rate * ops.sign(gradient) * ops.sqrt(ops.abs(gradient)))
{SERIALIZABLE}
class WithoutSuper(keras.optimizers.SGD):
    def apply(self, grads, trainable_variables=None):
        for grad, variable in zip(clipped(grads, trainable_variables), trainable_variables):
            variable.assign_sub(0.1 * grad)
{SERIALIZABLE}
class Around(keras.optimizers.Optimizer):
    def __init__(self, inner=None, **kwargs):
        super().__init__(learning_rate=0.1)
        self.inner = inner or keras.optimizers.Adam(0.01)
    def build(self, variables):
        super().build(variables)
        self.inner.build(variables)
    def apply(self, grads, trainable_variables=None):
        self.inner.apply(clipped(grads, trainable_variables), trainable_variables)
"""


def with_optimizer(optimizer: str, before: str = CLIPPING) -> str:
    return mlp(f"optimizer={optimizer}, {BCE}", before=before)


def with_train_step(
    step: str, optimizer: str = "keras.optimizers.SGD(0.1)", *, more: str = "", before: str = ""
) -> str:
    """A user's file with a `train_step` whose lines stand in `step`; `loss_of(x, y)` is the loss, `w` the weights."""
    lines = "\n".join(f"        {line}" for line in step.strip().splitlines())
    return f"""
{CLIPPING}
{before}
{SERIALIZABLE}
class Own(keras.Model):
    def train_step(self, data):
        x, y = data
        w = self.trainable_variables
        def loss_of(x, y):
            return tf.reduce_mean(tf.square(self(x, training=True)[:, 0] - y))
        def gradients_of(x, y):
            with tf.GradientTape() as tape:
                loss = loss_of(x, y)
            return tape.gradient(loss, w), loss
{lines}
        return {{"loss": loss}}
{more}
def build_model():
    x = keras.Input((6,))
    model = Own(x, keras.layers.Dense(1)(keras.layers.Dense(8, activation="tanh")(x)))
    model.compile(optimizer={optimizer}, loss="mse")
    return model
"""


OWN_OPTIMIZERS: dict[str, Case] = {
    **on_each_last_batch("apply", with_optimizer("InApply(0.1)")),
    "apply_gradients": make(with_optimizer("InApplyGradients(0.01)"), train=129),
    "apply and apply_gradients": make(with_optimizer("InBoth(0.1)"), train=129),
    "update_step": make(with_optimizer("InUpdateStep(0.1)"), train=129),
    "update_step without that of Keras": make(with_optimizer("Alone(0.01)"), train=129),
    "apply without that of Keras": make(with_optimizer("WithoutSuper(0.1)"), train=129),
    "around another one": make(with_optimizer("Around()"), train=129),
    "apply, run eagerly": make(with_optimizer("InApply(0.1), run_eagerly=True"), train=33, epochs=1),
    "apply within a loss scale": make(with_optimizer("keras.optimizers.LossScaleOptimizer(InApply(0.1))"), train=129),
    "apply in a step of one's own": make(
        with_train_step("grads, loss = gradients_of(x, y)\nself.optimizer.apply(grads, w)", "InApply(0.1)"),
        "regression",
        train=129,
    ),
    "apply in a loop of a step of one's own": make(
        with_train_step(
            """
loss = loss_of(x, y)
def again(i):
    grads, _ = gradients_of(x, y)
    self.optimizer.apply(grads, w)
    return i + 1
tf.while_loop(lambda i: i < 3, again, [tf.constant(0)])
""",
            "InApply(0.1)",
        ),
        "regression",
        train=129,
    ),
    "gradients that no tape gave": make(
        with_train_step(
            """
loss = loss_of(x, y)
grads = [tf.reduce_mean(tf.square(x)) * tf.sign(v) + 0.01 * v for v in w]
self.optimizer.apply(grads, w)
""",
            "InApply(0.1)",
        ),
        "regression",
        train=129,
    ),
}

OWN_GRADIENTS: dict[str, Case] = {
    **on_each_last_batch(
        "sharpness-aware minimization",
        with_train_step(
            """
grads, loss = gradients_of(x, y)
steps = [0.05 * grad / (tf.linalg.global_norm(grads) + 1e-12) for grad in grads]
for v, step in zip(w, steps):
    v.assign_add(step)
grads, _ = gradients_of(x, y)
for v, step in zip(w, steps):
    v.assign_sub(step)
self.optimizer.apply(grads, w)
"""
        ),
        "regression",
    ),
    **on_each_last_batch(
        "gradients that are added up over steps",
        with_train_step(
            """
grads, loss = gradients_of(x, y)
for kept, grad in zip(self.kept, grads):
    kept.assign_add(grad)
self.count.assign_add(1)
def update():
    self.optimizer.apply([kept / 2.0 for kept in self.kept], w)
    for kept in self.kept:
        kept.assign(tf.zeros_like(kept))
tf.cond(self.count % 2 == 0, update, lambda: None)
""",
            "keras.optimizers.Adam(0.01)",
            more="    def prepare(self):\n"
            "        self.kept = [tf.Variable(tf.zeros(v.shape), trainable=False) for v in self.trainable_variables]\n"
            "        self.count = tf.Variable(0, trainable=False)\n",
        ).replace("    model.compile", "    model.prepare()\n    model.compile"),
        "regression",
    ),
    "gradients that are clipped": make(
        with_train_step("grads, loss = gradients_of(x, y)\nself.optimizer.apply(clipped(grads, w), w)"),
        "regression",
        train=129,
    ),
    "gradients that are clipped by their common norm, and weights without an optimizer": make(
        with_train_step(
            """
grads, loss = gradients_of(x, y)
grads, _ = tf.clip_by_global_norm(grads, 0.05)
for v, grad in zip(w, grads):
    v.assign_sub(0.1 * grad)
"""
        ),
        "regression",
        train=129,
    ),
    "gradients of two losses, projected": make(
        with_train_step(
            """
with tf.GradientTape(persistent=True) as tape:
    y_pred = self(x)[:, 0]
    loss, other = tf.reduce_mean(tf.square(y_pred - y)), tf.reduce_mean(tf.abs(y_pred + y))
ours, theirs = tape.gradient(loss, w), tape.gradient(other, w)
for v, one, two in zip(w, ours, theirs):
    product = tf.minimum(tf.reduce_sum(one * two), 0.0)
    self.optimizer.assign_sub(v, 0.05 * (one + two - product * one / (tf.reduce_sum(one * one) + 1e-9)))
"""
        ),
        "regression",
        train=129,
    ),
    "a penalty on the gradient by the rows": make(
        with_train_step(
            """
with tf.GradientTape() as tape:
    with tf.GradientTape() as inner:
        inner.watch(x)
        y_pred = self(x)
    slope = inner.gradient(y_pred, x)
    loss = tf.reduce_mean(tf.square(y_pred[:, 0] - y)) + tf.reduce_mean(tf.square(tf.norm(slope, axis=1) - 1.0))
self.optimizer.apply(clipped(tape.gradient(loss, w), w), w)
"""
        ),
        "regression",
        train=129,
    ),
    "gradients by the rows and the weights together": make(
        with_train_step(
            """
with tf.GradientTape() as tape:
    tape.watch(x)
    loss = loss_of(x, y)
slope, grads = tape.gradient(loss, [x, w])
self.optimizer.apply(clipped(grads, w), w)
"""
        ),
        "regression",
        train=129,
    ),
    "a pass that is computed again": make(
        with_train_step(
            """
again = tf.recompute_grad(lambda x: self(x))
with tf.GradientTape() as tape:
    loss = tf.reduce_mean(tf.square(again(x)[:, 0] - y))
self.optimizer.apply(tape.gradient(loss, w), w)
"""
        ),
        "regression",
        train=129,
    ),
}

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

GROUPS: dict[str, dict[str, Case]] = {
    "sparse gradients": SPARSE,
    "own optimizers": OWN_OPTIMIZERS,
    "own gradients": OWN_GRADIENTS,
    "state of each step": STATE,
    "counted over the batch": COUNTED,
}
