"""A file that was written as a script of one process, on two Ray workers: what it asks of its process it has."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.integration.conftest import Cli

JOB = """
name: script
model: model.py:build_model
data:
  train: {inline: {x: [0.0, 1.0, 2.0, 3.0], y: [0, 0, 1, 1]}}
  features: [x]
  label: y
callbacks: model.py:callbacks
fit: {epochs: 6, global_batch_size: 4}
scaling: {workers: 2}
"""
MODEL = """
import argparse
import os

import keras
import tensorflow as tf

parser = argparse.ArgumentParser()
parser.add_argument("--units", type=int, default=3)
args = parser.parse_args()
tf.config.threading.set_intra_op_parallelism_threads(1)
strategy = tf.distribute.MirroredStrategy()
WORDS = list({f"word {number}" for number in range(50)})
print("words", *WORDS, flush=True)


class Snapshot(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        os.makedirs(f"snapshots-{epoch}")
        self.model.save_weights(f"snapshots-{epoch}/epoch.weights.h5")
        self.model.save_weights("last.weights.h5")

    def on_train_end(self, logs=None):
        self.model.load_weights("last.weights.h5")
        print("files", end=" ")
        print(sorted(os.listdir()), flush=True)


def callbacks():
    return [Snapshot()]


def build_model():
    units = parser.parse_args().units
    with strategy.scope():
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(units), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(0.01 * strategy.num_replicas_in_sync), loss="mse")
    return model
"""


def test_a_script_of_one_process_runs_on_two_workers(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(JOB)
    (tmp_path / "model.py").write_text(MODEL)
    result = cli.submit(tmp_path)
    assert result["status"] == "SUCCEEDED", result["error"]
    logs = [(Path(result["storage"]) / "logs/attempt-1" / f"rank-{rank}.log").read_text() for rank in range(2)]
    words = [re.findall(r"^words (.*)$", log, re.MULTILINE) for log in logs]
    assert words[0] == words[1]
    assert [len(lines) for lines in words] == [1, 1]
    for log in logs:
        [files] = re.findall(r"^files (.*)$", log, re.MULTILINE)
        found = json.loads(files.replace("'", '"'))
        assert {"job.yaml", "last.weights.h5", "model.py", "snapshots-5"} <= set(found)
