"""A small convolutional network that shifts, turns and zooms its images while it learns."""

import keras
from keras import layers


def build_model(filters: int = 32) -> keras.Model:
    """Maps an image, (batch, 64) floats in 0..1, to the probabilities of the ten digits, (batch, 10).

    The three Random layers act in training only; evaluation and prediction see the images as they are.
    """
    return keras.Sequential(
        [
            keras.Input(shape=(64,)),
            layers.Reshape((8, 8, 1)),  # (batch, height, width, channels)
            layers.RandomTranslation(0.1, 0.1, fill_mode="constant"),
            layers.RandomRotation(0.03, fill_mode="constant"),
            layers.RandomZoom(0.1, fill_mode="constant"),
            layers.Conv2D(filters, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(2 * filters, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
