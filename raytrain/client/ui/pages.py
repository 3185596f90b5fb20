"""What the server shows: the list of runs, one run, several compared; as pages and as JSON."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raytrain.client.comparison import compare
from raytrain.client.registry import RunRecord
from raytrain.client.report import page_of
from raytrain.client.run import Run
from raytrain.client.run_list import RunList, RunRow, list_runs
from raytrain.client.run_view import RunView
from raytrain.errors import NotFound, Problem
from raytrain.report.chart import charts_beside
from raytrain.report.templating import templates
from raytrain.run.run_status import RunStatus

_TEMPLATES = Path(__file__).parent / "templates"
_FRESH_S = 2.0
_MOST_SHOWN = 200


class Pages:
    """Asks the runs anew, at most every two seconds.

    Args:
        storage: whose runs; those that this machine remembers when None.
    """

    def __init__(self, storage: str | None) -> None:
        self._storage = storage
        self._asked_at = float("-inf")
        self._found = RunList(rows=(), total=0)

    def runs(self, query: str, status: str, nonce: str) -> str:
        """The list, of runs whose id or job has `query` in it and that stand as `status` says."""
        words = query.lower().split()
        rows = [row for row in self._listed().rows if _fits(row, words, status)]
        return (
            templates(_TEMPLATES)
            .get_template("runs.html")
            .render(
                rows=[row.to_dict() for row in rows[:_MOST_SHOWN]],
                found=len(rows),
                total=self._found.total,
                query=query,
                status=status,
                statuses=list(RunStatus),
                storage=self._storage or "submitted from this machine",
                nonce=nonce,
            )
        )

    def run(self, run: str, nonce: str) -> str:
        """A run's page, which renews itself while the run goes on."""
        return page_of(self._record(run), nonce=nonce)

    def compared(self, runs: Sequence[str]) -> str:
        """Two runs or more beside each other."""
        found = compare(*(Run(self._record(run)) for run in runs))
        drawn = charts_beside({run.run: run.rows for run in found.runs})
        names = list(dict.fromkeys(name for run in found.runs for name in run.last))
        return (
            templates(_TEMPLATES).get_template("comparison.html").render(found=found, metric_names=names, charts=drawn)
        )

    def runs_json(self) -> dict[str, Any]:
        """As `list --json`."""
        return self._listed().to_dict()

    def run_json(self, run: str) -> dict[str, Any]:
        """As `status --json`."""
        return RunView(self._record(run)).look().to_dict()

    def _listed(self) -> RunList:
        if time.monotonic() - self._asked_at > _FRESH_S:
            self._found = list_runs(storage=self._storage)
            self._asked_at = time.monotonic()
        return self._found

    def _record(self, run: str) -> RunRecord:
        """One of those listed, by its whole id: nothing that is asked for becomes a path."""
        found = next((row.record for row in self._listed().rows if row.record.run == run), None)
        if found is None:
            raise NotFound(Problem(got=f"no run {run} here", expected="a run of the list"))
        return found


def _fits(row: RunRow, words: Sequence[str], status: str) -> bool:
    text = f"{row.record.run} {row.stored.name or row.record.name}".lower()
    return all(word in text for word in words) and (not status or row.state.status == status)
