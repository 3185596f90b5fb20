"""A network for handwritten digits that is kept from learning its train rows by heart."""

import keras
from keras import layers, regularizers


def build_model(l1: float = 1e-5, l2: float = 1e-4, dropout: float = 0.3) -> keras.Model:
    """Maps an image, (batch, 64) floats in 0..1, to the probabilities of the ten digits, (batch, 10).

    Args:
        l1: weight of the sum of absolute weights in the loss.
        l2: weight of the sum of squared weights in the loss.
        dropout: share of the hidden units that are switched off in each training step.
    """
    return keras.Sequential(
        [
            keras.Input(shape=(64,)),
            layers.Dense(128, kernel_regularizer=regularizers.L1L2(l1=l1, l2=l2)),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Dropout(dropout),
            layers.Dense(10, activation="softmax"),
        ]
    )
