"""Several runs beside each other: what they came to, and what differs in job, code, versions and data."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from raytrain.client.find_run import find
from raytrain.client.run import Run
from raytrain.client.run_directory import directory_of
from raytrain.client.run_view import RunView
from raytrain.errors import Problem, UsageError
from raytrain.report.history import History
from raytrain.report.job_files import JobFiles
from raytrain.run.epoch_row import EpochRow
from raytrain.run.events import SCHEMA_VERSION
from raytrain.run.summary import RunSummary

if TYPE_CHECKING:
    import pandas as pd

Value = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """A run of a comparison.

    Attributes:
        last, best_of, test: its metrics after the last epoch, the best that is monitored, and on the test rows.
        epoch_s: the median of its epochs' seconds.
        rows: the epochs; not in the JSON.
    """

    run: str
    name: str
    status: str
    reason: str | None
    workers: int | None
    epochs: int
    last: Mapping[str, float | None]
    best: Mapping[str, Any] | None
    test: Mapping[str, float | None] | None
    epoch_s: float | None
    total_s: float | None
    rows: tuple[EpochRow, ...] = ()

    @classmethod
    def of(cls, summary: RunSummary) -> ComparedRun:
        seconds = [row.epoch_s for row in summary.epoch_rows()]
        return cls(
            run=summary.run,
            name=summary.name,
            status=str(summary.status),
            reason=summary.reason,
            workers=summary.workers,
            epochs=len(summary.epochs),
            last=summary.last_metrics,
            best=asdict(summary.best) if summary.best else None,
            test=summary.test,
            epoch_s=statistics.median(seconds) if seconds else None,
            total_s=summary.to_dict()["timing"]["total_s"],
            rows=tuple(summary.epoch_rows()),
        )


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What is not the same in all runs.

    Attributes:
        kind: `spec`, `code`, `versions` or `data`.
        what: the field, file, package or split.
        values: of each run, in order; None where it has none.
    """

    kind: str
    what: str
    values: tuple[Value, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The runs in the order in which they were named, and what differs between them."""

    runs: tuple[ComparedRun, ...]
    differences: tuple[Difference, ...]

    def to_dict(self) -> dict[str, Any]:
        """As `compare --json` prints it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "runs": [_without_rows(run) for run in self.runs],
            "differences": [asdict(item) | {"values": list(item.values)} for item in self.differences],
        }

    def frame(self) -> pd.DataFrame:
        """A row a difference: `kind`, `what`, and a column a run."""
        import pandas as pd

        names = [run.run for run in self.runs]
        rows = [[item.kind, item.what, *item.values] for item in self.differences]
        return pd.DataFrame(rows, columns=["kind", "what", *names])


def _without_rows(run: ComparedRun) -> dict[str, Any]:
    body = asdict(replace(run, rows=()))
    del body["rows"]
    return body


def compare(*runs: Run | str, address: str | None = None, storage: str | None = None) -> Comparison:
    """Holds runs beside each other: what they came to, and what differs in spec, code, versions and data.

    Args:
        runs: two or more, as objects or by name (an id, a beginning of it, `@last`, a directory).
        address, storage: where to look for them, as for `get`.

    Raises:
        UsageError: fewer than two different runs.
        NotFound: there is no such run.

    Example:
        >>> found = raytrain.compare(raytrain.runs()[0], raytrain.runs()[0].id)
        Traceback (most recent call last):
        raytrain.errors.UsageError: got one run…, expected two or more; …
    """
    records = [run.record if isinstance(run, Run) else find(run, address=address, storage=storage) for run in runs]
    alone = {(record.run, record.storage): record for record in records}
    if len(alone) < 2:
        got = f"one run, {records[0].run}" if records else "no run"
        raise UsageError(Problem(got=got, expected="two or more", fix="raytrain list shows which there are"))
    compared, told = [], []
    for record in alone.values():
        view, history = RunView(record), History()
        folded = RunSummary(run=record.run)
        for event in view.look_at_events():
            folded.add(event)
            history.add(event, folded)
        compared.append(ComparedRun.of(view.summary))
        told.append(_told(history, JobFiles.of(directory_of(record))))
    return Comparison(runs=tuple(compared), differences=tuple(_differences(told)))


def _told(history: History, files: JobFiles) -> dict[str, dict[str, Value]]:
    """What may differ, by kind."""
    request = files.request
    client: dict[str, Value] = {**request.client} if request else {}
    code: dict[str, Value] = {"commit": request.commit, **request.files} if request else {}
    versions: dict[str, Value] = {**{f"{name} (client)": value for name, value in client.items()}, **history.versions}
    data: dict[str, Value] = {}
    for split, shards in history.splits.items():
        data |= {f"{split} rows": shards.rows, f"{split} rows left out": shards.dropped}
    data["tier"] = history.tier or None
    return {"spec": dict(_flat(files.spec)), "code": code, "versions": versions, "data": data}


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Value]]:
    """The fields of a spec by their dotted paths; lists by their numbers."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _flat(item, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and value and len(value) <= 100:
        for number, item in enumerate(value):
            yield from _flat(item, f"{path}[{number}]")
    elif value is None or isinstance(value, str | int | float | bool):
        yield path, value
    else:
        yield path, str(value)


def _differences(told: Sequence[Mapping[str, Mapping[str, Value]]]) -> Iterator[Difference]:
    for kind in told[0]:
        for what in dict.fromkeys(name for each in told for name in each[kind]):
            values = tuple(each[kind].get(what) for each in told)
            if any(value != values[0] for value in values[1:]):
                yield Difference(kind=kind, what=what, values=values)
