"""What crosses the network: the gradients of a training step, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = """
import json, os, sys
import numpy as np
os.environ["TF_CONFIG"] = json.dumps(
    {"cluster": {"worker": json.loads(sys.argv[2])}, "task": {"type": "worker", "index": int(sys.argv[1])}}
)
import keras, tensorflow as tf
from raytrain.spec.shards import plan_shards
from raytrain.worker import steps
from raytrain.worker.feed import Feed
from raytrain.worker.mending import mend
from raytrain.worker.strategy import join

rank = int(sys.argv[1])
strategy = join(gpus_per_worker=0)
mend(rank=rank)
with strategy.scope():
    layers = [keras.layers.Dense(3), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile("adam", "mse", metrics=["mae", keras.metrics.R2Score()])
data = np.zeros((10, 4), "float32"), np.zeros((10, 1), "float32")
feed = Feed(data, plan=plan_shards(10, workers=2, global_batch_size=4), rank=rank, seed=0, shuffle=True)
with strategy.scope():
    model._symbolic_build(data_batch=feed.example_batch())
counts = {}
wrapped = tf.function
for name, make in (("train", steps.make_train_function), ("test", steps.make_test_function)):
    seen = []

    def recording(*args, seen=seen, **kwargs):
        made = wrapped(*args, **kwargs)
        if kwargs.get("input_signature") is None and hasattr(made, "get_concrete_function"):
            concrete = made.get_concrete_function
            made.get_concrete_function = lambda *a, **k: seen.append(concrete(*a, **k)) or seen[-1]
        return made
    tf.function = recording
    function = make(model, strategy, static_batch=False)
    tf.function = wrapped
    function(iter(feed))
    [graph] = [concrete.graph for concrete in seen]
    counts[name] = [op.type for op in graph.get_operations() if "Collective" in op.type]
if rank == 0:
    print(json.dumps(counts))
"""


@pytest.fixture(scope="module")
def collectives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[str]]]:
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


def test_a_training_step_has_one_collective_for_all_gradients(collectives: dict[str, list[str]]) -> None:
    assert len(collectives["train"]) == 1, collectives


def test_a_test_step_has_none(collectives: dict[str, list[str]]) -> None:
    assert collectives["test"] == []
