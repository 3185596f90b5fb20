"""What earlier versions of raytrain left behind is read: a directory of each kind is kept in `tests/earlier`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from raytrain.client.registry import remembered
from raytrain.report.history import History
from raytrain.report.job_files import JobFiles
from raytrain.report.run_page import run_page
from raytrain.run.event_json import from_line
from raytrain.run.event_log import read_events
from raytrain.run.lease import read_leases
from raytrain.run.run_paths import RunPaths
from raytrain.run.summary import RunSummary, summarize
from raytrain.spec.job import JobSpec
from raytrain.spec.request import JobRequest

EARLIER = Path(__file__).parent / "earlier"
RUNS = sorted(EARLIER.glob("*/runs/*"))
ids = [f"{run.parent.parent.name}/{run.name}" for run in RUNS]


def folded(run: Path) -> RunSummary:
    return summarize(run.name, read_events(RunPaths(run).events))


@pytest.mark.parametrize("run", RUNS, ids=ids)
def test_every_line_of_a_log_is_an_event(run: Path) -> None:
    lines = RunPaths(run).events.read_text().splitlines()
    assert [line for line in lines if from_line(line) is None] == []


@pytest.mark.parametrize("run", RUNS, ids=ids)
def test_the_events_add_up_to_the_status_that_was_written(run: Path) -> None:
    """Keys that are new since then are there beside."""
    written = json.loads(RunPaths(run).status.read_text())
    now = json.loads(json.dumps(folded(run).to_dict()))
    if written["error"] is not None:
        assert written["error"].items() <= now["error"].items()
        now["error"] = written["error"]
    assert written.items() <= now.items()


@pytest.mark.parametrize("run", [run for run in RUNS if RunPaths(run).metrics.exists()], ids=str)
def test_the_events_add_up_to_the_metrics_that_were_written(run: Path) -> None:
    written = [json.loads(line) for line in RunPaths(run).metrics.read_text().splitlines()]
    assert [row.to_json() for row in folded(run).epoch_rows()] == written


@pytest.mark.parametrize("run", RUNS, ids=ids)
def test_a_request_and_a_spec_are_read(run: Path) -> None:
    paths = RunPaths(run)
    request = JobRequest.model_validate_json(paths.request.read_text())
    assert request.task == "train", "what an earlier version asked for"
    assert request.run == run.name
    assert JobSpec.model_validate_json(paths.spec.read_text()) == request.spec


@pytest.mark.parametrize("run", RUNS, ids=ids)
def test_a_page_is_written_of_it_and_nothing_needs_explaining(run: Path) -> None:
    summary, history = RunSummary(run=run.name), History()
    for event in read_events(RunPaths(run).events):
        summary.add(event)
        history.add(event, summary)
    page = run_page(summary, history, JobFiles.of(RunPaths(run)), now=2e9)
    assert "raytrain submit" in page and "Promised: the answer is" in page
    assert summary.explanations() == []


@pytest.mark.parametrize("run", RUNS, ids=ids)
def test_the_leases_are_over(run: Path) -> None:
    leases = read_leases(RunPaths(run))
    assert [lease.attempt for lease in leases] == list(range(1, len(leases) + 1))
    assert all(lease.is_over for lease in leases)


@pytest.mark.parametrize("version", sorted(EARLIER.iterdir()), ids=lambda path: path.name)
def test_a_registry_is_taken_in(version: Path, tmp_path: Path) -> None:
    shutil.copy(version / "runs.jsonl", tmp_path)
    records = {record.run: record for record in remembered({"RAYTRAIN_STATE_DIR": str(tmp_path)})}
    assert set(records) == {run.name for run in (version / "runs").iterdir()}
    assert {record.attempt for record in records.values()} == {1, 2}
