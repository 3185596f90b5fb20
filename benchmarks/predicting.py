"""Prediction by one worker beside plain Keras on arrays in memory, and beside a model loaded in each Ray Data task.

Run by `make bench`. Rows a second, in turns, the first pass of each left out. raytrain's worker reads nothing while it
is timed: it is handed chunks of rows as Ray Data hands them on, preprocesses, answers, and writes the parts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.machine import description
from benchmarks.works import build, load, write_data
from raytrain.data.pipeline import Pipeline
from raytrain.data.prediction_chunks import Chunk, Origin
from raytrain.data.prediction_folder import PredictionFolder
from raytrain.run.run_paths import RunPaths
from raytrain.spec.job import JobSpec

BATCH = 1024
CHUNK_ROWS = 65_536
PASSES = 3
DIGITS_TIMES = 40  # the digits, which are few, so many times over
BARS = {"in_memory": 0.8, "model_in_each_task": 5.0}


def spec_of(name: str) -> JobSpec:
    return JobSpec.model_validate(
        {
            "name": name,
            "model": {"python": "works.py:build_model"},
            "data": {"train": {"parquet": "rows"}, "features": "x", "label": "y"},
            "fit": {"global_batch_size": BATCH},
        }
    )


def rows_of(name: str, folder: Path) -> tuple[Any, Any]:
    write_data(name, folder)
    x, y = load(name, folder)
    times = DIGITS_TIMES if name == "digits" else 1
    return np.tile(x, (times, 1)), np.tile(y, times)


def finished(name: str, root: Path) -> RunPaths:
    """A run's directory with the work's model, as a run leaves it."""
    import keras

    paths = RunPaths.of(root, name)
    paths.root.mkdir(parents=True)
    build(name, keras).save(paths.model)
    paths.spec.write_text(spec_of(name).model_dump_json())
    paths.preprocessing.write_text(json.dumps(Pipeline(spec_of(name), root).to_json()))
    with zipfile.ZipFile(paths.package, "w"):
        pass
    return paths


def chunks_of(x: Any, y: Any) -> list[pa.Table]:
    """The rows as Ray Data hands them to a worker."""
    found = []
    for number, start in enumerate(range(0, len(x), CHUNK_ROWS)):
        part = np.ascontiguousarray(x[start : start + CHUNK_ROWS])
        lists = pa.FixedSizeListArray.from_arrays(part.reshape(-1), part.shape[1])
        table = pa.table({"x": lists.cast(pa.list_(pa.float32())), "y": y[start : start + CHUNK_ROWS]})
        origin = Origin(file="rows", first=start, rows=len(part))
        found.append(Chunk(part=f"00000-{number:05d}", table=table, origins=(origin,)).to_row())
    return found


def by_raytrain(paths: RunPaths, chunks: list[pa.Table], folder: Path) -> Callable[[], None]:
    from raytrain.model.part_predictor import PartPredictor, PartSettings

    spec = JobSpec.model_validate_json(paths.spec.read_text())
    pipeline = Pipeline.from_json(json.loads(paths.preprocessing.read_text()), spec, folder)
    output = PredictionFolder.of(str(folder / "out"), "parquet")
    output.open({"same": {}, "rows": CHUNK_ROWS}, overwrite=True)
    predictor = PartPredictor(
        PartSettings(
            paths=paths,
            spec=spec,
            pipeline=pipeline.for_features(),
            whole_pipeline=pipeline,
            folder=output,
            carried=["y"],
            asked=True,
            batch_size=BATCH,
            skip_errors=False,
            threads=1,
        )
    )

    def run() -> None:
        for chunk in chunks:
            predictor(chunk)

    return run


def in_memory(paths: RunPaths, x: Any) -> Callable[[], object]:
    import keras

    model = keras.saving.load_model(paths.model)
    return lambda: model.predict(x, batch_size=BATCH, verbose=0)


def model_in_each_task(paths: RunPaths, x: Any, folder: Path) -> Callable[[], None]:
    """What Ray Data's first examples do: a function that loads the model for every batch that it is given."""
    files = folder / "each"
    files.mkdir()
    for number, start in enumerate(range(0, len(x), CHUNK_ROWS)):
        part = np.ascontiguousarray(x[start : start + CHUNK_ROWS])
        pq.write_table(pa.table({"x": list(part)}), files / f"{number:05d}.parquet")

    def run() -> None:
        import keras

        for file in sorted(files.glob("*.parquet")):
            table = pq.read_table(file)
            whole = table.column("x").combine_chunks().flatten().to_numpy().reshape(table.num_rows, -1)
            for start in range(0, len(whole), BATCH):  # map_batches' batches
                model = keras.saving.load_model(paths.model)
                model.predict(whole[start : start + BATCH], batch_size=BATCH, verbose=0)

    return run


def rates(contenders: dict[str, tuple[Callable[[], object], int]]) -> dict[str, float]:
    """Rows a second of each, the median of its passes after the first; they take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(PASSES + 1):
        for name, (run, _) in contenders.items():
            began = perf_counter()
            run()
            seconds[name].append(perf_counter() - began)
    return {name: rows / statistics.median(seconds[name][1:]) for name, (_, rows) in contenders.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--works", nargs="*", default=["digits", "rows"])
    asked = parser.parse_args()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    print(description())  # noqa: T201
    for name in asked.works:
        with tempfile.TemporaryDirectory() as folder:
            measure(name, Path(folder))


def measure(name: str, folder: Path) -> None:
    x, y = rows_of(name, folder / "data")
    paths = finished(name, folder / "runs")
    few = x[: 8 * BATCH]  # of the slow one
    found = rates(
        {
            "raytrain": (by_raytrain(paths, chunks_of(x, y), folder), len(x)),
            "in_memory": (in_memory(paths, x), len(x)),
            "model_in_each_task": (model_in_each_task(paths, few, folder), len(few)),
        }
    )
    print(f"{name}: {len(x):,} rows")  # noqa: T201
    for contender, rows_per_s in found.items():
        bar = f", bar {BARS[contender]}" if contender in BARS else ""
        print(f"  {contender:20} {rows_per_s:12,.0f} rows/s  {found['raytrain'] / rows_per_s:6.2f}{bar}")  # noqa: T201


if __name__ == "__main__":
    main()
