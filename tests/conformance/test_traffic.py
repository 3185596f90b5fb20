"""What crosses the network: the gradients of a training step, and once an epoch all metrics' states together."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.processes

SCRIPT = """
import json, os, sys
import numpy as np
os.environ["TF_CONFIG"] = json.dumps(
    {"cluster": {"worker": json.loads(sys.argv[2])}, "task": {"type": "worker", "index": int(sys.argv[1])}}
)
import keras, tensorflow as tf
from raytrain.spec.shards import plan_shards
from raytrain.worker.exact import metric_pooling, step_functions
from raytrain.worker.feed import Feed
from raytrain.worker.exact.keras_patches import mend
from raytrain.worker.strategy import join

rank = int(sys.argv[1])
strategy = join(gpus_per_worker=0)
mend(rank=rank)
class Counting(keras.Sequential):
    def get_metrics_result(self):
        if tf.executing_eagerly():
            self.asked.assign_add(1)
        return super().get_metrics_result()
class Rows(keras.metrics.Metric):
    def __init__(self, kept):
        super().__init__(name=kept)
        self.seen = self.add_variable((), "zeros", dtype=kept)
    def update_state(self, y, y_pred, sample_weight=None):
        self.seen.assign_add(tf.cast(tf.shape(y)[0], self.seen.dtype))
    def result(self):
        return self.seen.value if self.name == "int32" else self.seen
with strategy.scope():
    layers = [keras.layers.Dense(3), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
    model = Counting([keras.Input((4,)), *layers, keras.layers.Dense(1)])
    model.asked = keras.Variable(0, dtype="int32", trainable=False)
    model.compile("adam", "mse", metrics=["mae", keras.metrics.R2Score(), Rows("int32"), Rows("float32")])
data = np.zeros((10, 4), "float32"), np.zeros((10, 1), "float32")
feed = Feed(data, plan=plan_shards(10, workers=2, global_batch_size=4), rank=rank, seed=0, shuffle=True)
with strategy.scope():
    model._symbolic_build(data_batch=feed.example_batch())
counts = {}
wrapped = tf.function
for name, make in (("train", step_functions.make_train_function), ("test", step_functions.make_test_function)):
    seen = []

    def recording(*args, seen=seen, **kwargs):
        made = wrapped(*args, **kwargs)
        if "jit_compile" in kwargs:
            concrete = made.get_concrete_function
            made.get_concrete_function = lambda *a, **k: seen.append(concrete(*a, **k)) or seen[-1]
        return made
    tf.function = recording
    function = make(model, strategy, lambda: None, static_batch=False)
    function(iter(feed))
    tf.function = wrapped
    [graph] = [concrete.graph for concrete in seen]
    counts[name] = [op.type for op in graph.get_operations() if "Collective" in op.type]
reduced, sums = [], []
reduce, sum_vector = strategy.extended._reduce_to, metric_pooling.sum_vector
strategy.extended._reduce_to = lambda *a, **k: reduced.append(tf.executing_eagerly()) or reduce(*a, **k)
metric_pooling.sum_vector = lambda *a: sums.append(a) or sum_vector(*a)
logs = dict.fromkeys(model.get_metrics_result())
reduced.clear()
model.asked.assign(0)
results = model._get_metrics_result_or_logs(logs)
model.reset_metrics()
counts["rows"] = [int(results["int32"]), int(results["float32"])]
counts |= {"eager": sum(reduced), "sums": len(sums), "asked": int(model.asked)}
if rank == 0:
    print(json.dumps(counts))
"""


@pytest.fixture(scope="module")
def collectives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The collectives in the traced train and test step of a model with four weights and two metrics, by type."""
    from tests.worker.pool import free_addresses

    script = tmp_path_factory.mktemp("traffic") / "count.py"
    script.write_text(SCRIPT)
    addresses = json.dumps(free_addresses(2))
    workers = [
        subprocess.Popen(
            [sys.executable, script, str(rank), addresses], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
        )
        for rank in (0, 1)
    ]
    output, _ = workers[0].communicate(timeout=120)
    workers[1].communicate(timeout=30)
    yield json.loads(output)


def test_a_training_step_has_one_collective_for_all_gradients(collectives: dict[str, Any]) -> None:
    assert len(collectives["train"]) == 1, collectives


def test_a_test_step_has_none(collectives: dict[str, Any]) -> None:
    assert collectives["test"] == []


def test_the_results_of_all_metrics_take_one_sum_for_each_kind_of_number(collectives: dict[str, Any]) -> None:
    """The states are float32, and an integer; setting them back takes none."""
    assert collectives["sums"] == 2
    assert collectives["eager"] == 0


def test_what_a_model_sets_while_it_is_asked_for_results_stays_set(collectives: dict[str, Any]) -> None:
    assert collectives["asked"] == 1


def test_results_that_are_states_are_those_of_all_workers(collectives: dict[str, Any]) -> None:
    """Four rows in the train step, four in the test step; they stay when the states are set back."""
    assert collectives["rows"] == [8, 8]
