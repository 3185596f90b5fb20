"""What is compiled anew in the middle of training, and jobs of several files that import one another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.conformance.cases import make
from tests.worker.pool import Case

TWO_PHASES = """
import keras
LOSS = "binary_crossentropy"
def build_model():
    base = keras.Sequential([
        keras.Input((6,)), keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(8, activation="tanh")
    ], name="base")
    base.trainable = False
    inputs = keras.Input((6,))
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid", name="head")(base(inputs)))
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss=LOSS, metrics=["accuracy", "auc", "mse"])
    return model
def unfreeze(model, optimizer=None):
    model.get_layer("base").trainable = True
    optimizer = optimizer or keras.optimizers.Adam(0.002)
    model.compile(optimizer=optimizer, loss=LOSS, metrics=["accuracy", "auc", "mse"])
    model.make_train_function(force=True)
class Unfreeze(keras.callbacks.Callback):
HOOK
def callbacks():
    return [Unfreeze()]
"""

HOOKS = {
    "as an epoch begins": """
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            unfreeze(self.model)
""",
    "as an epoch ends": """
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            unfreeze(self.model)
""",
    "as training begins": """
    def on_train_begin(self, logs=None):
        unfreeze(self.model)
""",
    "as training ends": """
    def on_train_end(self, logs=None):
        self.model.compile(optimizer="sgd", loss="mse", metrics=["accuracy"])
""",
    "within an epoch": """
    def on_train_batch_end(self, batch, logs=None):
        if batch == 1 and not self.model.get_layer("base").trainable:
            unfreeze(self.model)
""",
    "a base unfrozen and nothing compiled": """
    def on_epoch_begin(self, epoch, logs=None):
        self.model.get_layer("base").trainable = epoch > 0
""",
    "a layer frozen as training begins and nothing compiled": """
    def on_epoch_begin(self, epoch, logs=None):
        self.model.get_layer("head").trainable = False
        self.model.get_layer("base").layers[0].trainable = epoch > 0
""",
    "a layer frozen within an epoch and nothing compiled": """
    def on_train_batch_begin(self, batch, logs=None):
        self.model.get_layer("head").trainable = batch == 0
""",
    "an optimizer that the callback holds": """
    def __init__(self):
        super().__init__()
        self.fine = keras.optimizers.SGD(0.3, momentum=0.9)
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            unfreeze(self.model, self.fine)
        self.fine.learning_rate = 0.3 / (epoch + 1)
""",
    "an optimizer without a compilation": """
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            self.model.optimizer = keras.optimizers.RMSprop(0.01)
            self.model.make_train_function(force=True)
""",
    "another loss, a schedule and averaged weights": """
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            rate = keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
            self.model.compile(
                optimizer=keras.optimizers.Adam(rate, use_ema=True, ema_momentum=0.5),
                loss=lambda y, p: keras.ops.mean(keras.ops.abs(y - p), axis=-1),
                metrics=["accuracy", keras.metrics.AUC(name="auc"), "mse"],
            )
            self.model.make_train_function(force=True)
""",
    "steps as plain Python from then on": """
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            unfreeze(self.model)
            self.model.run_eagerly = True
            self.model.make_train_function(force=True)
""",
}

OWN_STEP = """
import keras
import tensorflow as tf
@keras.saving.register_keras_serializable("case")
class Alternating(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = keras.layers.Dense(8, activation="tanh")
        self.head = keras.layers.Dense(1, activation="sigmoid")
        self.second = []
    def build(self, shape):
        self.hidden.build((None, 6))
        self.head.build((None, 8))
    def call(self, x):
        return self.head(self.hidden(x))
    def train_step(self, data):
        x, y = data
        if not self.second:
            self.second.append(keras.optimizers.Adam(0.01))
        with tf.GradientTape(persistent=True) as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        self.optimizer.apply(tape.gradient(loss, self.head.trainable_weights), self.head.trainable_weights)
        self.second[0].apply(tape.gradient(loss, self.hidden.trainable_weights), self.hidden.trainable_weights)
        self._loss_tracker.update_state(loss)
        return {"loss": self._loss_tracker.result()}
def build_model():
    model = Alternating()
    model.build((None, 6))
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss=keras.losses.BinaryCrossentropy()OPTIONS)
    return model
"""


def two_phases(hook: str, **more: Any) -> Case:
    return make(TWO_PHASES.replace("HOOK", hook), callbacks="model.py:callbacks", **{"epochs": 3, **more})


IN_FLOAT16 = """
import keras
keras.mixed_precision.set_dtype_policy("mixed_float16")
def Scaled(rate):
    return keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(rate), initial_scale=64.0)
"""
MIXED = two_phases(HOOKS["as an epoch begins"])
RECOMPILE = {
    **{name: two_phases(hook) for name, hook in HOOKS.items()},
    **{f"as an epoch begins, {rows} rows": two_phases(HOOKS["as an epoch begins"], train=rows) for rows in (128, 129)},
    "as an epoch ends, 130 rows": two_phases(HOOKS["as an epoch ends"], train=130),
    "mixed_float16": replace(MIXED, model_py=IN_FLOAT16 + MIXED.model_py.replace("keras.optimizers.Adam", "Scaled")),
    "an optimizer that the step makes": make(OWN_STEP.replace("OPTIONS", "")),
    "an optimizer that the step makes, as plain Python": make(OWN_STEP.replace("OPTIONS", ", run_eagerly=True")),
}

PACKAGE = {
    "net/__init__.py": "from .model import build_model, Scaled\n",
    "net/model.py": """
import keras
from . import blocks
from .zoo.layers import Scaled
def build_model():
    model = keras.Sequential([keras.Input((6,)), *blocks.hidden(), Scaled(), keras.layers.Dense(1, "sigmoid")])
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    return model
""",
    "net/blocks.py": "import keras\ndef hidden():\n    return [keras.layers.Dense(8, 'tanh')]\n",
    "net/zoo/layers.py": """
import keras
import net
from ..blocks import hidden
@keras.saving.register_keras_serializable("case")
class Scaled(keras.layers.Layer):
    def call(self, x):
        return 0.5 * x
""",
    "watch/callbacks.py": """
import keras
from net.model import Scaled
class Check(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        assert any(isinstance(layer, Scaled) for layer in self.model.layers)
def callbacks():
    return [Check()]
""",
}
FILES = {
    "a package that imports the file": replace(
        make(
            "from net.model import build_model\nfrom watch.callbacks import callbacks\n",
            model="net/model.py:build_model",
            callbacks="watch/callbacks.py:callbacks",
        ),
        files=PACKAGE,
    ),
}

GROUPS: dict[str, dict[str, Case]] = {"recompile": RECOMPILE, "files": FILES}
