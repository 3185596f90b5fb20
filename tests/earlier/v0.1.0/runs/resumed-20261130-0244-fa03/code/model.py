"""A network with one hidden layer for small images of handwritten digits."""

import keras


def build_model(hidden: int = 512) -> keras.Model:
    """Maps an image, (batch, 64) standardised pixels, to the probabilities of the ten digits, (batch, 10)."""
    return keras.Sequential(
        [
            keras.Input(shape=(64,)),
            keras.layers.Dense(hidden, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
