"""What the proof of a run's answer costs: of the time to the first epoch, in imports of TensorFlow, and in memory.

Run by `make bench`. Two workers on a local cluster, with a loss of the user's own; runs with and without the proof take
turns. The proof's seconds are those between the events around it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from time import perf_counter

from benchmarks.after_training import peak, say
from benchmarks.machine import description
from benchmarks.training import BIN, call, cluster

MODEL = """
import keras
from keras import ops


def own_loss(y_true, y_pred):
    return ops.mean(ops.square(ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), 10) - y_pred), axis=-1)


def build_model(hidden):
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(hidden, "relu")])
    for _ in range(2 if hidden > 1000 else 0):
        model.add(keras.layers.Dense(hidden, "relu"))
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.compile("adam", own_loss)
    return model
"""
SMALL, LARGE = 512, 2240  # of 0.04 and of 10.2 million parameters
FIRST_EPOCH_BAR, IMPORT_BAR = 0.05, 0.4


def job(scratch: Path, hidden: int) -> Path:
    folder = scratch / f"own-{hidden}"
    folder.mkdir()
    (folder / "model.py").write_text(MODEL)
    spec = {
        "name": folder.name,
        "model": "model.py:build_model",
        "model_args": {"hidden": hidden},
        "data": {"train": {"sklearn": "digits"}, "features": "image", "label": "digit"},
        "fit": {"epochs": 2, "global_batch_size": 64},
        "scaling": {"workers": 2},
    }
    (folder / "job.yaml").write_text(json.dumps(spec))
    return folder


def submit(folder: Path, scratch: Path, address: str, answer: str) -> tuple[float, float]:
    """Seconds to the end of the first epoch, and of the proof."""
    options = ["--json", "--storage", scratch / "runs", "--address", address, "--set", f"fit.answer={answer}"]
    done = json.loads(call([BIN / "raytrain", "submit", folder, *options]))
    events = [json.loads(line) for line in (Path(done["storage"]) / "events.jsonl").read_text().splitlines()]
    proven = [event["time"] for event in events if event["type"] == "answer_proven"]
    model = [event["time"] for event in events if event["type"] == "phase" and event["name"] == "model"]
    return done["timing"]["submit_to_first_epoch_s"], proven[0] - model[0] if proven else 0.0


def import_s() -> float:
    began = perf_counter()
    subprocess.run([sys.executable, "-c", "import tensorflow, keras"], check=True, capture_output=True)
    return perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    turns = parser.parse_args().turns
    say(description())
    with tempfile.TemporaryDirectory(prefix="raytrain-bench-") as temporary, cluster(Path(temporary)) as address:
        scratch = Path(temporary)
        small, large = job(scratch, SMALL), job(scratch, LARGE)
        shares, imports = [], []
        for _ in range(turns):
            first_epoch, proof = submit(small, scratch, address, "warn")
            shares.append(proof / (first_epoch - proof))
            imports.append(submit(large, scratch, address, "warn")[1] / import_s())
        say(f"digits: {statistics.median(shares):.3f} of the time to the first epoch, bar {FIRST_EPOCH_BAR}")
        say(f"10 million parameters: {statistics.median(imports):.2f} of an import, bar {IMPORT_BAR}")
        without, with_proof = (peak(partial(submit, large, scratch, address, answer)) for answer in ("any", "warn"))
        say(f"memory of all processes: {with_proof / 2**20:,.0f} MiB with, {without / 2**20:,.0f} MiB without")


if __name__ == "__main__":
    main()
