"""What only a machine with a GPU can prove: `make gpu` runs it there and writes a dated note.

Without a GPU it says what it would run; `--rehearse` goes through all of it on CPUs, which proves the script alone.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.machine import ROOT, description
from benchmarks.training import BIN, call, job_folder
from benchmarks.works import WORKS, load, write_data

PARTS = "the trial of NCCL, digits against plain Keras, the same run twice to the bit, images beside plain Keras"
TOLERANCE = 1e-4
NOTES = ROOT / "benchmarks/notes"


def gpus() -> int:
    program = "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))"
    return int(call([sys.executable, "-c", program]).split()[-1])


class Jobs:
    """Runs jobs with a GPU a worker, or as if there were one."""

    def __init__(self, scratch: Path, *, rehearse: bool) -> None:
        self._scratch, self._rehearse = scratch, rehearse
        os.environ["RAYTRAIN_STATE_DIR"] = str(scratch / "state")
        self._workers = 1 if rehearse else gpus()
        up = ["up", "--json", "--gpus", self._workers]
        self._address = json.loads(call([BIN / "raytrain", *up]))["address"]

    @property
    def workers(self) -> int:
        return self._workers

    def submit(self, job: Path, workers: int, *sets: str) -> dict[str, Any]:
        fields = ["scaling.gpus_per_worker=1", "fit.tensor_float_32=false", *sets]
        if self._rehearse:
            fields.append('environment.env_vars={"RAYTRAIN_ALLOW_MISSING_GPUS": "1"}')
        options = [part for field in fields for part in ("--set", field)]
        place = ["--storage", self._scratch / "runs", "--address", self._address, "--workers", workers]
        done: dict[str, Any] = json.loads(call([BIN / "raytrain", "submit", job, "--json", *place, *options]))
        return done


def weights(run: dict[str, Any]) -> list[Any]:
    program = (
        "import sys, keras, numpy, pickle\n"
        "weights = keras.saving.load_model(sys.argv[1], compile=False).get_weights()\n"
        "pickle.dump([numpy.asarray(one) for one in weights], sys.stdout.buffer)"
    )
    done = subprocess.run([sys.executable, "-c", program, run["model"]], check=True, capture_output=True)
    found: list[Any] = pickle.loads(done.stdout)
    return found


def lines(jobs: Jobs, scratch: Path) -> Iterator[str]:
    """The note's lines, one after the other as they are measured."""
    digits = ROOT / "jobs/digits"
    many = jobs.submit(digits, jobs.workers, "fit.epochs=3", "fit.determinism=true")
    one = jobs.submit(digits, 1, "fit.epochs=3", "fit.determinism=true")
    again = jobs.submit(digits, jobs.workers, "fit.epochs=3", "fit.determinism=true")
    yield f"- workers sum over: {many['collectives']}"
    difference = _largest(weights(many), weights(one))
    yield f"- {jobs.workers} workers against one: largest difference of a weight {difference:.1e}, bar {TOLERANCE:.0e}"
    yield f"- the same run twice: largest difference {_largest(weights(many), weights(again)):.1e}, bar 0"
    data = scratch / "images"
    write_data("images", data)
    ours = jobs.submit(job_folder(WORKS["images"], data, scratch), jobs.workers, "fit.epochs=4")
    epoch_s = statistics.median(ours["timing"]["epoch_s"][1:])
    plain_s = _plain_epoch_s(data)
    yield f"- images, an epoch: {epoch_s:.2f} s, plain Keras on one GPU {plain_s:.2f} s, {epoch_s / plain_s:.2f}"
    waits = [row["rank_wait_s"] for row in _epochs(ours) if row.get("rank_wait_s")]
    share = max(waits[-1], default=0.0) / epoch_s if waits else 0.0
    yield f"- images: the slowest rank waited for rows {share:.1%} of the last epoch"


def _largest(one: list[Any], other: list[Any]) -> float:
    import numpy as np

    return max(float(np.max(np.abs(a - b))) for a, b in zip(one, other, strict=True))


def _epochs(run: dict[str, Any]) -> list[dict[str, Any]]:
    lines = (Path(run["storage"]) / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["type"] == "epoch_end"]


def _plain_epoch_s(data: Path) -> float:
    """A later epoch of plain Keras on the rows in memory, in a process of its own."""
    done = call([sys.executable, "-m", "benchmarks.gpu", "--plain", data])
    return float(done.split()[-1])


def plain(data: Path) -> None:
    import keras
    import tensorflow as tf

    from benchmarks.works import build

    tf.config.experimental.enable_tensor_float_32_execution(False)
    model, (x, y) = build("images", keras), load("images", data)
    seconds = []
    for _ in range(4):
        began = perf_counter()
        model.fit(x, y, batch_size=WORKS["images"].global_batch_size, verbose=0)
        seconds.append(perf_counter() - began)
    print(statistics.median(seconds[1:]))  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rehearse", action="store_true")
    parser.add_argument("--plain", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.plain:
        plain(given.plain)
        return
    if not given.rehearse and not gpus():
        print(f"No GPU is seen here. With one, this runs {PARTS}.")  # noqa: T201
        return
    with tempfile.TemporaryDirectory(prefix="raytrain-gpu-") as temporary:
        jobs = Jobs(Path(temporary), rehearse=given.rehearse)
        try:
            said = [f"# GPUs, {datetime.now(UTC):%Y-%m-%d}", "", description(), ""]
            for line in lines(jobs, Path(temporary)):
                print(line, flush=True)  # noqa: T201
                said.append(line)
        finally:
            call([BIN / "raytrain", "down"])
    if not given.rehearse:
        note = NOTES / f"{datetime.now(UTC):%Y-%m-%d}-gpu.md"
        note.write_text("\n".join(said) + "\n")
        print(f"written to {note.relative_to(ROOT)}")  # noqa: T201


if __name__ == "__main__":
    main()
