"""Models with code of the user's own in six places of a training: ten ways in which rows lean on each other, and ten
in which they do not.

`PLACES` x `COUPLING` are sixty models whose workers must do more than compute their own rows; `PLACES` x `ROW_BY_ROW`
are sixty for which that is enough.
"""

from __future__ import annotations

_MODEL = """\
import keras
import tensorflow as tf
from keras import ops

register = keras.saving.register_keras_serializable()
keras.config.enable_unsafe_deserialization()

def of(v):
{body}

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

# What `of` makes of `v`, (rows, values), each of them one number of the whole batch.
COUPLING = {
    "deviation": "return ops.mean(ops.sqrt(1e-3 + ops.var(v, axis=0)))",
    "maximum": "return ops.max(v)",
    "quotient of sums": "return ops.sum(v * v) / (1 + ops.sum(ops.abs(v)))",
    "order": "return ops.mean(ops.sort(v[:, 0])[::2])",
    "pairs": "return ops.mean(ops.square(v @ ops.transpose(v)))",
    "segments": "return tf.reduce_max(tf.math.unsorted_segment_sum(v, tf.cast(v[:, 0] > 0, tf.int32), 2))",
    "condition": "m = tf.reduce_mean(v)\nreturn tf.cond(tf.reduce_mean(v[:, 0]) > 0.1, lambda: m, lambda: 2 * m)",
    "loop": "return tf.while_loop(lambda i, s: i < tf.shape(v)[0],"
    " lambda i, s: (i + 1, 0.9 * s + v[i, 0]), (0, tf.constant(0.0)))[1]",
    "function": "return tf.function(lambda v: tf.reduce_max(v) - tf.reduce_min(v))(v)",
    "neighbours": "return ops.mean(ops.square(v - ops.roll(v, 1, axis=0)))",
}
# What it makes of each row by itself: (rows, 1).
ROW_BY_ROW = {
    "norm": "return ops.sqrt(1e-3 + ops.sum(v * v, axis=-1, keepdims=True))",
    "maximum": "return ops.max(v, axis=-1, keepdims=True)",
    "quotient of sums": "return ops.sum(v * v, -1, keepdims=True) / (1 + ops.sum(ops.abs(v), -1, keepdims=True))",
    "order": "return ops.sort(v, axis=-1)[:, :1]",
    "pairs": "return ops.einsum('bi,bj->b', v, v)[:, None]",
    "threshold": "return ops.where(v[:, :1] > 0.1, v[:, :1], 2 * v[:, :1])",
    "segments": "return ops.cumsum(ops.pad(v, ((0, 0), (1, 0))), axis=-1)[:, -1:]",
    "softmax": "return ops.max(ops.softmax(v, axis=-1), axis=-1, keepdims=True)",
    "function": "return tf.function(lambda v: tf.reduce_sum(tf.square(v), axis=-1, keepdims=True))(v)",
    "mapped": "return tf.map_fn(lambda row: tf.reduce_sum(row, keepdims=True), v)",
}

_STEP = """\
@register
class Own(keras.Model):
    {init}
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = {loss}
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        {after}
        return {{"loss": loss{logs}}}
"""
_SQUARES = "ops.mean(ops.square(y - y_pred))"
_TRACKER = """\
def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.tracker = keras.metrics.Mean(name="tracker")
    @property
    def metrics(self):
        return [*super().metrics, self.tracker]
"""
_OPTIMIZER = """\
@register
class Own(keras.optimizers.SGD):
    def apply(self, grads, trainable_variables=None):
        grads = [g * {} for g in grads]
        return super().apply(grads, trainable_variables)
"""


def _model(
    body: str,
    code: str = "",
    *,
    layer: str = "",
    kind: str = "keras.Model",
    optimizer: str = "keras.optimizers.SGD(0.5)",
    loss: str = '"mse"',
    metrics: str = "None",
) -> str:
    body = "\n".join(f"    {line}" for line in body.splitlines())
    return _MODEL.format(body=body, code=code, layer=layer, kind=kind, optimizer=optimizer, loss=loss, metrics=metrics)


def _in_loss(body: str) -> str:
    code = "@register\ndef own(y_true, y_pred):\n    return ops.mean(ops.square(y_true - y_pred) * (1 + of(y_pred)))\n"
    return _model(body, code, loss="own")


def _in_metric(body: str) -> str:
    return _model(body, "@register\ndef own(y_true, y_pred):\n    return of(y_pred - y_true)\n", metrics="[own]")


def _in_layer(body: str) -> str:
    code = "@register\nclass Own(keras.layers.Layer):\n    def call(self, x):\n        return x + 0.1 * of(x)\n"
    return _model(body, code, layer='x = Own(name="own_layer")(x)')


def _in_step(body: str) -> str:
    loss = f"{_SQUARES} + ops.mean(ops.square(y - y_pred) * of(y_pred))"
    return _model(body, _STEP.format(init="", loss=loss, after="", logs=""), kind="Own")


def _in_optimizer(body: str) -> str:
    gradient = "ops.mean(of(ops.reshape(g, (-1, 1))))"
    return _model(body, _OPTIMIZER.format(gradient), optimizer="Own(0.01)")


def _in_tracker(body: str) -> str:
    step = _STEP.format(
        init=_TRACKER,
        loss=_SQUARES,
        after="self.tracker.update_state(ops.mean(of(y_pred)))",
        logs=', "tracker": self.tracker.result()',
    )
    return _model(body, step, kind="Own")


PLACES = {
    "loss": _in_loss,
    "metric": _in_metric,
    "layer": _in_layer,
    "step": _in_step,
    "optimizer": _in_optimizer,
    "tracker": _in_tracker,
}

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
_MOVING_MEAN = """\
@register
class Own(keras.layers.Layer):
    def build(self, shape):
        self.mean = self.add_weight(shape=shape[1:], initializer="zeros", trainable=False)
    def call(self, x, training=False):
        if training:
            self.mean.assign(0.9 * self.mean + 0.1 * ops.mean(x, axis=0))
        return {}
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
_BALANCE = """\
@register
class Own(keras.layers.Layer):
    def call(self, x):
        self.add_loss(ops.sum(ops.square(ops.mean(x, axis=0))))
        return x
"""
_BY_SIGN = """\
@register
class Own(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = ops.mean(ops.square(y - y_pred))
        gradients = [ops.sign(each) for each in tape.gradient(loss, self.trainable_variables)]
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"loss": loss}
"""
_BY_ROWS = """\
@register
class Own(keras.Model):
    def train_step(self, data):
        x, y = data
        totals = [ops.zeros_like(variable) for variable in self.trainable_variables]
        for part in range(2):
            with tf.GradientTape() as tape:
                loss = ops.sum(ops.square(y[part::2] - self(x[part::2], training=True)))
            gradients = tape.gradient(loss, self.trainable_variables)
            totals = [total + ops.clip(each, -0.1, 0.1) for total, each in zip(totals, gradients)]
        self.optimizer.apply(totals, self.trainable_variables)
        return {"loss": loss}
"""
_NONE = "return v"

UNCOUPLED = {f"{place}: {name}": make(body) for place, make in PLACES.items() for name, body in ROW_BY_ROW.items()} | {
    "loss: a number a row": _model(
        _NONE, "@register\ndef own(y, p):\n    return ops.mean(ops.square(y - p), axis=-1)\n", loss="own"
    ),
    "optimizer: holds another": _model(_NONE, _HOLDING, optimizer="Own()"),
}
COUPLED = {f"{place}: {name}": make(body) for place, make in PLACES.items() for name, body in COUPLING.items()} | {
    "layer: keeps the rows' centre": _model(_NONE, _CENTRE, layer="x = Own()(x)"),
    "layer: keeps a mean and goes by it": _model(_NONE, _MOVING_MEAN.format("x - self.mean"), layer="x = Own()(x)"),
    "layer: keeps a mean for later": _model(
        _NONE, _MOVING_MEAN.format("x if training else x - self.mean"), layer="x = Own()(x)"
    ),
    "layer: load is balanced": _model(_NONE, _BALANCE, layer="x = Own()(x)"),
    "step: gradients of some rows at a time": _model(_NONE, _BY_ROWS, kind="Own"),
    "step: gradients by their sign": _model(_NONE, _BY_SIGN, kind="Own"),
}
