"""What an evaluation and a prediction came to, in lines."""

from __future__ import annotations

from collections.abc import Iterator

from raytrain import formatting
from raytrain.run.task_result import Evaluation, Prediction


def prediction_lines(done: Prediction) -> Iterator[str]:
    yield f"{formatting.plural(done.rows, 'row')} in {done.output}"
    if done.set_aside:
        yield f"{formatting.plural(done.set_aside, 'row')} set aside, see {done.errors}"
    yield from (f"note: {notice}" for notice in done.notices)


def evaluation_lines(done: Evaluation) -> Iterator[str]:
    yield f"{formatting.plural(done.rows, 'row')} of {done.data}: {formatting.metrics(done.metrics)}"
    for part in done.slices:
        rows = formatting.plural(part["rows"], "row")
        yield f"  {done.by}={part['value']}  {rows}  {formatting.metrics(part['metrics'])}"
    yield from (f"note: {notice}" for notice in done.notices)
    yield f"more in {done.directory}"
