"""Runs the worker's own code in N plain processes: real TF_CONFIG, real collectives, no Ray.

The processes stay up for a whole test session, so that TensorFlow is imported once and a case costs what its training
costs. A pool of 0 workers is one process with plain Keras in it, as raytrain never touched it: the reference.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

from raytrain import protocol
from raytrain.run import events
from raytrain.run.run_paths import RunPaths
from raytrain.spec.job import JobSpec
from raytrain.worker import process_setup


@dataclass(frozen=True, kw_only=True)
class Case:
    """One training: the user's `model.py`, the spec around it, and all rows of each split as packed arrays.

    `files`: what else lies in the job's folder, by path; `base`: the saved model that the model function is given.
    `fault`: as in RAYTRAIN_FAULT; `asks`: at which of the chief's questions to the driver it is asked for what;
    `proven`: what the run has proven of its answer before; `cached`: whether each worker has its own rows only, as in
    the sharded tier.
    """

    model_py: str
    spec: dict[str, Any]
    splits: dict[str, Any]
    files: dict[str, str] = field(default_factory=dict)
    base: Path | None = None
    fault: str = ""
    asks: dict[int, str] = field(default_factory=dict)
    fall_backs: int = 0
    proven: events.AnswerProven | None = None
    cached: bool = False

    def job_spec(self, workers: int) -> JobSpec:
        defaults = {
            "name": "case",
            "model": "model.py:build_model",
            "data": {"train": {"inline": {"x": [0.0]}}, "validation": 0.5, "features": "x"},
            "scaling": {"workers": max(1, workers)},
        }
        return JobSpec.model_validate(defaults | self.spec)


@dataclass(kw_only=True)
class Outcome:
    """What a training left behind, the same shape from raytrain's workers and from plain Keras.

    `history` and `learning_rates`: what Keras told this rank of each epoch.
    """

    weights: list[Any] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)
    learning_rates: list[float] = field(default_factory=list)
    test: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    sent: list[protocol.Message] = field(default_factory=list)
    error: str = ""

    def of(self, kind: type[Any]) -> list[Any]:
        """The messages of one kind that this rank sent, or the events of one kind that it told of, in order."""
        return told_of(self.sent, kind)


def told_of(sent: Sequence[protocol.Message], kind: type[Any]) -> list[Any]:
    """The messages of a kind, or the events of a kind among what happened."""
    said = [message.event if isinstance(message, protocol.Happened) else message for message in sent]
    return [item for item in said if isinstance(item, kind)]


class WorkerPool:
    """N processes that train together, case after case."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._context = multiprocessing.get_context("spawn")
        self._start()

    def run(self, case: Case, root: Path) -> list[Outcome]:
        """One outcome a rank; all share the run directory `root`."""
        for connection in self._connections:
            connection.send((case, root))
        return [connection.recv() for connection in self._connections]

    def close(self) -> None:
        for connection, process in zip(self._connections, self._processes, strict=True):
            connection.send(None)
            process.join(20)
            process.kill()

    def restart(self) -> None:
        """Replaces the processes by new ones: after a case in which one of them failed, the others are stuck."""
        for process in self._processes:
            process.kill()
            process.join()
        self._start()

    def _start(self) -> None:
        addresses = free_addresses(self.workers)
        pairs = [self._context.Pipe() for _ in range(max(1, self.workers))]
        self._connections: list[Connection] = [ours for ours, _ in pairs]
        self._processes = [
            self._context.Process(target=_serve, args=(rank, addresses, theirs), daemon=True)
            for rank, (_, theirs) in enumerate(pairs)
        ]
        for process in self._processes:
            process.start()


def free_addresses(count: int) -> list[str]:
    holders = [socket.socket() for _ in range(count)]
    for holder in holders:
        holder.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{holder.getsockname()[1]}" for holder in holders]
    for holder in holders:
        holder.close()
    return addresses


class _Channel:
    def __init__(self, asks: dict[int, str]) -> None:
        self.sent: list[protocol.Message] = []
        self._asks = asks
        self._questions = 0

    def send(self, message: protocol.Message) -> None:
        self.sent.append(message)

    def asked(self) -> str:
        self._questions += 1
        return self._asks.get(self._questions, "")


def _serve(rank: int, addresses: list[str], connection: Connection) -> None:
    os.environ.update(process_setup.thread_environment(1))
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    answer: Callable[[Case, Path], Outcome]
    if addresses:
        process_setup.configure(addresses, rank)
        process_setup.finish_import()

        def answer(case: Case, root: Path) -> Outcome:
            return _train(case, root, rank, len(addresses))
    else:
        answer = _plain_keras
    while (order := connection.recv()) is not None:
        try:
            outcome = answer(*order)
        except Exception:  # noqa: BLE001  the test shows it
            outcome = Outcome(error=traceback.format_exc())
        connection.send(outcome)


def _train(case: Case, root: Path, rank: int, workers: int) -> Outcome:
    import keras

    from raytrain.worker import fault_injection
    from raytrain.worker.checkpoints.checkpoint_writer import Writer
    from raytrain.worker.fit import WorkerJob, train

    keras.backend.clear_session(free_memory=False)
    Writer.patience_s = 30.0  # every checkpoint that is due is there, however short an epoch is
    os.environ.update({fault_injection.VARIABLE: case.fault, fault_injection.ALLOW: "1"})
    paths = RunPaths(root)
    paths.root.mkdir(parents=True, exist_ok=True)
    channel = _Channel(case.asks)
    with _folder_of(case) as folder:
        job = WorkerJob(
            spec=case.job_spec(workers),
            splits=_rows_of(case, rank, workers),
            rank=rank,
            folder=folder,
            paths=paths,
            base_model=case.base,
            fall_backs=case.fall_backs,
            proven=case.proven,
        )
        history: list[dict[str, float]] = []
        with _noted(history):
            reason = train(job, channel)
        rates = [epoch.pop("learning_rate", None) for epoch in history]
        tested = [dict(event.metrics) for event in told_of(channel.sent, events.TestEnd)]
        own = vars(sys.modules["model"]) if "model" in sys.modules else {}
        is_saved = rank == 0 and paths.model.exists()
        how: dict[str, Any] = {"custom_objects": own, "compile": False, "safe_mode": False}
        model = keras.saving.load_model(paths.model, **how) if is_saved else None
        return Outcome(
            weights=model.get_weights() if model else [],
            history=history,
            learning_rates=[rate for rate in rates if rate is not None],
            test=tested[0] if tested else {},
            reason=str(reason),
            sent=channel.sent,
        )


@contextlib.contextmanager
def _noted(history: list[dict[str, float]]) -> Iterator[None]:
    """Keeps what every rank's reporting hook is told of each epoch, of which only the chief's makes reports."""
    from raytrain.worker import reporting_hook

    hook, told = reporting_hook.ReportingHook, reporting_hook.ReportingHook.on_epoch_end

    def on_epoch_end(self: Any, epoch: int, logs: Any = None) -> None:
        rate = getattr(self.model.optimizer, "learning_rate", None)
        history.append(
            {**({} if rate is None else {"learning_rate": float(rate)}), **reporting_hook.scalars(logs or {})}
        )
        told(self, epoch, logs)

    with mock.patch.object(hook, "on_epoch_end", on_epoch_end):
        yield


def _rows_of(case: Case, rank: int, workers: int) -> dict[str, Any]:
    """What a rank reads each split from."""
    import numpy as np

    from raytrain.data.packed import map_arrays, row_count
    from raytrain.data.tiers.cache import Cache
    from raytrain.data.tiers.dealing import owning_ranks
    from raytrain.data.tiers.readers import Cached
    from raytrain.spec.checks import plan_splits
    from raytrain.spec.shards import SplitCounts

    if not case.cached:
        return case.splits
    counts = {"validation": 0, "test": 0} | {split: row_count(arrays) for split, arrays in case.splits.items()}
    readers = {}
    for split, plan in plan_splits(case.job_spec(workers), SplitCounts(**counts)).items():
        arrays = case.splits[split]
        own = np.flatnonzero(owning_ranks(np.arange(plan.rows), plan) == rank)
        example = map_arrays(lambda array: array[:2], arrays)
        cache = Cache(len(own), example, folder=None)
        cache.append(arrays, own)
        readers[split] = Cached(cache, example, rows=plan.rows, all_rows=partial(iter, [arrays]))
    return readers


def _plain_keras(case: Case, root: Path) -> Outcome:
    """The same training as one would write it without raytrain: `fit` on arrays, an epoch's order at a time."""
    import keras
    import numpy as np
    import tensorflow as tf

    from raytrain.data.tiers.readers import epoch_order
    from raytrain.worker.reporting_hook import scalars

    keras.backend.clear_session(free_memory=False)
    spec = case.job_spec(1)
    keras.utils.set_random_seed(spec.fit.seed)
    with _folder_of(case) as folder:
        namespace: dict[str, Any] = {"__name__": "model"}
        exec(compile((folder / "model.py").read_text(), "model.py", "exec"), namespace)
        base = {"base": keras.saving.load_model(case.base)} if case.base else {}
        model = namespace["build_model"](**spec.model_args, **base)
    batch = spec.fit.global_batch_size
    train = case.splits["train"]
    train = train[0] if len(train) == 1 else train  # as of a dataset of rows without labels
    rows = len(keras.tree.flatten(train)[0])
    seen = _EpochInTurn()

    def batches() -> Iterator[Any]:
        order = epoch_order(rows, seed=spec.fit.seed, epoch=seen.epoch, shuffle=spec.data.shuffle)
        for start in range(0, rows, batch):
            chosen = order[start : start + batch]
            yield keras.tree.map_structure(lambda array, chosen=chosen: array[chosen], train)

    size = None if rows % batch else batch  # which Keras' own dataset of arrays tells a model, too
    signature = keras.tree.map_structure(lambda array: tf.TensorSpec([size, *array.shape[1:]], array.dtype), train)
    user_callbacks = namespace["callbacks"]() if "callbacks" in namespace else []
    # Of a dataset that does not say how many batches it has, Keras' optimizer counts one step too many an epoch.
    known_length = tf.data.experimental.assert_cardinality(-(-rows // batch))
    fitted = model.fit(
        tf.data.Dataset.from_generator(batches, output_signature=signature).apply(known_length),
        shuffle=False,
        class_weight=spec.fit.class_weight,
        initial_epoch=spec.fit.initial_epoch,
        epochs=spec.fit.epochs,
        validation_data=case.splits.get("validation"),
        validation_batch_size=batch,
        validation_freq=spec.fit.validation_freq,
        callbacks=[seen.as_callback(), *user_callbacks],
        verbose=0,
    )
    rates = [float(rate) for rate in fitted.history.pop("learning_rate", [])]
    outcome = Outcome(history=_by_epoch(fitted.history, spec.fit.validation_freq), learning_rates=rates)
    if "test" in case.splits:
        tested = dict(zip(("x", "y", "sample_weight"), case.splits["test"], strict=False))
        outcome.test = scalars(model.evaluate(**tested, batch_size=batch, return_dict=True, verbose=0))
    outcome.weights = [np.asarray(weight) for weight in model.get_weights()]
    return outcome


class _EpochInTurn:
    """The epoch that plain Keras is in, for the generator that feeds it."""

    epoch = 0

    def as_callback(self) -> Any:
        import keras

        return keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: setattr(self, "epoch", epoch))


def _by_epoch(history: dict[str, list[Any]], validation_freq: int) -> list[dict[str, float]]:
    from raytrain.worker.reporting_hook import scalars

    epochs = len(history["loss"])
    rows: list[dict[str, Any]] = [{} for _ in range(epochs)]
    for name, values in history.items():
        every = validation_freq if name.startswith("val_") else 1
        for row, value in zip(rows[every - 1 :: every], values, strict=True):
            row[name] = value
    return [scalars(row) for row in rows]


class _folder_of:
    """A temporary folder with the case's files; their modules are forgotten afterwards."""

    def __init__(self, case: Case) -> None:
        self._files = {"model.py": case.model_py, **case.files}

    def __enter__(self) -> Path:
        import keras

        keras.config.set_floatx("float32")
        keras.mixed_precision.set_dtype_policy("float32")
        self._folder = Path(tempfile.mkdtemp(prefix="case-"))
        for name, text in self._files.items():
            (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self._folder / name).write_text(text)
        sys.path.insert(0, str(self._folder))
        return self._folder

    def __exit__(self, *_: object) -> None:
        for name, module in list(sys.modules.items()):
            places = getattr(module, "__dict__", {})
            if any(str(self._folder) in str(places.get(place)) for place in ("__file__", "__path__")):
                del sys.modules[name]
        sys.path[:] = [path for path in sys.path if path != str(self._folder)]
        shutil.rmtree(self._folder)
