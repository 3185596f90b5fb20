"""Three sigmoid layers that tell a handwritten 0 from a 1."""

import keras
from keras import layers


def build_model() -> keras.Model:
    """Maps an image, (batch, 64) floats in 0..1, to the probability that it shows a 1, (batch, 1)."""
    model = keras.Sequential(
        [
            keras.Input(shape=(64,)),
            layers.Dense(25, activation="sigmoid"),
            layers.Dense(15, activation="sigmoid"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    # No optimizer is named, so that Keras takes its default.
    model.compile(loss=keras.losses.BinaryCrossentropy(), metrics=["accuracy"])
    return model
