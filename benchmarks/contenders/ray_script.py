"""A Ray Train script by hand, in the form of Ray's own documents.

`TensorflowTrainer`, `to_tf` and `ReportCheckpointCallback`; Keras 2 has to be put into the job's runtime environment,
because with Keras 3 the documented script fails.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import ray
import ray.train
from ray.train import ScalingConfig
from ray.train.tensorflow import TensorflowTrainer
from ray.train.tensorflow.keras import ReportCheckpointCallback

from benchmarks.contenders.timeline import note
from benchmarks.works import WORKS, build, load


def train_func(config: dict[str, Any]) -> None:
    import tensorflow as tf
    import tf_keras

    work = WORKS[config["work"]]
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    with strategy.scope():
        model = build(work.name, tf_keras)
    context = ray.train.get_context()
    batch_size = work.global_batch_size // context.get_world_size()
    shard = ray.train.get_dataset_shard("train")

    class Noted(tf_keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if context.get_world_rank() == 0:
                note(config["timeline"], "epoch_end", epoch=config["epoch"])

    for epoch in range(work.epochs):
        config["epoch"] = epoch
        dataset = shard.to_tf(feature_columns="x", label_columns="y", batch_size=batch_size)
        model.fit(dataset, callbacks=[ReportCheckpointCallback(), Noted()], verbose=0)


def stack(batch: dict[str, Any]) -> dict[str, Any]:
    """Lists to arrays: `to_tf` makes ragged tensors of list columns, which no Dense layer takes."""
    return {"x": np.stack(batch["x"]), "y": batch["y"]}


def main(name: str, data: str, timeline: str, workers: str) -> None:
    if name == "digits":
        x, y = load(name, Path(data))
        dataset = ray.data.from_items([{"x": row, "y": label} for row, label in zip(x, y, strict=True)])
    else:
        files = [str(file) for file in sorted(Path(data).glob("*.parquet"))]
        dataset = ray.data.read_parquet(files).map_batches(stack)
    trainer = TensorflowTrainer(
        train_func,
        train_loop_config={"work": name, "timeline": timeline},
        scaling_config=ScalingConfig(num_workers=int(workers)),
        datasets={"train": dataset},
    )
    trainer.fit()


if __name__ == "__main__":
    main(*sys.argv[1:])
