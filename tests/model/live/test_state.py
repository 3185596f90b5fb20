"""What training changes of a model, out of one and into another."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from raytrain.model.live import state


def model(units: int = 3) -> keras.Model:
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units), keras.layers.Dropout(0.5)])
    made.compile("adam", "mse", metrics=["mae"])
    made.optimizer.build(made.trainable_variables)
    return made


def test_it_comes_back_from_a_file_as_it_was(tmp_path: Path) -> None:
    trained, fresh = model(), model()
    trained.fit(np.ones((8, 2)), np.ones((8, 3)), verbose=0)
    state.save(tmp_path / "state.npz", state.values_of(trained))

    state.assign(fresh, state.load(tmp_path / "state.npz"))

    ours, theirs = state.values_of(fresh), state.values_of(trained)
    assert len(ours) == 2 + 1 + len(trained.optimizer.variables)  # the weights, Dropout's seed, the optimizer's
    assert all((one == other).all() for one, other in zip(ours, theirs, strict=True))


def test_types_that_numpy_does_not_know(tmp_path: Path) -> None:
    import ml_dtypes

    halves = np.array([1.5, -2.25], ml_dtypes.bfloat16)
    state.save(tmp_path / "state.npz", [halves, np.arange(3)])

    [back, whole] = state.load(tmp_path / "state.npz")

    assert back.dtype == halves.dtype
    assert (back == halves).all() and list(whole) == [0, 1, 2]


def test_values_of_another_model_are_refused() -> None:
    with pytest.raises(ValueError, match="other shapes"):
        state.assign(model(3), state.values_of(model(4)))
