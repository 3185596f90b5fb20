"""What follows a training, on a local cluster: evaluation by 1 and 2 workers, a dry run, and a prediction's memory.

Run by `make bench`. Ratios are of commands that took turns. Memory is the largest sum of what the processes of the
cluster that ran for the prediction held of their own, the object store left out.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.machine import ROOT, description
from benchmarks.training import BIN, call, cluster, job_folder
from benchmarks.works import WIDTH, WORKS, write_data

COPIES = 24  # of the 20,000 images, so that evaluating them takes much longer than starting to
FEW, MANY = 100_000, 1_000_000


def evaluations(scratch: Path, address: str, turns: int) -> None:
    """480,000 images by a convolutional network of one CPU a worker."""
    data = scratch / "data-images"
    write_data("images", data)
    job = job_folder(WORKS["images"], data, scratch)
    storage = ["--storage", scratch / "runs", "--address", address, "--json"]
    run = json.loads(call([BIN / "raytrain", "submit", job, "--set", "fit.epochs=1", "--workers", "2", *storage]))
    rows = scratch / "data-images-copied"
    rows.mkdir()
    for copy in range(COPIES):
        for file in data.glob("*.parquet"):
            shutil.copyfile(file, rows / f"{copy}-{file.name}")
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(turns):
        for workers, taken in seconds.items():
            given = ["--data", json.dumps({"parquet": str(rows)}), "--workers", workers, "--cpus-per-worker", "1"]
            done = json.loads(call([BIN / "raytrain", "evaluate", run["run"], *given, *storage[2:]]))
            taken.append(done["seconds"])
    ratio = statistics.median(two / one for one, two in zip(seconds[1], seconds[2], strict=True))
    one, two = (statistics.median(taken) for taken in seconds.values())
    say(f"evaluate, {done['rows']:,} images: 1 worker {one:.1f} s, 2 workers {two:.1f} s, {ratio:.2f}, bar 0.70")


def dry_runs(scratch: Path, address: str, turns: int) -> None:
    """The whole of a fast dev run beside the time that the same job takes to the end of its first step."""
    ratios, tried, started = [], [], []
    for _ in range(turns):
        options = ["--storage", scratch / "runs", "--address", address, "--json"]
        began = perf_counter()
        call([BIN / "raytrain", "submit", ROOT / "jobs/digits", "--fast-dev-run", *options])
        tried.append(perf_counter() - began)
        began = perf_counter()
        call([BIN / "raytrain", "submit", ROOT / "jobs/digits", "--set", "fit.epochs=1", *options])
        started.append(perf_counter() - began)
        ratios.append(tried[-1] / started[-1])
    ratio = statistics.median(ratios)
    say(
        f"submit digits: --fast-dev-run {statistics.median(tried):.1f} s,"
        f" one epoch {statistics.median(started):.1f} s, {ratio:.2f}, bar 1.10"
    )


def memory(scratch: Path, address: str) -> None:
    """A prediction of few rows and one of ten times as many, by two workers."""
    rows = scratch / "data-rows"
    write_data("rows", rows)
    job = job_folder(WORKS["rows"], rows, scratch)
    storage = ["--storage", scratch / "runs", "--address", address, "--json"]
    run = json.loads(call([BIN / "raytrain", "submit", job, "--set", "fit.epochs=1", "--workers", "2", *storage]))
    most = {}
    for count in (FEW, MANY):
        given = json.dumps({"parquet": str(_rows(scratch / f"rows-{count}", count))})
        asked = ["--input", given, "--output", scratch / f"answers-{count}", "--format", "parquet", "--workers", "2"]
        most[count] = peak(partial(call, [BIN / "raytrain", "predict", run["run"], *asked, *storage[2:]]))
    say(
        f"predict, memory of its processes: {FEW:,} rows {most[FEW] / 2**20:,.0f} MiB, {MANY:,} rows"
        f" {most[MANY] / 2**20:,.0f} MiB, {most[MANY] / most[FEW]:.2f}"
    )


def _rows(folder: Path, count: int) -> Path:
    folder.mkdir()
    generator = np.random.default_rng(1)
    for number in range(count // FEW):
        x = generator.standard_normal(FEW * WIDTH, dtype=np.float32)
        lists = pa.ListArray.from_arrays(np.arange(FEW + 1, dtype=np.int32) * WIDTH, x)
        pq.write_table(pa.table({"x": lists}), folder / f"{number:03d}.parquet", row_group_size=10_000)
    return folder


def peak(work: Callable[[], Any]) -> int:
    """The most bytes that the cluster's processes which began meanwhile held of their own, seen four times a second."""
    before = {process.pid for process in psutil.process_iter()}
    over, most = threading.Event(), 0

    def look() -> None:
        nonlocal most
        while not over.wait(0.25):
            held = 0
            for process in psutil.process_iter():
                try:
                    if process.pid not in before and "ray" in process.name() + " ".join(process.cmdline()):
                        held += process.memory_full_info().uss
                except psutil.Error:
                    continue
            most = max(most, held)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        work()
    finally:
        over.set()
        looking.join()
    return most


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    turns = parser.parse_args().turns
    say(description())
    with tempfile.TemporaryDirectory(prefix="raytrain-bench-") as temporary, cluster(Path(temporary)) as address:
        evaluations(Path(temporary), address, turns)
        dry_runs(Path(temporary), address, turns)
        memory(Path(temporary), address)


if __name__ == "__main__":
    main()
