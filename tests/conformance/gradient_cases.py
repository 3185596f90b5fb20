"""Optimizers of the user's own, and steps of the user's own that make something of their gradients."""

from __future__ import annotations

from typing import Any

from tests.conformance.cases import BCE, make, mlp
from tests.worker.pool import Case

SERIALIZABLE = '@keras.saving.register_keras_serializable("case")'


def on_each_last_batch(name: str, model_py: str, kind: str = "binary", **spec: Any) -> dict[str, Case]:
    """A case whose last batch is whole, has one row, and has two."""
    return {f"{name}, {rows} rows": make(model_py, kind, train=rows, **spec) for rows in (128, 129, 130)}


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

GROUPS: dict[str, dict[str, Case]] = {"own optimizers": OWN_OPTIMIZERS, "own gradients": OWN_GRADIENTS}
