"""The final model is saved whole, or its weights are, and the user is told."""

from __future__ import annotations

from pathlib import Path

import h5py

from raytrain.run import events
from tests.worker.conftest import Pools
from tests.worker.test_one_answer import case

UNSAVABLE = """
import keras
class Net(keras.Model):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.out = keras.layers.Dense(1, activation="sigmoid")
    def call(self, x):
        return self.out(self.function(x))
def build_model():
    model = Net(lambda x: 2 * x)
    model.compile(optimizer="adam", loss="binary_crossentropy")
    return model
"""


def test_a_model_that_keras_cannot_save_leaves_its_weights(pools: Pools, tmp_path: Path) -> None:
    [chief, _] = pools(2).run(case(model=UNSAVABLE), tmp_path)
    assert not chief.error, chief.error
    [written] = [saved.path for saved in chief.of(events.ModelSaved)]
    assert Path(written) == tmp_path / "model.weights.h5"
    with h5py.File(written) as file:
        shapes = []
        file.visititems(lambda _, item: shapes.append(item.shape) if isinstance(item, h5py.Dataset) else None)
    assert (6, 1) in shapes
    [told] = [warned.message for warned in chief.of(events.Warned)]
    assert "model.weights.h5" in told
    assert len(told) < 300
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
