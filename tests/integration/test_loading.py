"""Jobs of several files, and jobs that start from what another saved: what `validate` calls valid, runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeFolder
from tests.integration.conftest import Cli

FILES = {
    "net/__init__.py": "from .model import build\n",
    "net/layers.py": """
import keras
@keras.saving.register_keras_serializable("shop")
class Same(keras.layers.Layer):
    def call(self, x):
        return x
""",
    "net/model.py": """
import keras
from .layers import Same
def build():
    base = keras.Sequential([
        keras.Input((6,)), keras.layers.Dense(8, activation="tanh"), Same(), keras.layers.Dense(8, activation="tanh")
    ], name="base")
    base.trainable = False
    inputs = keras.Input((6,))
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(base(inputs)))
    compiled(model, 0.02)
    return model
def compiled(model, rate):
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", metrics=["accuracy"])
def head(base):
    base.trainable = False
    model = keras.Sequential([keras.Input((6,)), base, keras.layers.Dense(1, activation="sigmoid")])
    compiled(model, 0.1)
    return model
""",
    "net/watch/callbacks.py": """
import os
import keras
import net
from ..model import compiled
class Unfreeze(keras.callbacks.Callback):
    def __init__(self, path):
        super().__init__()
        self.path = path
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            self.model.get_layer("base").trainable = True
            compiled(self.model, 0.002)
            self.model.make_train_function(force=True)
    def on_train_end(self, logs=None):
        self.model.save(f"{self.path}/{os.getpid()}.h5")  # every worker writes what has an absolute path
def callbacks():
    return [Unfreeze("OLDER")]
""",
    "net/data.py": """
import numpy as np
from .rows import ROWS
def load():
    rng = np.random.default_rng(9)
    x = rng.normal(size=(ROWS, 6)).astype("float32")
    return {"x": x, "y": (x[:, 0] * x[:, 1] > 0).astype("float32")}
""",
    "net/rows.py": "ROWS = 192\n",
    "job.yaml": """
name: loading
model: net/model.py:build
callbacks: net/watch/callbacks.py:callbacks
data: {train: {python: net/data.py:load}, features: x, label: y, shuffle: false}
fit: {epochs: 5, global_batch_size: 16, seed: 4}
scaling: {workers: 2}
""",
}
# Of plain Keras in one process.
LOSSES = [0.781003475189209, 0.7285022735595703, 0.7046775221824646, 0.6940907835960388, 0.68841153383255]


def test_packages_two_phases_and_models_with_classes_of_ones_own(
    cli: Cli, make_folder: MakeFolder, tmp_path: Path
) -> None:
    folder = make_folder({path: text.replace("OLDER", str(tmp_path)) for path, text in FILES.items()})
    first = succeeded(cli, folder)
    told = json.loads(cli("metrics", first["run"], "--json", "--storage", cli.storage).stdout)
    assert [epoch["loss"] for epoch in told["epochs"]] == pytest.approx(LOSSES, abs=4e-5)
    older = next(tmp_path.glob("*.h5"))
    from_it = ("--set", "model=net/model.py:head", "--set", "callbacks=[]", "--set", "fit.epochs=1")
    of_run = succeeded(cli, folder, *from_it, "--set", f"init_from={first['run']}")
    of_file = succeeded(cli, folder, *from_it, "--set", f"init_from={older}")
    assert of_run["metrics"]["loss"] == pytest.approx(of_file["metrics"]["loss"], abs=4e-5)
    without = ("--set", f"model={{run: {first['run']}}}", "--set", "callbacks=[]")
    refused = cli("submit", folder, *without, "--storage", cli.storage)
    assert refused.returncode == 3
    assert "shop>Same, which is none of Keras' own" in refused.stderr


def succeeded(cli: Cli, folder: Path, *arguments: str) -> dict[str, Any]:
    valid = cli("validate", folder, *arguments)
    assert valid.returncode == 0, valid.stderr
    result = cli.submit(folder, *arguments)
    assert result["status"] == "SUCCEEDED", result.get("error")
    return result
