"""MultiWorkerMirroredStrategy by hand, no Ray: arrays in memory, Keras 2, TensorFlow's default threads.

`python -m … WORK DATA TIMELINE WORKERS` starts the workers' processes itself and waits for them.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path


def main(name: str, data: str, timeline: str, workers: str) -> None:
    holders = [socket.socket() for _ in range(int(workers))]
    for holder in holders:
        holder.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{holder.getsockname()[1]}" for holder in holders]
    for holder in holders:
        holder.close()
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", __spec__.name, name, data, timeline],
            env=os.environ
            | {
                "TF_USE_LEGACY_KERAS": "1",
                "TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}}),
            },
        )
        for rank in range(int(workers))
    ]
    codes = [process.wait() for process in processes]
    if any(codes):
        raise SystemExit("a worker failed")


def work(name: str, data: str, timeline: str) -> None:
    """One worker: what the TensorFlow guide's multi-worker script does."""
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    import tf_keras

    from benchmarks.contenders.timeline import note
    from benchmarks.works import WORKS, build, load

    x, y = load(name, Path(data))
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(10_000).batch(WORKS[name].global_batch_size)
    with strategy.scope():
        model = build(name, tf_keras)
    is_chief = json.loads(os.environ["TF_CONFIG"])["task"]["index"] == 0
    ended = tf_keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: note(timeline, "epoch_end", epoch=epoch) if is_chief else None
    )
    model.fit(dataset.with_options(options), epochs=WORKS[name].epochs, callbacks=[ended], verbose=0)


if __name__ == "__main__":
    work(*sys.argv[1:]) if "TF_CONFIG" in os.environ else main(*sys.argv[1:])
