"""Evaluates batches with a run's model, by Keras' own test step, and keeps the metrics' states of each slice apart.

Runs in: the actors that evaluate, one each.

Keras' own metrics keep sums over rows and batches. So the states of all workers, added, are those of one process that
has seen every batch, and its results are Keras' own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from raytrain.data.packed import Arrays, from_block, leaves, like, map_arrays, row_count
from raytrain.data.pipeline import Pipeline
from raytrain.defer_sklearn import defer_sklearn
from raytrain.errors import Problem, RaytrainError, UserCodeError
from raytrain.run.bring_here import bring_here
from raytrain.run.run_paths import RunPaths
from raytrain.spec.job import JobSpec

Array = npt.NDArray[Any]
States = list[Array]


@dataclass(frozen=True, kw_only=True)
class EvaluatorSettings:
    """What every actor is told. `threads`: that TensorFlow may use."""

    paths: RunPaths
    spec: JobSpec
    pipeline: Pipeline
    example: Arrays
    batch_size: int
    threads: int


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What the driver is told of the model. `kinds`: of `raytrain.model.answer_kinds.AnswerKind`, as plain values.

    Attributes:
        own_metrics: those of the user's classes, whose states may be no sums.
    """

    kinds: list[dict[str, Any]]
    own_metrics: list[str]


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A call's rows: of each output the probabilities or numbers, and its labels, if any; and weights, if any."""

    outputs: list[Array]
    labels: list[Array | None]
    weights: Array | None


class Evaluator:
    """One actor: the compiled model, loaded once."""

    def __init__(self, settings: EvaluatorSettings) -> None:
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
            os.environ.setdefault(name, str(settings.threads))
        defer_sklearn()
        self._settings = settings
        self._states: dict[Any, States] = {}
        self._current: Any = None
        self._asked: dict[str, Any] = {}
        self._refusal: RaytrainError | None = None
        try:
            self._load()
        except RaytrainError as refusal:  # an actor that fails in the making takes the error's type with it
            self._refusal = refusal

    def _load(self) -> None:
        import tensorflow as tf

        from raytrain.model.answer_kinds import answer_kinds
        from raytrain.model.load_trained import load_model

        settings, paths = self._settings, self._settings.paths
        bring_here(paths, paths.model, paths.spec, paths.package)
        self._model = load_model(paths)
        if not self._model.compiled:
            got = f"{settings.paths.model.name}, whose loss and metrics Keras cannot restore"
            fix = "run.model() gives the model: compile it, and call its own evaluate"
            raise UserCodeError(Problem(got=got, expected="a model that was saved compiled", fix=fix))
        self._kinds = answer_kinds(self._model, settings.spec, settings.pipeline)
        self._watch_answers()
        step = lambda batch: self._test(batch)  # noqa: E731  Ray gives an actor's methods a parameter of its own
        self._step = step if self._model.run_eagerly else tf.function(step, reduce_retracing=True)

    def facts(self) -> ModelFacts:
        """What the model is like.

        Raises:
            UserCodeError: Keras cannot load it, or not as it was compiled.
        """
        if self._refusal is not None:
            raise self._refusal
        own = [metric.name for metric in _flat(self._model.metrics) if not _is_keras(metric)]
        return ModelFacts(kinds=[asdict(kind) for kind in self._kinds], own_metrics=own)

    def evaluate(
        self, stream: Any, rows: list[npt.NDArray[np.int64]], keep: bool, *blocks: pa.Table
    ) -> Answered | None:
        """Adds rows of blocks, in whole batches, to the metrics of a stream.

        Args:
            stream: all rows (None), or the number of a slice.
            rows: of each block, the places of those that count.
            keep: whether their answers are wanted.
        """
        from raytrain.model.fixed_batches import check_shapes

        self._take_up(stream)
        parts = [
            map_arrays(lambda array, places=places: array[places], from_block(block, self._settings.example))
            for block, places in zip(blocks, rows, strict=True)
        ]
        arrays = parts[0] if len(parts) == 1 else _joined(parts)
        check_shapes(self._model, arrays[0])
        answers = [self._on_batch(batch) for batch in self._batches(arrays)]
        self._states[stream] = self._read()
        return self._answered(answers, arrays) if keep else None

    def states(self, stream: Any) -> States | None:
        """Of the metrics of a stream; None where this worker had none of its batches."""
        return self._states.get(stream)

    def results(self, states: list[States]) -> dict[str, float]:
        """Keras' results of metrics whose states are those of several workers, added."""
        for variable, *values in zip(self._variables(), *states, strict=True):
            variable.assign(np.sum(values, axis=0, dtype=values[0].dtype))
        self._current = object()
        return {name: float(value) for name, value in self._model.get_metrics_result().items()}

    def _test(self, batch: Any) -> tuple[Any, Any]:
        self._asked.pop("answer", None)
        logs = self._model.test_step(batch)
        answer = self._asked.pop("answer", None)
        return logs, self._model(batch[0], training=False) if answer is None else answer

    def _watch_answers(self) -> None:
        """The test step hands the answers to `compute_metrics`: seen there, they need not be computed twice."""
        compute_metrics = self._model.compute_metrics

        def watched(x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            self._asked["answer"] = y_pred
            return compute_metrics(x, y, y_pred, sample_weight=sample_weight)

        self._model.compute_metrics = watched

    def _on_batch(self, batch: Arrays) -> list[Array]:
        import tensorflow as tf

        from raytrain.model.answer_kinds import outputs_of

        _, answer = self._step(map_arrays(tf.convert_to_tensor, batch))
        return [np.asarray(output) for output in outputs_of(answer, self._kinds)]

    def _batches(self, arrays: Arrays) -> Iterator[Arrays]:
        size = self._settings.batch_size
        for start in range(0, row_count(arrays), size):
            yield map_arrays(lambda array, start=start: array[start : start + size], arrays)

    def _answered(self, answers: list[list[Array]], arrays: Arrays) -> Answered:
        outputs = [np.concatenate(parts) for parts in zip(*answers, strict=True)]
        told = [
            kind.probabilities(output) if kind.kind != "values" else output
            for kind, output in zip(self._kinds, outputs, strict=True)
        ]
        labels = arrays[1] if len(arrays) > 1 else None
        return Answered(
            outputs=told,
            labels=[labels.get(kind.name) if isinstance(labels, dict) else labels for kind in self._kinds],
            weights=arrays[2] if len(arrays) > 2 else None,
        )

    def _variables(self) -> list[Any]:
        return [variable for metric in self._model.metrics for variable in metric.variables]

    def _read(self) -> States:
        return [np.asarray(variable) for variable in self._variables()]

    def _take_up(self, stream: Any) -> None:
        """The metrics as the stream left them; none of them is built before the first batch."""
        if stream == self._current and stream in self._states:
            return
        if stream in self._states:
            for variable, value in zip(self._variables(), self._states[stream], strict=True):
                variable.assign(value)
        else:
            self._model.reset_metrics()
        self._current = stream


def _joined(parts: list[Arrays]) -> Arrays:
    return like(parts[0], [np.concatenate(columns) for columns in zip(*map(leaves, parts), strict=True)])


def _flat(metrics: list[Any]) -> Iterator[Any]:
    for metric in metrics:
        inner = list(getattr(metric, "metrics", None) or [])
        yield from _flat(inner) if inner else [metric]


def _is_keras(metric: Any) -> bool:
    return type(metric).__module__.split(".")[0] == "keras"
