"""Lets a run's model answer the rows of a source: chunks through Ray Data's actor pool, each once, into files.

Runs in: the driver.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from time import monotonic

import ray
import ray.data
from ray.data import ActorPoolStrategy

from raytrain import formatting
from raytrain.data.carried_columns import carried_columns
from raytrain.data.prediction_chunks import chunk_dataset, chunk_rows
from raytrain.data.prediction_folder import PartState, PredictionFolder
from raytrain.data.prediction_source import PredictionSource, open_prediction_source
from raytrain.driver.finished_run import FinishedRun
from raytrain.driver.task_workers import TaskWorkers, task_workers
from raytrain.errors import Problem, UserCodeError
from raytrain.model.part_predictor import PartPredictor, PartSettings
from raytrain.run.job_log import say
from raytrain.run.task_result import PROGRESS, Prediction
from raytrain.spec.task_requests import PredictRequest

_SAY_EVERY_S = 2.0
_ACTORS_WITHIN_S = 600
_BATCH_ROWS = 1024


def predict(request: PredictRequest, run: FinishedRun) -> Prediction:
    """Predicts what is still to be predicted of the input, and gives the whole the output's name.

    Raises:
        UsageError: the output is there, or a column that is asked for is not.
        UserCodeError: the input cannot be read, lacks columns, or a row fails.
        OSError: the output cannot be written.
    """
    folder = PredictionFolder.of(request.output, request.format)
    workers = task_workers(request, run.spec.scaling)
    features = run.pipeline.for_features()
    source = open_prediction_source(request.input, run.folder, "input", run.spec.data.columns)
    features.columns_to_read(source.first_rows.column_names)
    carried = carried_columns(source.first_rows, request.columns)
    rows = chunk_rows(
        source.first_rows,
        rows=source.about_rows,
        workers=workers.workers,
        batch_size=request.batch_size or _BATCH_ROWS,
    )
    plan = folder.open({"same": _same(request, run, source, carried), "rows": rows}, overwrite=request.overwrite)
    done = folder.done()
    if done:
        say(f"{PROGRESS}going on: {formatting.plural(len(done), 'part')} are there already")
    settings = PartSettings(
        paths=run.paths,
        spec=run.spec,
        pipeline=features,
        whole_pipeline=run.pipeline,
        folder=folder,
        carried=carried,
        asked=request.columns is not None,
        batch_size=request.batch_size,
        skip_errors=request.skip_errors,
        threads=workers.threads,
    )
    batch_size = _run(source, plan["rows"], settings, workers, set(done))
    return _finish(request, run, folder, workers, batch_size=batch_size, resumed=len(done))


def _same(request: PredictRequest, run: FinishedRun, source: PredictionSource, carried: list[str]) -> dict[str, object]:
    """What two commands have in common that write the same rows."""
    return {
        "run": run.paths.run,
        "model": _digest(run.paths.model),
        "input": source.fingerprint,
        "columns": carried,
        "skip_errors": request.skip_errors,
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def _run(source: PredictionSource, rows: int, settings: PartSettings, workers: TaskWorkers, done: set[str]) -> int:
    """Predicts the parts that are not done; the rows of a batch, 0 where there was nothing to do."""
    with ray.data.DataContext.current(_context()):
        written = chunk_dataset(source.units, rows, done).map_batches(
            PartPredictor,
            fn_constructor_args=(settings,),
            batch_size=1,
            batch_format="pyarrow",
            zero_copy_batch=True,
            compute=ActorPoolStrategy(size=workers.workers),
            num_cpus=workers.cpus,
            num_gpus=workers.gpus or None,
        )
    parts, answered, batch_size, said = 0, 0, 0, monotonic()
    try:
        with contextlib.closing(iter(written.iter_batches(batch_size=None, batch_format="pyarrow"))) as tables:
            for table in tables:
                parts, answered = parts + table.num_rows, answered + sum(table.column("rows").to_pylist())
                batch_size = max([batch_size, *table.column("batch_size").to_pylist()])
                if monotonic() - said > _SAY_EVERY_S:
                    said = monotonic()
                    say(f"{PROGRESS}{formatting.count(answered)} rows in {formatting.plural(parts, 'part')}")
    except Exception as error:
        raise source.source.explain(error) from error
    return batch_size


def _context() -> ray.data.DataContext:
    """Ray Data's settings for this dataset alone; other reads of the process keep theirs."""
    context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = False  # a part's name has its place
    context.wait_for_min_actors_s = _ACTORS_WITHIN_S
    context.raise_original_map_exception = True  # else Ray's own takes its place, which says nothing of the row
    context.target_max_block_size = 1  # a block for each chunk, so that every actor gets its share
    return context


def _finish(
    request: PredictRequest,
    run: FinishedRun,
    folder: PredictionFolder,
    workers: TaskWorkers,
    *,
    batch_size: int,
    resumed: int,
) -> Prediction:
    states = folder.done()
    answered = sum(state.rows for state in states.values())
    set_aside = sum(len(state.errors) for state in states.values())
    if not answered:
        raise UserCodeError(_nothing(states, set_aside))
    prediction = Prediction(
        run=run.paths.run,
        output=request.output,
        rows=answered,
        set_aside=set_aside,
        errors=folder.errors if set_aside else None,
        parts=len(states),
        resumed_parts=resumed,
        workers=workers.workers,
        batch_size=batch_size,
        columns=next(state.columns for state in states.values() if state.rows),
        classes=next(state.classes for state in states.values() if state.rows),
        notices=_notices(run),
    )
    folder.finish(states, prediction.to_dict(), overwrite=request.overwrite)
    say(f"{PROGRESS}{formatting.count(answered)} rows in {request.output}")
    return prediction


def _nothing(states: dict[str, PartState], set_aside: int) -> Problem:
    if not set_aside:
        return Problem(field="--input", got="no rows", expected="at least one row")
    first = next(state.errors[0] for _, state in sorted(states.items()) if state.errors)
    got = f"{formatting.plural(set_aside, 'row')}, all of which fail, the first: {first['error']}"
    return Problem(field="--input", got=got, expected="rows that the model can answer")


def _notices(run: FinishedRun) -> list[str]:
    return [
        f"answers of `{label}` are in the unit that {', '.join(steps)} made of it"
        for label in run.spec.data.label_columns
        if (steps := run.pipeline.changes_of_value(label))
    ]
