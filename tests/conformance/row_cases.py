"""Code of the user's whose numbers depend on several rows: losses, metrics, trackers of a step, layers.

Where it depends on the last batch, each case is there with a last batch of all rows, of one and of two: with three
workers that leaves some of them without rows.
"""

from __future__ import annotations

from tests.conformance.cases import ADAM, make, mlp
from tests.worker.pool import Case

LAST_BATCHES = {"": 128, ", one row left": 129, ", two rows left": 130}


def with_each_last_batch(cases: dict[str, Case], **fit: object) -> dict[str, Case]:
    """Each case with 128, 129 and 130 rows to train on, in batches of 32."""
    found = {}
    for name, case in cases.items():
        for left, rows in LAST_BATCHES.items():
            splits = case.splits | {"train": make("", KINDS[name], train=rows).splits["train"]}
            spec = case.spec | {"fit": case.spec["fit"] | {"global_batch_size": 32, **fit}}
            found[f"{name}{left}"] = Case(model_py=case.model_py, spec=spec, splits=splits)
    return found


FUNCTIONS = """
from keras import ops
register = keras.saving.register_keras_serializable("case")
def flat(values):
    return ops.reshape(values, (-1,))
@register
def precision(y_true, y_pred):
    y_true, y_pred = flat(y_true), flat(y_pred)
    positive = ops.cast(y_pred > 0, "float32")
    return ops.sum(y_true * positive) / (ops.sum(positive) + 1e-7)
@register
def recall(y_true, y_pred):
    y_true, y_pred = flat(y_true), flat(y_pred)
    positive = ops.cast(y_pred > 0, "float32")
    return ops.sum(y_true * positive) / (ops.sum(y_true) + 1e-7)
@register
def worst(y_true, y_pred):
    y_true, y_pred = flat(y_true), flat(y_pred)
    return ops.max(ops.abs(y_true - y_pred))
@register
def beyond_fifty(y_true, y_pred):
    y_true, y_pred = flat(y_true), flat(y_pred)
    far, apart = ops.cast(y_pred > 50.0, "float32"), ops.square(y_true - y_pred)
    return ops.mean(apart) / 1e4 + ops.sum(far * apart) / (1.0 + ops.sum(far)) / 1e4
@register
def with_a_small_penalty(y_true, y_pred):
    y_true, y_pred = flat(y_true), flat(y_pred)
    return 2e2 * ops.mean(ops.square(y_true - y_pred)) + ops.sqrt(ops.var(y_pred) + 1e-6)
@register
def of_a_rare_class(y_true, y_pred):
    rare = ops.cast(y_true > 2, "float32")
    entropy = keras.losses.sparse_categorical_crossentropy(y_true, y_pred)
    return entropy + ops.sum(entropy * rare) / (ops.sum(rare) + 1.0)
@register
def ranked(y_true, y_pred):
    y_true, y_pred = flat(y_true), flat(y_pred)
    apart = y_pred[:, None] - y_pred[None, :]
    return ops.mean(ops.softplus(-apart) * ops.cast(y_true[:, None] > y_true[None, :], "float32"), axis=1)
@register
class Bounded(keras.metrics.Metric):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seen, self.over = self.add_variable((), "zeros"), self.add_variable((), "zeros")
    def update_state(self, y_true, y_pred, sample_weight=None):
        self.seen.assign_add(1.0)
        self.over.assign_add(ops.cast(ops.max(y_pred) > 50.0, "float32") + ops.mean(y_pred))
    def result(self):
        return self.over / self.seen
"""
IN_UNITS = "keras.layers.Rescaling(300.0),"
SPARSE = 'optimizer=keras.optimizers.Adam(0.01), loss={loss}, metrics=["accuracy"]'

KINKS: dict[str, Case] = {
    "precision and recall of logits": make(
        mlp(
            "optimizer=keras.optimizers.Adam(0.01), loss=keras.losses.BinaryCrossentropy(from_logits=True),"
            " metrics=[precision, recall, worst]",
            activation="linear",
            before=FUNCTIONS,
        )
    ),
    "a threshold in the data's units": make(
        mlp(
            "optimizer=keras.optimizers.Adam(0.01), loss=beyond_fifty, metrics=[Bounded(name='bounded')]",
            activation="linear",
            before=FUNCTIONS,
        ).replace("    ])", f"        {IN_UNITS}\n    ])")
    ),
    "a penalty too small to be seen": make(
        mlp("optimizer=keras.optimizers.Adam(0.01), loss=with_a_small_penalty", before=FUNCTIONS)
    ),
    "a class by its number": make(
        mlp(SPARSE.format(loss="of_a_rare_class"), units=4, activation="softmax", before=FUNCTIONS), "classes"
    ),
    "a row's rank among the others": make(
        mlp("optimizer=keras.optimizers.Adam(0.01), loss=ranked, metrics=[ranked]", before=FUNCTIONS)
    ),
    "a row's rank among the others, weighted": make(
        mlp("optimizer=keras.optimizers.Adam(0.01), loss=ranked, weighted_metrics=[ranked]", before=FUNCTIONS),
        "weighted",
    ),
}

TRACKED = """
import keras
import tensorflow as tf
outside = keras.metrics.Mean(name="outside")
@keras.saving.register_keras_serializable("case")
class Running(keras.metrics.Metric):
    def __init__(self, name="running", **kwargs):
        super().__init__(name=name, **kwargs)
        self.total = self.add_weight(name="t", initializer="zeros")
        self.count = self.add_weight(name="c", initializer="zeros")
    def update_state(self, value, count=1.0):
        self.total.assign_add(value)
        self.count.assign_add(tf.cast(count, "float32"))
    def result(self):
        return self.total / self.count
@keras.saving.register_keras_serializable("case")
class Own(keras.Model):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.kept = {name: kind(name=name) for name, kind in {
            "running": Running, "right": Running, "spread": Running, "each": keras.metrics.Mean,
            "weighted": keras.metrics.Mean, "added": keras.metrics.Sum, "counted": keras.metrics.Sum}.items()}
    @property
    def metrics(self):
        return list(self.kept.values())
    def measured(self, x, y, p, loss):
        rows, right = tf.shape(x)[0], tf.cast(tf.equal(y, tf.round(p[:, 0])), "float32")
        self.kept["running"].update_state(loss)
        self.kept["right"].update_state(tf.reduce_sum(right), rows)
        self.kept["spread"].update_state(tf.reduce_mean(tf.reduce_mean(x, axis=0)[:3]), tf.constant(2.0))
        self.kept["each"].update_state(tf.reduce_mean(x, axis=0))
        self.kept["weighted"].update_state(loss, sample_weight=rows)
        self.kept["added"].update_state(loss)
        self.kept["counted"].update_state(tf.reduce_sum(right))
        outside.update_state(loss)
        return {**{m.name: m.result() for m in self.metrics}, "outside": outside.result(), "loss": loss}
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            p = self(x, training=True)
            loss = tf.reduce_mean(tf.square(p[:, 0] - y))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return self.measured(x, y, p, loss)
    def test_step(self, data):
        x, y = data
        p = self(x, training=False)
        return self.measured(x, y, p, tf.reduce_mean(tf.square(p[:, 0] - y)))
def build_model():
    x = keras.Input((6,))
    hidden = keras.layers.Dense(12, activation="relu")(x)
    model = Own(x, keras.layers.Dense(1, activation="sigmoid")(hidden))
    model.compile(optimizer=keras.optimizers.SGD(0.05, momentum=0.9))
    return model
"""
TRACKERS = {"trackers of a step": make(TRACKED)}

LAYERS = """
from keras import ops
register = keras.saving.register_keras_serializable("case")
def load_balanced_loss(probs, mask):
    return ops.mean(ops.mean(mask, axis=0) * ops.mean(probs, axis=0)) * 16.0
@register
class Switch(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.experts = [keras.layers.Dense(8, activation="relu") for _ in range(4)]
        self.route = keras.layers.Dense(4)
    def build(self, shape):
        for layer in [*self.experts, self.route]:
            layer.build(shape)
    def call(self, inputs):
        probs = ops.softmax(self.route(inputs), axis=-1)
        mask = ops.one_hot(ops.argmax(probs, axis=-1), 4)
        self.add_loss(load_balanced_loss(probs, mask))
        outputs = ops.stack([expert(inputs) for expert in self.experts], axis=1)
        return ops.max(probs, axis=-1, keepdims=True) * ops.sum(mask[:, :, None] * outputs, axis=1)
@register
class Block(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.switch, self.after = Switch(), keras.layers.Dense(6)
    def build(self, shape):
        self.switch.build(shape)
        self.after.build((None, 8))
    def call(self, inputs):
        return inputs[:, :6] + self.after(self.switch(inputs))
@register
class MinibatchDeviation(keras.layers.Layer):
    def call(self, x):
        deviation = ops.mean(ops.sqrt(ops.var(x, axis=0) + 1e-6))
        return ops.concatenate([x, ops.zeros_like(x[:, :1]) + deviation], axis=-1)
@register
class Similar(keras.layers.Layer):
    def call(self, x):
        alike = ops.softmax(ops.tensordot(x, ops.transpose(x), axes=1), axis=-1)
        return x + ops.matmul(alike, x)
@register
class Centered(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.load = keras.metrics.Mean(name="load")
    def build(self, shape):
        self.center = self.add_weight(shape=(shape[-1],), initializer="zeros", trainable=False)
    def call(self, x, training=False):
        self.load.update_state(ops.abs(x))
        if not training:
            return x - self.center
        mean = ops.mean(x, axis=0)
        self.center.assign(0.9 * self.center + 0.1 * mean)
        return x - mean
@register
class Spread(keras.layers.Layer):
    def call(self, x):
        self.add_loss(0.1 * ops.var(x))
        return x
@register
def centered(x):
    return x - ops.mean(x, axis=0, keepdims=True)
@register
def of_the_spread(x):
    return 0.1 * ops.sqrt(ops.var(x) + 1e-6) + 0.01 * ops.max(ops.abs(x))
"""


def layered(layer: str) -> Case:
    return make(mlp(f'{ADAM}, metrics=["accuracy"]', before=LAYERS, layers=f"{layer},"))


MIXING: dict[str, Case] = {
    "a mixture of experts with a balanced load": layered("Switch()"),
    "a mixture of experts within a block": layered("Block()"),
    "a minibatch's deviation": layered("MinibatchDeviation()"),
    "attention among the rows": layered("Similar()"),
    "a layer that keeps the batch's centre": layered("Centered()"),
    "a loss that a layer adds of the rows' spread": layered("Spread()"),
    "a regularizer of the rows' spread": layered(
        'keras.layers.Dense(5, activation="tanh", activity_regularizer=of_the_spread)'
    ),
    "a function in Lambda": layered("keras.layers.Lambda(centered)"),
    "softmax along the rows": layered("keras.layers.Softmax(axis=0)"),
    "operations of a functional model": make(
        """
import keras
from keras import ops
def build_model():
    x = keras.Input((6,))
    y = keras.layers.Dense(8, activation="tanh")(x)
    y = (y - ops.mean(y, axis=0, keepdims=True)) / (1.0 + ops.var(y, axis=0, keepdims=True))
    model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid")(y))
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy")
    return model
"""
    ),
}

NO_CALL = """
import keras
import tensorflow as tf
@keras.saving.register_keras_serializable("case")
class Trainer(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.net = keras.Sequential([
            keras.Input((6,)), keras.layers.Dense(8, use_bias=False), keras.layers.BatchNormalization(),
            keras.layers.ReLU(), keras.layers.Dense(6)])
    def build_from_config(self, config):
        pass
    def loss_of(self, x, training):
        return tf.reduce_mean(tf.square(self.net(x, training=training) - x[:, ::-1]))
    def train_step(self, x):
        with tf.GradientTape() as tape:
            loss = self.loss_of(x, True)
        weights = self.net.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return {"loss": loss}
    def test_step(self, x):
        return {"loss": self.loss_of(x, False)}
def build_model():
    model = Trainer()
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    return model
"""
SYNCHRONIZED = {
    "a model without a call, fit.sync_batch_norm": make(NO_CALL, "unlabelled", fit={"sync_batch_norm": True}),
    "a model without a call, BatchNormalization(synchronized=True)": make(
        NO_CALL.replace("BatchNormalization()", "BatchNormalization(synchronized=True)"), "unlabelled"
    ),
}

_OTHER_KINDS = {"a class by its number": "classes", "a row's rank among the others, weighted": "weighted"}
KINDS = {
    **dict.fromkeys([*KINKS, *TRACKERS, *MIXING], "binary"),
    **dict.fromkeys(SYNCHRONIZED, "unlabelled"),
    **_OTHER_KINDS,
}

GROUPS: dict[str, dict[str, Case]] = {
    "losses and metrics by their graph": with_each_last_batch(KINKS),
    "trackers": with_each_last_batch(TRACKERS),
    "layers that mix rows": with_each_last_batch(MIXING),
    "synchronised": with_each_last_batch(SYNCHRONIZED),
}
