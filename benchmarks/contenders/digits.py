"""What jobs/digits does, as plain Keras in one process would: train, validate, test, save. `python -m … MODEL_FILE`."""

from __future__ import annotations

import sys

import keras
import numpy as np
from sklearn.datasets import load_digits

from jobs.digits.model import build_model

EPOCHS, BATCH = 10, 32


def main(file: str) -> None:
    x, y = load_digits(return_X_y=True)
    test, held_out = len(x) * 8 // 10, len(x) * 9 // 10
    mean, deviation = x[:test].mean(axis=0), x[:test].std(axis=0)
    x = ((x - mean) / np.where(deviation == 0, 1, deviation)).astype(np.float32)
    model = build_model()
    model.compile(keras.optimizers.Adam(0.002), "sparse_categorical_crossentropy", metrics=["accuracy"])
    held = (x[test:held_out], y[test:held_out])
    model.fit(x[:test], y[:test], batch_size=BATCH, epochs=EPOCHS, validation_data=held, verbose=0)
    model.evaluate(x[held_out:], y[held_out:], batch_size=BATCH, verbose=0)
    model.save(file)


if __name__ == "__main__":
    main(*sys.argv[1:])
