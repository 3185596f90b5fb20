"""What the processes of a run import, each of which takes its seconds from every run: no more than is listed here."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

COUNT = """
import json, os, sys

os.environ["RAY_TRAIN_V2_ENABLED"] = "1"

def packages():
    found = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
    return sorted(name for name in found if not name.startswith("_"))
"""
DRIVER = """
import raytrain.driver.__main__, raytrain.driver.train_task, raytrain.driver.worker_groups
import raytrain.driver.train_controller, raytrain.driver.recorder, raytrain.data.dataset

print(json.dumps(packages()))
"""
WORKER = """
import ray.train.v2._internal.execution.worker_group.worker, raytrain.worker.train_loop
from raytrain.import_file import modules_of
from raytrain.worker import process_setup

process_setup.import_ahead()
process_setup.finish_import()
from pathlib import Path
modules_of(Path("/nowhere"))  # which looks at every module
seen = packages(), "ray.tune" in sys.modules

from sklearn.base import BaseEstimator
from keras.wrappers import SKLearnClassifier
import keras, tensorflow

model = SKLearnClassifier(lambda X, y: keras.Sequential([keras.layers.Dense(1)]))
same = keras.wrappers.SKLearnClassifier is SKLearnClassifier is tensorflow.keras.wrappers.SKLearnClassifier
print(json.dumps([*seen, isinstance(model, BaseEstimator) and same]))
"""
# Seconds each, and nothing that a driver, or a worker, has a use for before the user's code asks.
NOT_IN_A_DRIVER = {"tensorflow", "keras", "sklearn", "scipy", "matplotlib", "torch", "mlflow", "plotext", "IPython"}
NOT_IN_A_WORKER = {"sklearn", "narwhals", "joblib", "torch", "mlflow", "jinja2", "plotext", "tensorboardX"}
# There were 41 and 65 on Ray 2.60, TensorFlow 2.21 and Keras 3.15, a few of them for what else may be installed.
MOST_IN_A_DRIVER, MOST_IN_A_WORKER = 45, 70


def run(program: str) -> Any:
    ended = subprocess.run([sys.executable, "-c", COUNT + program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def test_a_driver() -> None:
    packages = run(DRIVER)
    assert NOT_IN_A_DRIVER.isdisjoint(packages)
    assert len(packages) <= MOST_IN_A_DRIVER, packages


def test_a_worker_and_that_keras_wrappers_are_whole_when_they_are_asked_for() -> None:
    packages, has_tune, wrappers_are_whole = run(WORKER)
    assert NOT_IN_A_WORKER.isdisjoint(packages)
    assert not has_tune
    assert wrappers_are_whole
    assert len(packages) <= MOST_IN_A_WORKER, packages
