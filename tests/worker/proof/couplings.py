"""Models with code of the user's own in them: some whose rows lean on each other, some whose do not."""

from __future__ import annotations

_MODEL = """\
import keras
import tensorflow as tf
from keras import ops

register = keras.saving.register_keras_serializable()
keras.config.enable_unsafe_deserialization()
{code}

def build_model():
    inputs = keras.Input((4,))
    x = keras.layers.Dense(4, activation="tanh")(inputs)
    # here
    {layer}
    x = keras.layers.Dense(1, activation="sigmoid")(x)
    model = {kind}(inputs, x)
    model.compile(optimizer={optimizer}, loss={loss}, metrics={metrics})
    return model
"""


def _model(
    code: str = "",
    *,
    layer: str = "",
    kind: str = "keras.Model",
    optimizer: str = '"sgd"',
    loss: str = '"mse"',
    metrics: str = "None",
) -> str:
    return _MODEL.format(code=code, layer=layer, kind=kind, optimizer=optimizer, loss=loss, metrics=metrics)


_LOSS = "@register\ndef own(y_true, y_pred):\n    return {}\n"
_LAYER = "@register\nclass Own(keras.layers.Layer):\n    def call(self, x):\n        return {}\n"
_SEGMENT = "def of(x):\n    return tf.cast(x[:, 0] > 0, tf.int32)\n"
_STEP = """\
@register
class Own(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = {loss}
        gradients = tape.gradient(loss, self.trainable_variables)
        {after}
        self.optimizer.apply(gradients, self.trainable_variables)
        return {{"loss": loss}}
"""
_CENTRE = """\
@register
class Own(keras.layers.Layer):
    def build(self, shape):
        self.centre = self.add_weight(shape=shape[1:], initializer="zeros", trainable=False)
    def call(self, x):
        centred = x - self.centre
        self.centre.assign(0.5 * self.centre + 0.5 * tf.gather(x, 0) * tf.sort(x, axis=0)[0])
        return centred
"""
_HOLDING = """\
@register
class Own(keras.optimizers.SGD):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.held = keras.optimizers.Adam(0.1)
    def build(self, variables):
        super().build(variables)
        self.held.build(variables)
    def apply(self, grads, trainable_variables=None):
        self.held.apply(grads, trainable_variables)
"""
_MEAN = "ops.mean(ops.square(y - y_pred))"

UNCOUPLED = {
    "loss: for each row": _model(_LOSS.format("ops.mean(ops.square(y_true - y_pred), axis=-1)"), loss="own"),
    "loss: a mean": _model(_LOSS.format("ops.mean(ops.abs(y_true - y_pred))"), loss="own"),
    "metric: for each row": _model(_LOSS.format("ops.abs(y_true - y_pred)"), metrics="[own]"),
    "layer: for each row": _model(_LAYER.format("x * ops.sigmoid(x)"), layer="x = Own()(x)"),
    "layer: normalises a row": _model(
        _LAYER.format("x / ops.sqrt(1e-3 + ops.var(x, axis=-1, keepdims=True))"), layer="x = Own()(x)"
    ),
    "optimizer: holds another": _model(_HOLDING, optimizer="Own()"),
    "step: a mean": _model(_STEP.format(loss=_MEAN, after=""), kind="Own"),
}
COUPLED = {
    "layer: sums of segments": _model(
        _SEGMENT + _LAYER.format("x + tf.gather(tf.math.unsorted_segment_sum(x, of(x), 2), of(x))"),
        layer='x = Own(name="mixing")(x)',
    ),
    "layer: keeps the rows' centre": _model(_CENTRE, layer="x = Own()(x)"),
    "layer: batch deviation": _model(
        _LAYER.format("x + ops.sqrt(1e-3 + ops.var(x, axis=0, keepdims=True))"), layer="x = Own()(x)"
    ),
    "layer: centred over the batch": _model(_LAYER.format("x - ops.mean(x, axis=0)"), layer="x = Own()(x)"),
    "layer: attention between rows": _model(
        _LAYER.format("ops.softmax(x @ ops.transpose(x)) @ x"), layer="x = Own()(x)"
    ),
    "layer: load is balanced": _model(
        "@register\nclass Own(keras.layers.Layer):\n    def call(self, x):\n"
        "        self.add_loss(ops.sum(ops.square(ops.mean(x, axis=0))))\n        return x\n",
        layer="x = Own()(x)",
    ),
    "loss: Dice of its own": _model(
        _LOSS.format("1 - 2 * ops.sum(y_true * y_pred) / ops.sum(y_true + y_pred)"), loss="own"
    ),
    "loss: pairs": _model(_LOSS.format("ops.mean(ops.square(y_pred - ops.transpose(y_pred)))"), loss="own"),
    "metric: F1 of its own": _model(
        _LOSS.format("2 * ops.sum(y_true * y_pred) / ops.sum(y_true + y_pred)"), metrics="[own]"
    ),
    "step: a sum": _model(_STEP.format(loss="ops.sum(ops.square(y - y_pred))", after=""), kind="Own"),
    "step: a quotient of sums": _model(
        _STEP.format(loss="ops.sum(ops.square(y - y_pred) * y) / (1 + ops.sum(y))", after=""), kind="Own"
    ),
    "step: gradients by their sign": _model(
        _STEP.format(loss=_MEAN, after="gradients = [ops.sign(gradient) for gradient in gradients]"), kind="Own"
    ),
    "optimizer: normalises": _model(
        "@register\nclass Own(keras.optimizers.SGD):\n"
        "    def apply(self, grads, trainable_variables=None):\n"
        "        return super().apply([g / (1e-6 + ops.norm(g)) for g in grads], trainable_variables)\n",
        optimizer="Own(0.01)",
    ),
}
MODELS = UNCOUPLED | COUPLED
