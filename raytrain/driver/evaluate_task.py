"""Holds a run's model against rows: whole batches dealt to workers, their metrics' states added, figures beside them.

Runs in: the driver.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import ray

from raytrain import formatting
from raytrain.data.evaluation_rows import EvaluationRows
from raytrain.data.packed import bytes_per_row
from raytrain.driver.figure_pictures import draw_figures
from raytrain.driver.finished_run import FinishedRun
from raytrain.driver.task_workers import task_workers
from raytrain.driver.whole_batches import BatchStream, Call, call_rows
from raytrain.errors import Problem, UsageError
from raytrain.model.evaluator import Answered, Evaluator, EvaluatorSettings, ModelFacts
from raytrain.model.figures import figures_of
from raytrain.run.task_result import Evaluation
from raytrain.spec.describe_job import source_words
from raytrain.spec.task_requests import EvaluateRequest

_ALL = None
_IN_FLIGHT = 2  # calls of each worker
_MOST_SLICES = 1000
# Answers of all rows are kept for the figures up to so much.
_MOST_ANSWER_BYTES = 512 << 20


def evaluate(request: EvaluateRequest, run: FinishedRun) -> Evaluation:
    """Evaluates every row once.

    Raises:
        UsageError: the rows have no column `by`, or it has too many values.
        UserCodeError: the rows cannot be read or do not fit; or the model was not saved compiled.
    """
    workers = task_workers(request, run.spec.scaling)
    rows = EvaluationRows.of(run.spec, run.pipeline, run.folder, split=request.split, data=request.data, by=request.by)
    fit = run.spec.fit
    batch_size = request.batch_size or (fit.validation_batch_size if request.split == "validation" else None)
    batch_size = batch_size or fit.global_batch_size
    settings = EvaluatorSettings(
        paths=run.paths,
        spec=run.spec,
        pipeline=run.pipeline,
        example=rows.example,
        batch_size=batch_size,
        threads=workers.threads,
    )
    actor = ray.remote(num_cpus=workers.cpus, num_gpus=workers.gpus)(Evaluator)
    actors = [actor.remote(settings) for _ in range(workers.workers)]
    facts: ModelFacts = ray.get(actors[0].facts.remote())
    notices = []
    if facts.own_metrics and len(actors) > 1:
        actors = actors[:1]
        named = ", ".join(facts.own_metrics)
        notices.append(f"evaluated on one worker: the state of {named} may be no sum over rows")
    size = call_rows(rows.about, batch_size=batch_size, workers=len(actors), row_bytes=bytes_per_row(rows.example))
    dealing = _Dealing(actors=actors, call_rows=size)
    dealing.run(rows)
    metrics = dealing.results(_ALL)
    slices = [
        {"value": value, "rows": dealing.streams[number].rows, "metrics": dealing.results(number)}
        for value, number in sorted(dealing.slices.items(), key=lambda item: (str(type(item[0])), item[0] or 0))
    ]
    outputs, figure_notices = _figures(facts, dealing)
    notices += figure_notices + draw_figures(outputs, run.results)
    return Evaluation(
        run=run.paths.run,
        data=request.split if request.data is None else source_words(request.data),
        rows=dealing.streams[_ALL].rows,
        workers=len(actors),
        batch_size=batch_size,
        metrics=metrics,
        by=request.by,
        slices=slices,
        outputs=outputs,
        notices=notices,
    )


@dataclass(kw_only=True)
class _Dealing:
    """Who computes what: call k of a stream is worker k's, counted round, so that two evaluations are the same.

    Attributes:
        streams: all rows, and those of each slice by its number.
        slices: the number of each value.
        answered: of all rows, call by call; emptied once they are too many.
    """

    actors: list[Any]
    call_rows: int
    streams: dict[int | None, BatchStream] = field(default_factory=dict)
    slices: dict[Any, int] = field(default_factory=dict)
    answered: dict[int, Answered] = field(default_factory=dict)
    keeps: bool = True
    _bytes: int = 0
    _running: deque[tuple[Any, int | None, int]] = field(default_factory=deque)

    def run(self, rows: EvaluationRows) -> None:
        """Evaluates all rows."""
        self.streams[_ALL] = BatchStream(call_rows=self.call_rows)
        for block in rows.blocks():
            self._send(_ALL, self.streams[_ALL].add(block.ref, block.rows))
            if block.groups is None:
                continue
            numbers = np.array([self._number(value) for value in block.groups])
            for number in np.unique(numbers):
                self._send(int(number), self.streams[int(number)].add(block.ref, block.rows[numbers == number]))
        for number, stream in self.streams.items():
            self._send(number, stream.end())
        while self._running:
            self._take()

    def results(self, stream: int | None) -> dict[str, Any]:
        """Keras' metrics of a stream, over all workers."""
        parts = ray.get([actor.states.remote(stream) for actor in self.actors])
        found: dict[str, Any] = ray.get(self.actors[0].results.remote([part for part in parts if part is not None]))
        return found

    def _send(self, stream: int | None, calls: Iterator[Call]) -> None:
        for call in calls:
            while len(self._running) >= _IN_FLIGHT * len(self.actors):
                self._take()
            actor = self.actors[call.number % len(self.actors)]
            keep = self.keeps and stream is _ALL
            refs, places = [ref for ref, _ in call.pieces], [rows for _, rows in call.pieces]
            self._running.append((actor.evaluate.remote(stream, places, keep, *refs), stream, call.number))

    def _take(self) -> None:
        ref, stream, number = self._running.popleft()
        answered = ray.get(ref)
        if stream is not _ALL or answered is None or not self.keeps:
            return
        self._bytes += sum(array.nbytes for array in (*answered.outputs, *answered.labels) if array is not None)
        self.answered[number] = answered
        if self._bytes > _MOST_ANSWER_BYTES:
            self.keeps = False
            self.answered.clear()

    def _number(self, value: Any) -> int:
        if value not in self.slices:
            if len(self.slices) >= _MOST_SLICES:
                got = f"a column of more than {_MOST_SLICES} values"
                raise UsageError(Problem(field="--by", got=got, expected="a column of few values"))
            self.slices[value] = len(self.slices)
            self.streams[self.slices[value]] = BatchStream(call_rows=self.call_rows)
        return self.slices[value]


def _figures(facts: ModelFacts, dealing: _Dealing) -> tuple[dict[str, dict[str, Any]], list[str]]:
    if not dealing.keeps:
        most = formatting.size(_MOST_ANSWER_BYTES)
        return {}, [f"figures are left out: the answers to all rows take more than {most}"]
    calls = [answered for _, answered in sorted(dealing.answered.items())]
    found: dict[str, dict[str, Any]] = {}
    for index, kind in enumerate(facts.kinds):
        there = [own for call in calls if (own := call.labels[index]) is not None]
        if not there:
            continue
        output, labels = np.concatenate([call.outputs[index] for call in calls]), np.concatenate(there)
        weights = None
        if calls[0].weights is not None:
            weights = np.concatenate([call.weights for call in calls if call.weights is not None])
        count = 2 if kind["kind"] == "binary" else output.shape[-1]
        names = [kind["names"].get(number, number) for number in range(count if kind["kind"] != "values" else 0)]
        found[kind["name"]] = figures_of(kind["kind"], output, labels, names, weights)
    return found, []
