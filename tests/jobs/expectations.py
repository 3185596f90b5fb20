"""What each job of jobs/ must show when it has run: pure checks of the `submit --json` object and the run's directory.

A check raises AssertionError. It needs neither Ray nor TensorFlow: saved weights are read from the .keras file itself.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from raytrain.run.event_log import read_events
from raytrain.run.events import EpochEnd, TrainingEnded
from raytrain.run.run_paths import RunPaths
from raytrain.spec.load import load_job

JOBS = Path(__file__).parents[2] / "jobs"

Json = dict[str, Any]
Array = npt.NDArray[np.float32]
Check = Callable[[Json, Path], None]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """One row of the table.

    Attributes:
        parameters: of the whole model, frozen ones included.
        rows: per split that the job has.
        epochs: exactly so many; None where the job ends by itself.
        at_least: lowest value accepted of metrics after the last epoch, and of `test` metrics as `test_…`.
        check: what only this job must show.
    """

    parameters: int
    rows: dict[str, int]
    steps_per_epoch: int
    epochs: int | None
    check: Check
    reason: str = "completed"
    at_least: dict[str, float] | None = None


def check_job(name: str, obj: Json, run_dir: Path) -> None:
    """All that job `name` must show, on however many workers it ran."""
    expected = EXPECTED[name]
    assert obj["status"] == "SUCCEEDED", obj["error"]
    assert obj["reason"] == expected.reason
    assert obj["name"] == name
    assert obj["steps_per_epoch"] == expected.steps_per_epoch
    assert {split: rows for split, rows in obj["rows"].items() if rows} == expected.rows
    if expected.epochs is not None:
        assert obj["epochs"] == expected.epochs == len(epoch_metrics(run_dir))
    check_files(obj, run_dir, expected.parameters)
    for metric, least in (expected.at_least or {}).items():
        found = obj["test"][metric.removeprefix("test_")] if metric.startswith("test_") else obj["metrics"][metric]
        assert found >= least, f"{metric} is {found}, expected at least {least}"
    expected.check(obj, run_dir)


def check_files(obj: Json, run_dir: Path, parameters: int) -> None:
    """The files that every run leaves: a summary with the parameter count, curves, and the model, once."""
    paths = RunPaths(run_dir)
    assert obj["parameters"] == parameters
    assert f"{parameters:,}" in paths.summary.read_text()
    assert paths.curves.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert obj["model"] == str(paths.model)
    counts = [math.prod(array.shape) for array in saved_weights(paths.model).values()]
    assert sum(counts) == parameters


def check_pass_fail(obj: Json, run_dir: Path) -> None:
    losses = history(run_dir, "loss")
    assert losses[-1] < losses[0]


def check_binary_digits(obj: Json, run_dir: Path) -> None:
    losses = history(run_dir, "loss")
    assert losses[-1] < 0.1 < losses[0]


def check_digits_onehot(obj: Json, run_dir: Path) -> None:
    assert {"accuracy", "val_accuracy"} <= set(obj["metrics"])


def check_digits(obj: Json, run_dir: Path) -> None:
    losses = history(run_dir, "loss")
    assert losses[-1] < losses[0] / 4


def check_diabetes_sgd(obj: Json, run_dir: Path) -> None:
    losses = history(run_dir, "loss")
    assert all(after < before for before, after in pairwise(losses)), losses


def check_digits_regularized(obj: Json, run_dir: Path) -> None:
    """It stopped early, and the best epoch in the event is the one that the printed metrics say."""
    rule = load_job(str(JOBS / "digits_regularized")).spec.early_stopping
    assert rule is not None
    values = history(run_dir, rule.monitor)
    best = 0
    for epoch, value in enumerate(values):
        if value < values[best] - rule.min_delta:
            best = epoch
    (stop,) = [event for event in read_events(RunPaths(run_dir).events) if isinstance(event, TrainingEnded)]
    assert stop.best is not None and stop.best.value is not None
    assert (stop.best.epoch, stop.best.monitor) == (best, rule.monitor)
    assert math.isclose(stop.best.value, values[best], rel_tol=1e-6)
    assert obj["best"] == asdict(stop.best)
    assert stop.epoch == len(values) - 1 == best + rule.patience
    assert 5 < len(values) < 100


def check_digits_augmented(obj: Json, run_dir: Path) -> None:
    """Random layers make the train rows harder than the validation rows, which they leave alone."""
    last = epoch_metrics(run_dir)[-3:]
    train, validation = (sum(float(metrics[name]) for metrics in last) for name in ("loss", "val_loss"))
    assert validation < train, last


def check_digits_transfer(obj: Json, run_dir: Path) -> None:
    check_frozen(RunPaths(run_dir).model, JOBS / "digits_transfer" / "base.keras")


def check_frozen(model: Path, base: Path) -> None:
    """Every weight of the base but its last layer's is in the model, unchanged to the last bit; a new head is too."""
    trained, before = saved_weights(model), saved_weights(base)
    frozen = [path for path in before if path.startswith("layers/dense/")]
    assert len(frozen) == 2
    for path in frozen:
        np.testing.assert_array_equal(trained[path], before[path])
    assert sum(array.size for array in trained.values()) == sum(before[path].size for path in frozen) + 1 + len(
        before["layers/dense/vars/1"]
    )


def regularized_loss(model: Path, images: Array, digits: npt.NDArray[np.int64]) -> float:
    """The loss of a saved digits_regularized model on rows it is given, penalties included, computed with NumPy alone.

    With the validation rows this is the best epoch's val_loss, if the saved weights are that epoch's.

    Args:
        images: (rows, 64), scaled as the job scales them.
        digits: (rows,).
    """
    spec = load_job(str(JOBS / "digits_regularized")).spec
    weights = {path: array.astype(np.float64) for path, array in saved_weights(model).items()}
    kernel = weights["layers/dense/vars/0"]
    gamma, beta, mean, variance = (weights[f"layers/batch_normalization/vars/{index}"] for index in range(4))
    hidden = images @ kernel + weights["layers/dense/vars/1"]
    hidden = np.maximum((hidden - mean) / np.sqrt(variance + 1e-3) * gamma + beta, 0)
    logits = hidden @ weights["layers/dense_1/vars/0"] + weights["layers/dense_1/vars/1"]
    logits -= logits.max(axis=1, keepdims=True)
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    penalty = spec.model_args["l1"] * np.abs(kernel).sum() + spec.model_args["l2"] * np.square(kernel).sum()
    return float(penalty - log_probabilities[np.arange(len(digits)), digits].mean())


def epoch_metrics(run_dir: Path) -> list[dict[str, float]]:
    """The metrics of every epoch, in order, each epoch once."""
    ends = {event.epoch: event for event in read_events(RunPaths(run_dir).events) if isinstance(event, EpochEnd)}
    assert sorted(ends) == list(range(len(ends)))
    return [{name: math.nan if v is None else v for name, v in ends[epoch].metrics.items()} for epoch in sorted(ends)]


def history(run_dir: Path, metric: str) -> list[float]:
    return [metrics[metric] for metrics in epoch_metrics(run_dir)]


def saved_weights(model: Path) -> dict[str, Array]:
    """A .keras file's weights by their path in it, such as `layers/dense/vars/0`; no optimizer state, no seeds."""
    with zipfile.ZipFile(model) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        found: dict[str, Array] = {}

        def visit(path: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and path.startswith("layers/") and "seed_generator" not in path:
                found[path] = item[()]

        file.visititems(visit)
    return found


EXPECTED = {
    "pass_fail": Expected(parameters=21, rows={"train": 12}, steps_per_epoch=3, epochs=10, check=check_pass_fail),
    "binary_digits": Expected(
        parameters=2_031,
        rows={"train": 252, "validation": 108},
        steps_per_epoch=8,
        epochs=100,
        at_least={"val_accuracy": 0.99},
        check=check_binary_digits,
    ),
    "digits_onehot": Expected(
        parameters=4_810,
        rows={"train": 1150, "validation": 288, "test": 359},
        steps_per_epoch=36,
        epochs=10,
        at_least={"val_accuracy": 0.95},
        check=check_digits_onehot,
    ),
    "digits": Expected(
        parameters=38_410,
        rows={"train": 1437, "validation": 180, "test": 180},
        steps_per_epoch=45,
        epochs=10,
        at_least={"test_accuracy": 0.95},
        check=check_digits,
    ),
    "diabetes_sgd": Expected(
        parameters=11,
        rows={"train": 354, "validation": 44, "test": 44},
        steps_per_epoch=1,
        epochs=50,
        check=check_diabetes_sgd,
    ),
    "digits_regularized": Expected(
        parameters=10_122,
        rows={"train": 1079, "validation": 359, "test": 359},
        steps_per_epoch=34,
        epochs=None,
        reason="early_stopped",
        at_least={"test_accuracy": 0.93},
        check=check_digits_regularized,
    ),
    "digits_augmented": Expected(
        parameters=29_066,
        rows={"train": 1079, "validation": 359, "test": 359},
        steps_per_epoch=34,
        epochs=15,
        at_least={"test_accuracy": 0.9},
        check=check_digits_augmented,
    ),
    "digits_transfer": Expected(
        parameters=4_225,
        rows={"train": 1437, "validation": 180, "test": 180},
        steps_per_epoch=45,
        epochs=10,
        at_least={"test_accuracy": 0.9},
        check=check_digits_transfer,
    ),
}
