"""Saves checkpoints at epochs' ends, restores from them, and writes the final model.

Runs in: every Train worker; only the chief writes into the run's directory.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter, time
from typing import Any

import keras
import numpy as np
from keras.src.random.seed_generator import global_seed_generator

from raytrain.run import Reason, RunPaths
from raytrain.spec.schema import CheckpointSpec
from raytrain.worker import checkpoint, messages, stopping
from raytrain.worker.reporting import Channel, ReportingHook

_STATE_TYPES = (bool, int, float, str, type(None), np.generic)


class CheckpointHook(keras.callbacks.Callback):  # type: ignore[misc]
    """Restores `snapshot` before the first step and saves after each epoch; stands after the reporting hook.

    Args:
        others: the user's own callbacks, whose plain state travels with the checkpoint.
    """

    def __init__(
        self,
        spec: CheckpointSpec,
        root: Path,
        reporting: ReportingHook,
        others: Sequence[keras.callbacks.Callback],
        channel: Channel,
        *,
        rank: int,
        snapshot: checkpoint.Snapshot | None,
    ) -> None:
        super().__init__()
        self._spec = spec
        self._root = root
        self._reporting = reporting
        self._others = others
        self._channel = channel
        self._rank = rank
        self._snapshot = snapshot

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        if self._snapshot is None:
            return
        state = self._snapshot.state
        checkpoint.assign_all(_variables(self.model), self._snapshot.variables)
        self._reporting.progress = stopping.Progress(**state["progress"])
        self._reporting.best_weights = self._snapshot.best_weights
        self._reporting.elapsed_before_s = state["elapsed_s"]
        for callback, saved in zip(self._others, state["callbacks"], strict=True):
            _restore_state(callback, saved)
        for place, weights in self._snapshot.callback_weights.items():
            self._others[place].best_weights = weights

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        due = (epoch + 1) % self._spec.every_epochs == 0 or self.model.stop_training
        if self._rank != 0 or not due or self._reporting.reason is Reason.DIVERGED:
            return
        began = perf_counter()
        progress = self._reporting.progress
        variables = [np.asarray(variable) for variable in _variables(self.model)]
        if any(np.isnan(np.asarray(variable)).any() for variable in self.model.trainable_variables):
            return  # the loss follows in the next epoch; the last checkpoint without NaN is kept
        snapshot = checkpoint.Snapshot(
            epoch=epoch,
            variables=variables,
            best_weights=self._reporting.best_weights,
            state={
                "progress": vars(progress),
                "elapsed_s": self._reporting.elapsed_s,
                "stopped": str(self._reporting.reason) if self.model.stop_training else None,
                "callbacks": [_plain_state(callback) for callback in self._others],
            },
            callback_weights={
                place: weights
                for place, callback in enumerate(self._others)
                if (weights := getattr(callback, "best_weights", None)) is not None
            },
        )
        path = checkpoint.write(self._root, snapshot, keep=self._spec.keep)
        self._channel.send(
            messages.CheckpointWritten(rank=0, time=time(), epoch=epoch, path=str(path), seconds=perf_counter() - began)
        )


def save_model(model: keras.Model, paths: RunPaths, *, rank: int, notice: Callable[[str], None]) -> Path:
    """Writes `model.keras`, aside and then renamed; its weights alone where Keras cannot save the model whole.

    Every rank goes through the motions, because reading a metric's state may be a collective; what the others write is
    thrown away.

    Returns:
        What was written, `model.keras` or `model.weights.h5`.
    """
    with tempfile.TemporaryDirectory(prefix="raytrain-model-") as elsewhere:
        folder = paths.root if rank == 0 else Path(elsewhere)
        aside = folder / f".model.{rank}.keras"
        try:
            model.save(aside)
            target = paths.model
        except (NotImplementedError, TypeError, ValueError) as error:
            aside.unlink(missing_ok=True)
            aside = folder / f".model.{rank}.weights.h5"
            model.save_weights(aside)
            target = paths.weights
            why = str(error).strip().partition("\n")[0]
            notice(f"the model cannot be saved whole, only its weights, as {target.name}: {why}")
        if rank == 0:
            aside.rename(target)
    return target


def write_summary(model: keras.Model, path: Path) -> None:
    """Keras' own summary; the optimizer is left out of it, as it is before training."""
    lines: list[str] = []
    compiled, model.compiled = model.compiled, False
    model.summary(print_fn=lambda line, **_: lines.append(line))
    model.compiled = compiled
    path.write_text("\n".join(lines) + "\n")


def copy_code(folder: Path, target: Path) -> None:
    """Keeps the user's own Python files with the run: a saved model may need them to be loaded."""
    for file in folder.rglob("*.py"):
        place = target / file.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)


def _variables(model: keras.Model) -> list[Any]:
    """Everything that decides the future at an epoch's end, in an order that the model itself fixes, each once."""
    held = [item for value in vars(model).values() for item in _items(value)]
    optimizers = [item for item in held if isinstance(item, keras.optimizers.Optimizer)]
    metrics = {id(variable) for variable in model.metrics_variables}
    every = [
        *model.variables,
        *(variable for optimizer in optimizers for variable in optimizer.variables),
        global_seed_generator().state,
    ]
    unique = {id(variable): variable for variable in every if id(variable) not in metrics}
    return list(unique.values())


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _restore_state(callback: keras.callbacks.Callback, saved: dict[str, Any]) -> None:
    """Sets a callback's plain attributes to those saved at an epoch's end.

    Keras' monitoring callbacks choose their comparison at the end of their first epoch and turn the sign of `min_delta`
    as they do; that has to be behind them before the saved values are put in.
    """
    if getattr(callback, "monitor_op", True) is None:
        callback._set_monitor_op()
    vars(callback).update(saved)


def _plain_state(callback: keras.callbacks.Callback) -> dict[str, Any]:
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in vars(callback).items()
        if isinstance(value, _STATE_TYPES)
    }
