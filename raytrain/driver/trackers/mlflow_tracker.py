"""Tells an MLflow server of a run through MLflow's client."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

from raytrain import __version__
from raytrain.driver.trackers.tracker import TrackedRun, epoch_values, parameters
from raytrain.errors import Problem, RaytrainError
from raytrain.run.events import EpochEnd, Event, RunFinished, Submitted, TestEnd
from raytrain.spec.tracking import MlflowSpec

# Of MLflow's client, which otherwise tries for many minutes; what fails is tried again by who calls this.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
_RUN_TAG = "raytrain.run"
_MOST_PARAMETERS, _MOST_METRICS = 100, 1000  # that a server takes at once
_NOT_IN_NAMES = re.compile(r"[^\w\-. :/]")
_STATUSES = {"SUCCEEDED": "FINISHED", "STOPPED": "KILLED"}


class MlflowTracker:
    """State: whether the `parameters` are told; those of a later attempt may differ, which MLflow refuses."""

    def __init__(self, run: TrackedRun, options: MlflowSpec) -> None:
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        self._run = run
        self._client = MlflowClient(tracking_uri=options.uri)
        self._experiment = options.experiment or run.spec.name
        self._id = self._find() or self._create()
        if not run.state.get("parameters"):
            self._tell_parameters()
            run.state["parameters"] = True
        self._last: dict[str, float] = {}

    def take(self, events: Sequence[Event]) -> None:
        metrics = [metric for event in events for metric in self._metrics(event)]
        for first in range(0, len(metrics), _MOST_METRICS):
            self._client.log_batch(self._id, metrics=metrics[first : first + _MOST_METRICS])
        for event in events:
            match event:
                case Submitted():
                    self._client.set_tag(self._id, "raytrain.attempt", event.attempt)
                    self._client.update_run(self._id, status="RUNNING")
                case RunFinished():
                    self._finish(event)

    def close(self) -> None:
        """Nothing is open."""

    def _find(self) -> str | None:
        """The run that was made before, by this process or one whose word of it was lost."""
        experiment = self._client.get_experiment_by_name(self._experiment)
        if experiment is None:
            return None
        made = self._client.search_runs(
            [experiment.experiment_id], f"tags.`{_RUN_TAG}` = '{self._run.run}'", max_results=1
        )
        return made[0].info.run_id if made else None

    def _create(self) -> str:
        experiment = self._client.get_experiment_by_name(self._experiment)
        number = experiment.experiment_id if experiment else self._client.create_experiment(self._experiment)
        tags = {_RUN_TAG: self._run.run, "raytrain.version": __version__, "raytrain.directory": self._run.paths.shown()}
        return str(self._client.create_run(number, run_name=self._run.run, tags=tags).info.run_id)

    def _tell_parameters(self) -> None:
        from mlflow.entities import Param

        listed = [Param(_name(name), str(value)) for name, value in parameters(self._run.spec).items()]
        for first in range(0, len(listed), _MOST_PARAMETERS):
            self._client.log_batch(self._id, params=listed[first : first + _MOST_PARAMETERS])

    def _metrics(self, event: Event) -> Iterator[Any]:
        from mlflow.entities import Metric

        values: dict[str, float] = {}
        if isinstance(event, EpochEnd):
            values, step = epoch_values(event), event.epoch
        elif isinstance(event, TestEnd):
            values = {f"test_{name}": math.nan if value is None else value for name, value in event.metrics.items()}
            step = 0
        for name, value in values.items():
            self._last[_name(name)] = value
            yield Metric(_name(name), value, int(event.time * 1000), step)

    def _finish(self, event: RunFinished) -> None:
        paths = self._run.paths
        for file in (paths.spec, paths.metrics, paths.curves, paths.summary, paths.root / "report.html"):
            if file.exists():
                self._client.log_artifact(self._id, str(file))
        if event.status == "SUCCEEDED" and paths.model.exists():
            self._client.log_artifact(self._id, str(paths.model), "model")
        self._client.set_tag(self._id, "raytrain.reason", event.reason)
        self._client.set_terminated(self._id, _STATUSES.get(event.status, "FAILED"))
        self._check()

    def _check(self) -> None:
        """Raises where the server has taken what it does not show."""
        shown = self._client.get_run(self._id).data.metrics
        lost = [name for name, value in self._last.items() if not _is_same(shown.get(name), value)]
        if lost:
            problem = Problem(got=f"a server that does not show {lost[0]} as it was told", expected="what it was told")
            raise RaytrainError(problem)


def _name(text: str) -> str:
    return _NOT_IN_NAMES.sub("_", text)


def _is_same(shown: float | None, told: float) -> bool:
    return shown is not None and (math.isclose(shown, told, rel_tol=1e-6) or (math.isnan(shown) and math.isnan(told)))
