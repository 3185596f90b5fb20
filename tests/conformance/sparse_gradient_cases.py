"""Tables that words and positions are looked up in, whose gradients are sparse."""

from __future__ import annotations

from tests.conformance.cases import make
from tests.conformance.gradient_cases import SERIALIZABLE, on_each_last_batch
from tests.worker.pool import Case


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

GROUPS: dict[str, dict[str, Case]] = {"sparse gradients": SPARSE}
