"""How planning grows: parquet files and rows, from the spec to who reads what, before a row is read.

Run by `make bench`. Each measurement is a process of its own, so that memory is that of one plan alone.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.machine import description

SIZES = ((100, 1_000), (1_000, 1_000), (1_000, 10_000), (10_000, 100), (10_000, 1_000))


def write_files(folder: Path, files: int, rows: int) -> None:
    """`files` parquet files of `rows` rows each: one file, linked as often as is needed."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    first = folder / "part-00000.parquet"
    pq.write_table(pa.table({"x": generator.random(rows, np.float32), "y": generator.integers(0, 2, rows)}), first)
    for number in range(1, files):
        (folder / f"part-{number:05d}.parquet").hardlink_to(first)


def plan(folder: Path) -> None:
    """Prints what planning the job took, as JSON: on the client, then in the driver up to the shard plan."""
    from raytrain.spec.checks import check_job
    from raytrain.spec.load import load_job

    job = {
        "name": "many",
        "model": {"layers": [{"Input": {"shape": [1]}}, {"Dense": {"units": 1}}]},
        "compile": {"loss": "mse"},
        "data": {"train": {"parquet": f"{folder}/"}, "validation": 0.1, "features": "x", "label": "y"},
        "fit": {"global_batch_size": 1024},
        "scaling": {"workers": 8},
    }
    file = folder.parent / f"{folder.name}.yaml"
    file.write_text(json.dumps(job))
    began = perf_counter()
    loaded = load_job(str(file))
    facts = check_job(loaded)
    client_s = perf_counter() - began
    client_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    import ray

    ray.init(num_cpus=2, log_to_driver=False, logging_level="error")
    from raytrain.data.sources import read_source, rows_per_file
    from raytrain.data.splits import make_splitter

    began = perf_counter()
    source = loaded.spec.data.train
    read = read_source(source, loaded.folder, field="data.train")
    counts = rows_per_file(source, loaded.folder, field="data.train")
    splitter = make_splitter(loaded.spec, sum(counts), None)
    splitter.of(0, 1024)
    driver_s = perf_counter() - began
    assert facts.rows is not None
    assert splitter.counts.train == facts.rows.train
    assert read.rows == sum(counts)
    driver_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps([client_s, client_bytes, driver_s, driver_bytes]))  # noqa: T201


def main() -> None:
    print(description())  # noqa: T201
    print(f"{'files':>8}{'rows':>14}{'client s':>10}{'MiB':>8}{'driver s':>10}{'MiB':>8}")  # noqa: T201
    with tempfile.TemporaryDirectory(prefix="raytrain-bench-") as scratch:
        for files, rows in SIZES:
            folder = Path(scratch) / f"{files}-{rows}"
            write_files(folder, files, rows)
            command = [sys.executable, "-m", "benchmarks.planning", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr[-3000:])
            client_s, client_bytes, driver_s, driver_bytes = json.loads(done.stdout.splitlines()[-1])
            print(  # noqa: T201
                f"{files:>8,}{files * rows:>14,}{client_s:>10.2f}{client_bytes >> 20:>8,}{driver_s:>10.2f}"
                f"{driver_bytes >> 20:>8,}"
            )


if __name__ == "__main__":
    plan(Path(sys.argv[1])) if len(sys.argv) > 1 else main()
