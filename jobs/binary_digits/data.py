"""The images of handwritten 0 and 1 among scikit-learn's digits."""

import numpy as np
from sklearn.datasets import load_digits


def load() -> dict[str, np.ndarray]:
    """Returns 360 rows: `image`, (360, 64) floats in 0..1, and `digit`, (360,) zeros and ones."""
    digits = load_digits(n_class=2)
    return {"image": (digits.data / 16).astype("float32"), "digit": digits.target}
