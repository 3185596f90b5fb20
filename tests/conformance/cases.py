"""The matrix: other people's Keras, written for one process, that must train to the same answer on N workers.

Each case is a `model.py` as a user would write it, and the spec around it. Row counts are such that the last batch is
partial, and that with three workers one of them has no row of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.worker.pool import Case

FLOAT32 = 4e-5
MIXED = 1e-2
TRAIN, VALIDATION, TEST, BATCH = 50, 13, 17, 16
Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the matrix: a case, how closely it must agree, and what of it is compared."""

    group: str
    case: Case
    tolerance: float = FLOAT32
    compare: tuple[str, ...] = ("weights", "history", "test")


def split(seed: int, rows: int, kind: str) -> tuple[Any, ...]:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, 6)).astype(np.float32)
    binary = (x[:, :2].sum(axis=1) > 0).astype(np.float32)
    classes = np.digitize(x[:, 0], [-0.6, 0.0, 0.6]).astype(np.int64)
    tokens = generator.integers(1, 30, size=(rows, 7))
    tokens[np.arange(7)[None, :] >= generator.integers(2, 8, size=rows)[:, None]] = 0
    images = generator.normal(size=(rows, 8, 8, 1)).astype(np.float32)
    match kind:
        case "binary":
            return x, binary
        case "weighted":
            return x, binary, generator.uniform(0.2, 3.0, size=rows).astype(np.float32)
        case "classes":
            return x, classes
        case "onehot":
            return x, np.eye(4, dtype=np.float32)[classes]
        case "regression":
            return x, (x @ np.arange(6) / 6).astype(np.float32)
        case "unlabelled":
            return (x,)
        case "tokens":
            return tokens, (tokens.sum(axis=1) > 60).astype(np.float32)
        case "tagged tokens":
            return tokens, (tokens % 2).astype(np.float32)[..., None]
        case "images":
            return images, classes
        case "dicts":
            features = {"title": tokens, "body": x, "extra": generator.normal(size=(rows, 2)).astype(np.float32)}
            return features, {"priority": binary, "department": classes}
        case "float64":
            return x.astype(np.float64), binary.astype(np.float64)
    raise AssertionError(kind)


def make(model_py: str, kind: str = "binary", *, train: int = TRAIN, epochs: int = 2, **spec: Any) -> Case:
    splits = {
        "train": split(1, train, kind),
        "validation": split(2, VALIDATION, kind),
        "test": split(3, TEST, kind),
    }
    fit = {"epochs": epochs, "global_batch_size": BATCH, **spec.pop("fit", {})}
    return Case(model_py=model_py, spec={"fit": fit, **spec}, splits=splits)


def mlp(
    compile_arguments: str, *, units: int = 1, activation: str = "sigmoid", before: str = "", layers: str = ""
) -> str:
    """A user's file with a small dense model, compiled with the arguments given as source text."""
    return f"""
import keras
{before}
def build_model():
    model = keras.Sequential([
        keras.Input((6,)),
        keras.layers.Dense(12, activation="tanh"),
        {layers}
        keras.layers.Dense({units}, activation="{activation}"),
    ])
    model.compile({compile_arguments})
    return model
"""


BCE = 'loss="binary_crossentropy"'
ADAM = f"optimizer=keras.optimizers.Adam(0.01), {BCE}"

SGD = f"optimizer=keras.optimizers.SGD(0.1, momentum=0.9), {BCE}"


WITHOUT_CALL = """
import keras
import tensorflow as tf
@keras.saving.register_keras_serializable("case")
class Autoencoder(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.encoder = keras.Sequential([keras.layers.Dense(3, activation="tanh")])
        self.decoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(6)])
        self.tracker = keras.metrics.Mean(name="loss")
    def build_from_config(self, config):
        self.encoder.build((None, 6))
    @property
    def metrics(self):
        return [self.tracker]
    def train_step(self, data):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self.decoder(self.encoder(data[0])) - data[0]))
        weights = self.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))
        self.tracker.update_state(loss)
        return {"loss": self.tracker.result()}
    def test_step(self, data):
        self.tracker.update_state(tf.reduce_mean(tf.square(self.decoder(self.encoder(data[0])) - data[0])))
        return {"loss": self.tracker.result()}
def build_model():
    model = Autoencoder()
    model.compile(optimizer=keras.optimizers.Adam(0.01))
    return model
"""
SMALL = """
@keras.saving.register_keras_serializable("case")
class Small(keras.layers.Layer):
    def call(self, x):
        self.add_loss(0.01 * keras.ops.sum(keras.ops.square(x), axis=-1, keepdims=True))
        return x
"""


def own_steps(*, before: str = "", decorator: str = "", compile_arguments: str = "") -> str:
    """A user's file whose steps weigh the loss by a metric's result, and log a number that is made of one."""
    return f"""
import keras
import tensorflow as tf
{before}
@keras.saving.register_keras_serializable("case")
class Own(keras.Model):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.tracker = keras.metrics.Mean(name="tracked")
    @property
    def metrics(self):
        return [self.tracker]
    {decorator}
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.loss_of(y, self(x, training=True))
            weighted = loss * (1.0 + self.tracker.result())
        self.optimizer.apply(tape.gradient(weighted, self.trainable_variables), self.trainable_variables)
        self.tracker.update_state(loss)
        return {{**self.measured(), "size": tf.reduce_mean(tf.abs(y))}}
    def test_step(self, data):
        x, y = data
        self.tracker.update_state(self.loss_of(y, self(x, training=False)))
        return self.measured()
    def measured(self):
        return {{"loss": self.tracker.result(), "perplexity": tf.exp(-self.tracker.result())}}
    @tf.function
    def loss_of(self, y, y_pred):
        return self.compute_loss(y=y, y_pred=y_pred)
def build_model():
    x = keras.Input((6,))
    model = Own(x, keras.layers.Dense(1)(keras.layers.Dense(5, activation="tanh")(x)))
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=keras.losses.MeanSquaredError(reduction="sum"),
                  {compile_arguments})
    return model
"""


MODELS: dict[str, Case] = {
    "sequential": make(mlp(f'{ADAM}, metrics=["accuracy"]')),
    "functional, dicts of inputs and outputs": make(
        """
import keras
from keras import layers
def build_model():
    title, body = keras.Input((7,), name="title"), keras.Input((6,), name="body")
    extra = keras.Input((2,), name="extra")
    words = layers.GlobalAveragePooling1D()(layers.Embedding(30, 4)(title))
    joined = layers.Concatenate()([words, layers.Dense(5, activation="relu")(body), extra])
    hidden = layers.Dense(8, activation="tanh")(joined)
    outputs = {
        "priority": layers.Dense(1, activation="sigmoid", name="priority")(hidden),
        "department": layers.Dense(4, activation="softmax", name="department")(hidden),
    }
    model = keras.Model({"title": title, "body": body, "extra": extra}, outputs)
    model.compile(
        optimizer="adam",
        loss={"priority": "binary_crossentropy", "department": "sparse_categorical_crossentropy"},
        loss_weights={"priority": 1.0, "department": 0.3},
        metrics={"priority": ["accuracy"], "department": ["accuracy"]},
    )
    return model
""",
        "dicts",
    ),
    "subclassed": make(
        """
import keras
@keras.saving.register_keras_serializable("case")
class Net(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = keras.layers.Dense(12, activation="tanh")
        self.out = keras.layers.Dense(1, activation="sigmoid")
    def call(self, x, training=False):
        return self.out(self.hidden(x))
def build_model():
    model = Net()
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"])
    return model
"""
    ),
    "nested and shared layers": make(
        """
import keras
from keras import layers
def build_model():
    shared = layers.Dense(6, activation="tanh")
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(6, activation="tanh"), layers.Dense(6)])
    x = keras.Input((6,))
    y = layers.Add()([inner(x), shared(inner(shared(x)))])
    model = keras.Model(x, layers.Dense(1, activation="sigmoid")(y))
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy")
    return model
"""
    ),
    "own train_step and test_step with sample weights": make(
        """
import keras
import tensorflow as tf
@keras.saving.register_keras_serializable("case")
class Own(keras.Model):
    def train_step(self, data):
        x, y, w = data
        with tf.GradientTape() as tape:
            p = self(x, training=True)
            loss = tf.reduce_mean(w * tf.square(p[:, 0] - y)) + tf.add_n(self.losses)
        self.optimizer.apply_gradients(zip(tape.gradient(loss, self.trainable_variables), self.trainable_variables))
        self.tracker.update_state(loss)
        self.error.update_state(y, p[:, 0])
        return {"loss": self.tracker.result(), "mae": self.error.result()}
    def test_step(self, data):
        x, y, w = data
        p = self(x, training=False)
        self.tracker.update_state(tf.reduce_mean(w * tf.square(p[:, 0] - y)))
        self.error.update_state(y, p[:, 0])
        return {"loss": self.tracker.result(), "mae": self.error.result()}
    @property
    def metrics(self):
        return [self.tracker, self.error]
def build_model():
    x = keras.Input((6,))
    y = keras.layers.Dense(1)(keras.layers.Dense(8, activation="tanh", kernel_regularizer="l2")(x))
    model = Own(x, y)
    model.tracker = keras.metrics.Mean(name="loss")
    model.error = keras.metrics.MeanAbsoluteError(name="mae")
    model.compile(optimizer=keras.optimizers.SGD(0.1, momentum=0.9))
    return model
""",
        "weighted",
    ),
    "own compute_loss and compute_metrics": make(
        """
import keras
from keras import ops
@keras.saving.register_keras_serializable("case")
class Own(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.mean(ops.square(y_pred[:, 0] - y)) + 0.1 * ops.mean(ops.abs(y_pred))
    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        result = super().compute_metrics(x, y, y_pred, sample_weight)
        self.size.update_state(ops.abs(y_pred[:, 0]))
        return {**result, "size": self.size.result()}
def build_model():
    x = keras.Input((6,))
    model = Own(x, keras.layers.Dense(1)(keras.layers.Dense(8, activation="tanh")(x)))
    model.size = keras.metrics.Mean(name="size")
    model.compile(optimizer=keras.optimizers.Adam(0.01))
    return model
""",
        "regression",
    ),
    "two optimizers (GAN)": make(
        """
import keras
import tensorflow as tf
@keras.saving.register_keras_serializable("case")
class Gan(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.generator = keras.Sequential([keras.Input((6,)), keras.layers.Dense(6)])
        hidden = keras.layers.Dense(8, activation="tanh")
        self.critic = keras.Sequential([keras.Input((6,)), hidden, keras.layers.Dense(1)])
        self.g_tracker = keras.metrics.Mean(name="g_loss")
        self.d_tracker = keras.metrics.Mean(name="d_loss")
    def compile(self, g_optimizer=None, d_optimizer=None, **kwargs):
        super().compile(**kwargs)
        self.g_optimizer = g_optimizer or keras.optimizers.Adam(0.01)
        self.d_optimizer = d_optimizer or keras.optimizers.Adam(0.01)
        self.bce = keras.losses.BinaryCrossentropy(from_logits=True)
    def call(self, x):
        return self.critic(self.generator(x))
    def train_step(self, data):
        x = data[0] if isinstance(data, tuple) else data
        noise = x[:, ::-1]
        ones, zeros = tf.ones((tf.shape(x)[0], 1)), tf.zeros((tf.shape(x)[0], 1))
        with tf.GradientTape() as tape:
            d_loss = self.bce(ones, self.critic(x)) + self.bce(zeros, self.critic(self.generator(noise)))
        weights = self.critic.trainable_weights
        self.d_optimizer.apply_gradients(zip(tape.gradient(d_loss, weights), weights))
        with tf.GradientTape() as tape:
            g_loss = self.bce(ones, self.critic(self.generator(noise)))
        weights = self.generator.trainable_weights
        self.g_optimizer.apply_gradients(zip(tape.gradient(g_loss, weights), weights))
        self.d_tracker.update_state(d_loss)
        self.g_tracker.update_state(g_loss)
        return {"d_loss": self.d_tracker.result(), "g_loss": self.g_tracker.result(), "loss": self.d_tracker.result()}
    def test_step(self, data):
        x = data[0] if isinstance(data, tuple) else data
        self.g_tracker.update_state(self.bce(tf.ones((tf.shape(x)[0], 1)), self(x)))
        return {"g_loss": self.g_tracker.result()}
    @property
    def metrics(self):
        return [self.g_tracker, self.d_tracker]
def build_model():
    model = Gan()
    model.build((None, 6))
    model.compile()
    return model
""",
        "unlabelled",
    ),
    "autoencoder without labels": make(
        """
import keras
from keras import ops
@keras.saving.register_keras_serializable("case")
class Auto(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.mean(ops.square(x - y_pred))
def build_model():
    x = keras.Input((6,))
    model = Auto(x, keras.layers.Dense(6)(keras.layers.Dense(3, activation="tanh")(x)))
    model.compile(optimizer=keras.optimizers.Adam(0.01))
    return model
""",
        "unlabelled",
    ),
    "add_loss without labels": make(
        """
import keras
from keras import ops
@keras.saving.register_keras_serializable("case")
class Code(keras.layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")
    def call(self, x):
        self.add_loss(0.1 * ops.mean(ops.sum(ops.square(x * self.scale) - ops.log(self.scale**2), axis=-1)))
        return x * self.scale
@keras.saving.register_keras_serializable("case")
class Vae(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.mean(ops.sum(ops.square(x - y_pred), axis=-1)) + sum(self.losses)
def build_model():
    x = keras.Input((6,))
    model = Vae(x, keras.layers.Dense(6)(Code()(keras.layers.Dense(3)(x))))
    model.compile(optimizer=keras.optimizers.Adam(0.01))
    return model
""",
        "unlabelled",
    ),
    "embedding with sparse gradients": make(
        """
import keras
from keras import layers
def build_model():
    model = keras.Sequential([
        keras.Input((7,)), layers.Embedding(30, 5), layers.Flatten(), layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer=keras.optimizers.Adagrad(0.1), loss="binary_crossentropy", metrics=["accuracy"])
    return model
""",
        "tokens",
    ),
    "masked LSTM": make(
        """
import keras
from keras import layers
def build_model():
    model = keras.Sequential([
        keras.Input((7,)), layers.Embedding(30, 5, mask_zero=True), layers.LSTM(6),
        layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer=keras.optimizers.Adam(0.01, clipnorm=0.5), loss="binary_crossentropy")
    return model
""",
        "tokens",
    ),
    "GRU, a masked loss on every token": make(
        """
import keras
from keras import layers
def build_model():
    model = keras.Sequential([
        keras.Input((7,)),
        layers.Embedding(30, 5, mask_zero=True),
        layers.GRU(6, return_sequences=True),
        layers.Dense(1, activation="sigmoid"),
    ])
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"])
    return model
""",
        "tagged tokens",
    ),
    "attention": make(
        """
import keras
from keras import layers
def build_model():
    tokens = keras.Input((7,))
    x = layers.Embedding(30, 8)(tokens)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, x))
    model = keras.Model(tokens, layers.Dense(1, activation="sigmoid")(layers.GlobalAveragePooling1D()(x)))
    model.compile(optimizer=keras.optimizers.SGD(0.05), loss="binary_crossentropy")
    return model
""",
        "tokens",
    ),
    "Conv2D": make(
        """
import keras
from keras import layers
def build_model():
    model = keras.Sequential([
        keras.Input((8, 8, 1)), layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten(),
        layers.Dense(4, activation="softmax")])
    model.compile(optimizer=keras.optimizers.SGD(0.05), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
""",
        "images",
    ),
    "BatchNormalization(synchronized=True)": make(
        mlp(f'optimizer="sgd", {BCE}', layers="keras.layers.BatchNormalization(synchronized=True),")
    ),
    "BatchNormalization made in build, fit.sync_batch_norm": make(
        """
import keras
@keras.saving.register_keras_serializable("case")
class Block(keras.layers.Layer):
    def build(self, shape):
        self.norm = keras.layers.BatchNormalization()
        self.norm.build(shape)
    def call(self, x, training=False):
        return self.norm(x, training=training)
def build_model():
    model = keras.Sequential([Block(), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy")
    return model
""",
        fit={"sync_batch_norm": True},
    ),
    "BatchNormalization, fit.sync_batch_norm, images": make(
        """
import keras
from keras import layers
def build_model():
    model = keras.Sequential([
        keras.Input((8, 8, 1)), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU(), layers.Flatten(),
        layers.Dense(4, activation="softmax")])
    model.compile(optimizer=keras.optimizers.SGD(0.05), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
""",
        "images",
        fit={"sync_batch_norm": True},
    ),
    "frozen base": make(
        """
import keras
from keras import layers
def build_model():
    base = keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="tanh"), layers.BatchNormalization()])
    base.trainable = False
    model = keras.Sequential([base, layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy")
    return model
"""
    ),
    "adapted Normalization": make(
        """
import keras
import numpy as np
def build_model():
    norm = keras.layers.Normalization()
    norm.adapt(np.random.default_rng(0).normal(size=(40, 6)))
    model = keras.Sequential([keras.Input((6,)), norm, keras.layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy")
    return model
"""
    ),
    "regularisers, constraints and activity": make(
        mlp(
            ADAM,
            layers='keras.layers.Dense(8, activation="relu", kernel_regularizer="l1", activity_regularizer="l2",'
            ' kernel_constraint="max_norm"),',
        )
    ),
    "a step's own logs": make(
        """
import keras
import tensorflow as tf
@keras.saving.register_keras_serializable("case")
class Own(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self(x)[:, 0] - y))
        self.optimizer.apply_gradients(zip(tape.gradient(loss, self.trainable_variables), self.trainable_variables))
        return {"loss": loss, "my_size": tf.reduce_mean(tf.abs(y))}
def build_model():
    x = keras.Input((6,))
    model = Own(x, keras.layers.Dense(1)(x))
    model.compile(optimizer=keras.optimizers.SGD(0.05), loss="mse")
    return model
""",
        "regression",
    ),
    "draws without a seed, in a layer and in the step": make(
        """
import keras
import tensorflow as tf
class Noisy(keras.layers.Layer):
    def call(self, x, training=False):
        return x + 0.0 * keras.random.normal(keras.ops.shape(x)) if training else x
class Own(keras.Model):
    def train_step(self, data):
        x, y = data
        x = x * (1.0 + 0.0 * keras.random.uniform(keras.ops.shape(x)))
        with tf.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}
def build_model():
    inputs = keras.Input((6,))
    model = Own(inputs, keras.layers.Dense(1, activation="sigmoid")(Noisy()(inputs)))
    model.compile(optimizer="adam", loss="binary_crossentropy")
    return model
"""
    ),
    "the guide's train_step, which returns every metric's result": make(
        """
import keras
import tensorflow as tf
@keras.saving.register_keras_serializable("case")
class Own(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return self.measured(loss, y, y_pred)
    def test_step(self, data):
        x, y = data
        y_pred = self(x, training=False)
        return self.measured(self.compute_loss(y=y, y_pred=y_pred), y, y_pred)
    def measured(self, loss, y, y_pred):
        for metric in self.metrics:
            metric.update_state(loss) if metric.name == "loss" else metric.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}
def build_model():
    x = keras.Input((6,))
    model = Own(x, keras.layers.Dense(1)(x))
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse", metrics=["mae", "cosine_similarity"])
    return model
""",
        "regression",
    ),
    "a loss for each row, in a step and in add_loss": make(
        f"""
import keras
import tensorflow as tf
{SMALL}
@keras.saving.register_keras_serializable("case")
class Own(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            rows = keras.losses.mean_squared_error(y[:, None], self(x, training=True))
            losses = [rows, sum(self.losses)]
        gradients = tape.gradient(losses, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        return {{"loss": tf.reduce_mean(rows)}}
def build_model():
    x = keras.Input((6,))
    model = Own(x, keras.layers.Dense(1)(Small()(keras.layers.Dense(5, activation="tanh")(x))))
    model.compile(optimizer=keras.optimizers.SGD(0.001), loss="mse")
    return model
""",
        "regression",
        train=49,
    ),
    "add_loss for each row": make(
        mlp(
            f"optimizer=keras.optimizers.SGD(0.001), {BCE}",
            before=SMALL,
            layers="Small(),",
        ),
        train=49,
    ),
    "rows without labels, as they are fed": make(
        """
import keras
import tensorflow as tf
@keras.saving.register_keras_serializable("case")
class Coder(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.layer = keras.layers.Dense(6)
        self.tracker = keras.metrics.Mean(name="loss")
    @property
    def metrics(self):
        return [self.tracker]
    def call(self, x):
        return self.layer(x)
    def train_step(self, images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self(images) - tf.reverse(images, [1])))
        self.optimizer.apply(tape.gradient(loss, self.trainable_weights), self.trainable_weights)
        self.tracker.update_state(loss)
        return {"loss": self.tracker.result()}
    def test_step(self, images):
        self.tracker.update_state(tf.reduce_mean(tf.square(self(images) - tf.reverse(images, [1]))))
        return {"loss": self.tracker.result()}
def build_model():
    model = Coder()
    model.compile(optimizer="adam")
    return model
""",
        "unlabelled",
    ),
    "steps that make more of a metric's result": make(own_steps(), "regression", train=49),
    "steps that make more of a metric's result, train_step being a tf.function": make(
        own_steps(decorator="@tf.function"), "regression", train=49
    ),
    "steps that make more of a metric's result, in a tf.function of both": make(
        own_steps().replace("    def measured", "    @tf.function\n    def measured"), "regression", train=49
    ),
    "steps that make more of a metric's result, run eagerly": make(
        own_steps(compile_arguments="run_eagerly=True"), "regression", train=49
    ),
    "a strategy of the file's own": make(
        mlp(ADAM, before="import tensorflow as tf\nstrategy = tf.distribute.MirroredStrategy()")
        .replace("    model = ", "    with strategy.scope():\n        model = keras.Sequential()\n    model = ")
        .replace("Adam(0.01)", "Adam(0.01 * strategy.num_replicas_in_sync)")
    ),
    "clear_session before the model is made": make(
        mlp(ADAM, before="keras.backend.clear_session()").replace(
            "def build_model():\n", "def build_model():\n    keras.backend.clear_session()\n"
        )
    ),
    "no call: an autoencoder of two models with steps of its own": make(WITHOUT_CALL),
    "functions run eagerly, of a model without a call": make(
        WITHOUT_CALL.replace("    model = A", "    tf.config.run_functions_eagerly(True)\n    model = A").replace(
            "        weights = self", "        assert loss.numpy() > 0\n        weights = self"
        )
        + """
def callbacks():
    return [keras.callbacks.LambdaCallback(on_train_end=lambda logs: tf.config.run_functions_eagerly(False))]
""",
        callbacks="model.py:callbacks",
    ),
    "a summary of its own, and a metric without labels": make(
        """
import keras
import tensorflow as tf
@keras.saving.register_keras_serializable("case")
class Own(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.layer = keras.layers.Dense(6)
    def call(self, x):
        return self.layer(x)
    def summary(self):
        print("a model")
    def train_step(self, x):
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, x, self(x))
        self.optimizer.apply(tape.gradient(loss, self.trainable_weights), self.trainable_weights)
        self._loss_tracker.update_state(loss, sample_weight=tf.shape(x)[0])
        return self.compute_metrics(x, x, self(x))
    def test_step(self, x):
        loss = self.compute_loss(x, x, self(x))
        self._loss_tracker.update_state(loss, sample_weight=tf.shape(x)[0])
        return self.compute_metrics(x, x, self(x))
def build_model():
    model = Own()
    model.compile(optimizer="adam", loss="mse", metrics=["mae"])
    return model
""",
        "unlabelled",
    ),
    "a critic that is compiled with an optimizer of its own": make(
        """
import keras
import tensorflow as tf
@keras.saving.register_keras_serializable("case")
class Gan(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.critic = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
        self.critic.compile(optimizer=keras.optimizers.Adam(0.02))
        self.generator = keras.Sequential([keras.Input((6,)), keras.layers.Dense(6)])
        self.tracker = keras.metrics.Mean(name="loss")
    def build_from_config(self, config):
        pass
    @property
    def metrics(self):
        return [self.tracker]
    def step(self, model, optimizer, loss_of):
        with tf.GradientTape() as tape:
            loss = loss_of()
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss
    def train_step(self, data):
        x, made = data[0], lambda: self.generator(data[0][:, ::-1])
        critic = lambda: tf.reduce_mean(self.critic(made())) - tf.reduce_mean(tf.nn.softplus(self.critic(x)))
        self.tracker.update_state(self.step(self.critic, self.critic.optimizer, critic))
        self.step(self.generator, self.optimizer, lambda: tf.reduce_mean(tf.nn.softplus(self.critic(made()))))
        return {"loss": self.tracker.result()}
    def test_step(self, data):
        self.tracker.update_state(tf.reduce_mean(self.critic(data[0])))
        return {"loss": self.tracker.result()}
def build_model():
    model = Gan()
    model.compile(optimizer=keras.optimizers.Adam(0.01))
    return model
"""
    ),
    "an averaged teacher, and steps that are counted": make(
        """
import keras
import tensorflow as tf
@keras.saving.register_keras_serializable("case")
class Taught(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.student = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4, activation="tanh")])
        self.teacher = keras.models.clone_model(self.student)
        self.teacher.trainable = False
        self.head = keras.layers.Dense(1)
        self.whole = self.add_weight(name="whole", dtype="int32", initializer="zeros", trainable=False)
        self.fraction = self.add_weight(name="fraction", initializer="zeros", trainable=False)
    def call(self, x):
        return self.head(self.student(x))
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            apart = tf.reduce_mean(tf.square(self.student(x) - self.teacher(x)))
            pace = tf.cast(self.whole, tf.float32) * 0.1 + self.fraction * 0.1
            loss = tf.reduce_mean(tf.square(self(x)[:, 0] - y)) + pace * apart
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        for ours, theirs in zip(self.teacher.weights, self.student.weights):
            ours.assign(0.9 * ours + 0.1 * theirs)
        self.whole.assign_add(1)
        self.fraction.assign_add(0.5)
        return {"loss": loss}
def build_model():
    model = Taught()
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    return model
""",
        "regression",
        epochs=3,
    ),
    "BatchNormalization with a mask, fit.sync_batch_norm": make(
        """
import keras
from keras import layers
def build_model():
    model = keras.Sequential([
        keras.Input((7,), dtype="int64"), layers.Embedding(30, 4, mask_zero=True),
        layers.LSTM(4, return_sequences=True), layers.BatchNormalization(), layers.LSTM(3),
        layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer=keras.optimizers.SGD(0.05), loss="binary_crossentropy")
    return model
""",
        "tokens",
        fit={"sync_batch_norm": True},
    ),
}

_OPTIMIZERS = {
    "SGD": "keras.optimizers.SGD(0.05)",
    "SGD, Nesterov": "keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True)",
    "Adam": "keras.optimizers.Adam(0.01)",
    "Adam, amsgrad": "keras.optimizers.Adam(0.01, amsgrad=True)",
    "AdamW, weight decay": "keras.optimizers.AdamW(0.01, weight_decay=0.05)",
    "Adamax": "keras.optimizers.Adamax(0.01)",
    "Nadam": "keras.optimizers.Nadam(0.01)",
    "Adadelta": "keras.optimizers.Adadelta(0.5)",
    "Adagrad": "keras.optimizers.Adagrad(0.05)",
    "Adafactor": "keras.optimizers.Adafactor(0.01)",
    "RMSprop, centered": "keras.optimizers.RMSprop(0.01, centered=True)",
    "Ftrl": "keras.optimizers.Ftrl(0.05)",
    "Lion": "keras.optimizers.Lion(0.001)",
    "Lamb": "keras.optimizers.Lamb(0.01)",
    "Muon": "keras.optimizers.Muon(0.01)",
    "clipnorm": "keras.optimizers.Adam(0.01, clipnorm=0.05)",
    "global_clipnorm": "keras.optimizers.Adam(0.01, global_clipnorm=0.05)",
    "clipvalue": "keras.optimizers.SGD(0.1, clipvalue=0.01)",
    "use_ema": "keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=3)",
    "use_ema, no overwrite": "keras.optimizers.Adam(0.01, use_ema=True)",
    "gradient_accumulation_steps": "keras.optimizers.Adam(0.01, gradient_accumulation_steps=3)",
    "LossScaleOptimizer": "keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01))",
    "MultiOptimizer": "keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap("
    "keras.optimizers.SGD(0.1), {'.*bias': keras.optimizers.Adam(0.01)}))",
    "loss_scale_factor": "keras.optimizers.Adam(0.01, loss_scale_factor=64.0)",
    "CosineDecay": "keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 6))",
    "ExponentialDecay": "keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.05, 2, 0.5))",
}
OPTIMIZERS = {name: make(mlp(f"optimizer={source}, {BCE}")) for name, source in _OPTIMIZERS.items()}

COMPILE: dict[str, Case] = {
    "loss_weights and weighted_metrics": make(mlp(f'{ADAM}, weighted_metrics=["mse", "accuracy"]'), "weighted"),
    "Dice over each row": make(
        MODELS["GRU, a masked loss on every token"]
        .model_py.replace(", mask_zero=True", "")
        .replace('"binary_crossentropy"', "keras.losses.Dice(axis=(1, 2))"),
        "tagged tokens",
    ),
    "run_eagerly": make(mlp(f'{ADAM}, metrics=["accuracy"], run_eagerly=True'), epochs=1),
    "jit_compile": make(mlp(f"{ADAM}, jit_compile=True"), epochs=1),
    "steps_per_execution 3 of 4 steps": make(mlp(f'{ADAM}, steps_per_execution=3, metrics=["accuracy"]')),
    "steps_per_execution auto": make(
        mlp(ADAM),
        compile={"optimizer": {"name": "adam", "learning_rate": 0.01}, "loss": "binary_crossentropy"},
    ),
    "loss and metric from the user's module": make(
        mlp(
            'optimizer="adam", loss=my_loss, metrics=[my_metric]',
            before="from keras import ops\n"
            "@keras.saving.register_keras_serializable('case')\n"
            "def my_loss(y_true, y_pred):\n    return ops.mean(ops.abs(y_true - y_pred), axis=-1)\n"
            "@keras.saving.register_keras_serializable('case')\n"
            "def my_metric(y_true, y_pred):\n    return ops.max(ops.abs(y_true - y_pred), axis=-1)\n",
        )
    ),
    "no reduction": make(
        mlp("optimizer=keras.optimizers.SGD(0.01), loss=keras.losses.BinaryCrossentropy(reduction=None)"), train=49
    ),
    "reduction sum": make(
        mlp('optimizer=keras.optimizers.SGD(0.01), loss=keras.losses.BinaryCrossentropy(reduction="sum")')
    ),
    "reduction mean_with_sample_weight": make(
        mlp('optimizer="adam", loss=keras.losses.BinaryCrossentropy(reduction="mean_with_sample_weight")'), "weighted"
    ),
}

OF_BATCHES = """
from keras import ops
@keras.saving.register_keras_serializable("case")
def dice(y_true, y_pred):
    return (2 * ops.sum(y_true * y_pred) + 1) / (ops.sum(y_true) + ops.sum(y_pred) + 1)
@keras.saving.register_keras_serializable("case")
def dice_and_entropy(y_true, y_pred):
    entropy = keras.losses.BinaryCrossentropy(reduction="sum")(y_true, y_pred)
    return 1 - dice(y_true, y_pred) + 0.01 * entropy
@keras.saving.register_keras_serializable("case")
def dice_beside_each_rows_entropy(y_true, y_pred):
    return keras.losses.binary_crossentropy(y_true, y_pred) - ops.log(dice(y_true, y_pred))
@keras.saving.register_keras_serializable("case")
def dice_of_each_class(y_true, y_pred):
    return 1 - (2 * ops.sum(y_true * y_pred, axis=0) + 1) / (ops.sum(y_true + y_pred, axis=0) + 1)
@keras.saving.register_keras_serializable("case")
class Called(keras.losses.Loss):
    def __call__(self, y_true, y_pred, sample_weight=None):
        y_true, distances = ops.reshape(y_true, (-1, 1)), ops.square(y_pred - ops.transpose(y_pred))
        return ops.mean(distances * ops.cast(ops.equal(y_true, ops.transpose(y_true)), "float32"))
@keras.saving.register_keras_serializable("case")
class Spread(keras.metrics.Metric):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.most = self.add_variable((), "zeros")
        self.total = self.add_variable((), "zeros")
        self.batches = self.add_variable((), "zeros")
    def update_state(self, y_true, y_pred, sample_weight=None):
        self.most.assign(ops.maximum(self.most, ops.max(y_pred)))
        self.total.assign_add(dice(y_true, y_pred))
        self.batches.assign_add(1.0)
    def result(self):
        return self.most + self.total / self.batches
@keras.saving.register_keras_serializable("case")
class Contrast(keras.losses.Loss):
    def call(self, y_true, y_pred):
        y_true, distances = ops.reshape(y_true, (-1, 1)), ops.abs(y_pred - ops.transpose(y_pred))
        same = ops.cast(ops.equal(y_true, ops.transpose(y_true)), "float32")
        return ops.mean(same * distances + (1 - same) * ops.relu(1 - distances)) + ops.var(y_pred)
@keras.saving.register_keras_serializable("case")
class ContrastOfAKnownNumber(Contrast):
    def call(self, y_true, y_pred):
        others = 1 - ops.eye(y_pred.shape[0])
        return super().call(y_true, y_pred) + ops.mean(others * ops.square(y_pred - ops.transpose(y_pred)))
"""


def of_batches(
    loss: str, kind: str = "binary", metrics: str = "dice, keras.losses.Dice()", **mlp_arguments: Any
) -> Case:
    arguments = f"optimizer=keras.optimizers.Adam(0.01), loss={loss}, metrics=[{metrics}]"
    return make(mlp(arguments, before=OF_BATCHES, **mlp_arguments), kind, train=49)


def of_full_batches(case: Case) -> Case:
    train = tuple(part[: 3 * BATCH] for part in case.splits["train"])
    test = tuple(part[:BATCH] for part in case.splits["test"])
    return replace(case, splits={"train": train, "validation": test, "test": test})


WHOLE_BATCH: dict[str, Case] = {
    "Dice": of_batches("keras.losses.Dice()"),
    "Dice of weighted rows": of_batches("keras.losses.Dice()", "weighted"),
    "Dice by class, their sum": of_batches(
        'keras.losses.Dice(axis=0, reduction="sum")', "onehot", units=4, activation="softmax"
    ),
    "Tversky": of_batches("keras.losses.Tversky(alpha=0.3, beta=0.7)"),
    "Circle": of_batches("keras.losses.Circle(gamma=4)", "classes", "", units=4, activation="tanh"),
    "a function of the user's, with a loss of Keras in it": of_batches("dice_and_entropy"),
    "a function of the user's, for each row with all rows in it": of_batches("dice_beside_each_rows_entropy"),
    "a function of the user's, for each class": of_batches(
        "dice_of_each_class", "onehot", units=4, activation="softmax"
    ),
    "pairs in a class of the user's": of_batches("Contrast()"),
    "a class of metrics of the user's": of_batches("keras.losses.Dice()", metrics="Spread(name='spread'), 'mse'"),
    "a class of metrics of the user's, in a step of one's own": make(
        own_steps(before=OF_BATCHES)
        .replace("self.tracker = keras.metrics.Mean", "self.spread, self.tracker = Spread(), keras.metrics.Mean")
        .replace("[self.tracker]", "[self.tracker, self.spread]")
        .replace("        return {**self", "        self.spread.update_state(y, self(x))\n        return {**self")
        .replace('"perplexity":', '"spread": self.spread.result(), "perplexity":'),
        "regression",
        train=49,
    ),
    "pairs in a class that is called itself": of_batches("Called()"),
    "pairs, run eagerly": of_batches("Contrast(), run_eagerly=True"),
    "pairs of a number of rows that is known beforehand": of_full_batches(of_batches("ContrastOfAKnownNumber()")),
    "pairs of a number of rows that is known beforehand, run eagerly": of_batches(
        "ContrastOfAKnownNumber(), run_eagerly=True"
    ),
}

FIT: dict[str, Case] = {
    "sample weights": make(mlp(f'{ADAM}, metrics=["accuracy"]'), "weighted"),
    "class weights": make(mlp(ADAM), fit={"class_weight": {0: 0.5, 1: 2.0}}),
    "validation every second epoch": make(mlp(ADAM), epochs=4, fit={"validation_freq": 2}),
    "initial epoch": make(mlp(ADAM), epochs=4, fit={"initial_epoch": 2}),
    "one epoch's rows fewer than a batch": make(mlp(ADAM), train=5),
    "a single row": make(mlp(ADAM), train=3, fit={"global_batch_size": 3}),
}

METRICS: dict[str, Case] = {
    "binary metrics": make(
        mlp(
            f"""{ADAM}, metrics=[
        "accuracy", keras.metrics.AUC(name="auc"), keras.metrics.AUC(curve="PR", name="pr"),
        keras.metrics.Precision(name="precision"), keras.metrics.Recall(name="recall"),
        keras.metrics.TruePositives(name="tp"), keras.metrics.FalsePositives(name="fp"),
        keras.metrics.TrueNegatives(name="tn"), keras.metrics.FalseNegatives(name="fn"),
        keras.metrics.SensitivityAtSpecificity(0.5, name="sas"), keras.metrics.PrecisionAtRecall(0.5, name="par"),
        keras.metrics.BinaryIoU(name="iou")]"""
        )
    ),
    "a metric with one value a class": make(
        mlp(
            """optimizer="adam", loss="categorical_crossentropy", metrics=[keras.metrics.F1Score(name="f1")]""",
            units=4,
            activation="softmax",
        ),
        "onehot",
    ),
    "class metrics": make(
        mlp(
            """optimizer="adam", loss="categorical_crossentropy", metrics=[
        "accuracy", keras.metrics.TopKCategoricalAccuracy(2, name="top2"),
        keras.metrics.F1Score(average="macro", name="f1"), keras.metrics.FBetaScore(average="weighted", name="fb"),
        keras.metrics.OneHotMeanIoU(num_classes=4, name="miou")]""",
            units=4,
            activation="softmax",
        ),
        "onehot",
    ),
    "a metric of a layer within a layer": make(
        mlp(
            ADAM,
            layers="Block(),",
            before="""
@keras.saving.register_keras_serializable("case")
class Router(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.load = keras.metrics.Mean(name="load")
    def call(self, x):
        self.load.update_state(keras.ops.abs(x))
        return x
@keras.saving.register_keras_serializable("case")
class Block(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.router = Router()
    def call(self, x):
        return self.router(x)
""",
        )
    ),
    "a metric that makes its state itself": make(
        mlp(
            f"{ADAM}, metrics=[Rows()]",
            before="""
@keras.saving.register_keras_serializable("case")
class Rows(keras.metrics.Metric):
    def __init__(self, name="rows", **kwargs):
        super().__init__(name=name, **kwargs)
        self.seen = keras.Variable(0.0, trainable=False)
    def update_state(self, y_true, y_pred, sample_weight=None):
        self.seen.assign_add(keras.ops.sum(keras.ops.abs(y_pred)))
    def result(self):
        return self.seen / 10
""",
        )
    ),
    "regression metrics": make(
        mlp(
            """optimizer="adam", loss="mse", metrics=[
        "mae", "mape", keras.metrics.R2Score(name="r2"), keras.metrics.RootMeanSquaredError(name="rmse"),
        keras.metrics.LogCoshError(name="logcosh"), keras.metrics.CosineSimilarity(name="cosine"),
        keras.metrics.PearsonCorrelation(name="pearson"), keras.metrics.ConcordanceCorrelation(name="ccc")]""",
            activation="linear",
        ),
        "regression",
    ),
}

PRECISION = {
    "mixed_float16": make(mlp(SGD, before='keras.mixed_precision.set_dtype_policy("mixed_float16")')),
    "mixed_bfloat16": make(mlp(SGD, before='keras.mixed_precision.set_dtype_policy("mixed_bfloat16")')),
    "float64": make(mlp(ADAM, before='keras.config.set_floatx("float64")'), "float64"),
}

SWAPPING = make(
    mlp(f"optimizer=keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.8), {BCE}")
    + "\ndef callbacks():\n    return [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)]\n",
    epochs=3,
    callbacks="model.py:callbacks",
)
FOLLOWING = make(
    mlp(f'{ADAM}, metrics=["accuracy"]')
    + """
class Follow(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.model.optimizer.learning_rate = 0.01 * (1 + logs["loss"] + logs["accuracy"])
def callbacks():
    return [Follow()]
""",
    callbacks="model.py:callbacks",
)
CALLBACKS = {
    name: make(
        mlp(ADAM) + f"\ndef callbacks():\n    return [keras.callbacks.{source}]\n",
        epochs=epochs,
        callbacks="model.py:callbacks",
    )
    for name, (source, epochs) in {
        "ReduceLROnPlateau": ('ReduceLROnPlateau("val_loss", patience=0, min_delta=1.0, factor=0.5)', 4),
        "LearningRateScheduler": ("LearningRateScheduler(lambda epoch, lr: lr * 0.7)", 3),
        "EarlyStopping": ('EarlyStopping("val_loss", patience=1, min_delta=1.0, restore_best_weights=True)', 6),
        "TerminateOnNaN": ("TerminateOnNaN()", 2),
        "LambdaCallback": ("LambdaCallback(on_epoch_end=lambda epoch, logs: None)", 2),
        "a callback at every batch": ("LambdaCallback(on_train_batch_end=lambda batch, logs: None)", 2),
    }.items()
}

# Their modules take `make` and `mlp` from this one.
from tests.conformance import gradient_cases, loading_cases, own_loss_cases, row_cases, sparse_gradient_cases  # noqa: E402

ROWS: dict[str, Row] = {
    f"{group}: {name}": Row(
        group=group,
        case=case,
        tolerance=MIXED if name.startswith("mixed") else FLOAT32,
    )
    for group, cases in {
        "models": MODELS,
        "optimizers": OPTIMIZERS,
        "compile": COMPILE,
        "whole batch": WHOLE_BATCH,
        "fit": FIT,
        "metrics": METRICS,
        "precision": PRECISION,
        "callbacks": CALLBACKS | {"SwapEMAWeights": SWAPPING, "a rate that follows each batch's metrics": FOLLOWING},
        **sparse_gradient_cases.GROUPS,
        **gradient_cases.GROUPS,
        **own_loss_cases.GROUPS,
        **row_cases.GROUPS,
        **loading_cases.GROUPS,
    }.items()
    for name, case in cases.items()
}
