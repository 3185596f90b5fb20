"""The job of the benchmark `edge`: a model of so many parameters, and clocks around what lies between two epochs.

Copied into a job folder; runs on the workers.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import keras
import tensorflow as tf

from raytrain.worker.checkpoints import checkpoint
from raytrain.worker.checkpoints.checkpoint_hook import CheckpointHook
from raytrain.worker.exact.moving_averages import StatisticsHook
from raytrain.worker.reporting_hook import ReportingHook
from raytrain.worker.variables import deciding, host_copy

# What the parts of an edge are called, and the calls that they are made of. `report` holds `best` and `votes`.
PARTS: dict[str, tuple[tuple[type, str], ...]] = {
    "statistics": ((StatisticsHook, "average"),),
    "report": ((ReportingHook, "on_epoch_end"),),
    "best": ((ReportingHook, "_keep_best"),),
    "votes": ((ReportingHook, "_exchange"),),
    "checkpoint": ((CheckpointHook, "on_epoch_end"),),
}


def build_model(hidden: tuple[int, ...], inputs: int, outputs: int) -> keras.Model:
    layers = [keras.layers.Dense(units, activation="relu") for units in hidden]
    model = keras.Sequential([keras.Input((inputs,)), *layers, keras.layers.Dense(outputs, activation="softmax")])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def callbacks() -> list[keras.callbacks.Callback]:
    return [Clocks(os.environ["EDGE_PLACE"])]


class Clocks(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes one file a rank: for each edge its seconds and those of its parts, and what a synchronous save takes."""

    def __init__(self, place: str) -> None:
        super().__init__()
        self._place = Path(place)
        self._rank = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
        self._edges: list[dict[str, float]] = []
        self._parts: dict[str, float] = defaultdict(float)
        self._undo: list[Callable[[], None]] = []
        self._stepped_at: float | None = None
        self._is_edge = False

    def get_state(self) -> dict[str, Any]:
        """Nothing: what the clocks found is no part of a checkpoint."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Nothing was kept."""

    def on_train_begin(self, logs: Any = None) -> None:
        for part, calls in PARTS.items():
            for owner, name in calls:
                self._clock(owner, name, part)
        for name, part in (("evaluate", "validation"), ("_get_metrics_result_or_logs", "metrics")):
            self._clock(self.model, name, part)
        step = self.model.train_function

        def train_function(chunks: Any) -> Any:
            if self._is_edge and self._stepped_at is not None:
                edge_s = perf_counter() - self._stepped_at - self._parts["validation"]
                self._edges.append({**self._parts, "edge": edge_s})
            self._is_edge = False
            logs = step(chunks)
            self._parts.clear()
            self._stepped_at = perf_counter()
            return logs

        self.model.train_function = train_function

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._is_edge = epoch > 0

    def on_train_end(self, logs: Any = None) -> None:
        for undo in self._undo:
            undo()
        save_s = self._save() if self._rank == 0 else None
        report = {"edges": self._edges, "save_s": save_s, "parameters": self.model.count_params()}
        (self._place / f"{self._rank}.json").write_text(json.dumps(report))

    def _clock(self, owner: Any, name: str, part: str) -> None:
        call = getattr(owner, name)

        def clocked(*args: Any, **kwargs: Any) -> Any:
            began, metrics_s, statistics_s = perf_counter(), self._parts["metrics"], self._parts["statistics"]
            try:
                return call(*args, **kwargs)
            finally:
                self._parts[part] += perf_counter() - began
                if part == "validation":
                    self._parts["metrics"] = metrics_s  # those of the validation are part of it, statistics are not
                    self._parts[part] -= self._parts["statistics"] - statistics_s

        setattr(owner, name, clocked)
        undo = (lambda: setattr(owner, name, call)) if isinstance(owner, type) else (lambda: delattr(owner, name))
        self._undo.append(undo)

    def _save(self) -> float:
        """Seconds of a save that the training thread does itself, new memory included."""
        began = perf_counter()
        variables = host_copy(tf.distribute.get_strategy(), deciding(self.model), [])
        snapshot = checkpoint.Snapshot(epoch=0, variables=variables, best_weights=self.model.get_weights(), state={})
        checkpoint.write(self._place / "saved", snapshot, keep=1)
        return perf_counter() - began
