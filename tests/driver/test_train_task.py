"""How an attempt is recorded that ends before any worker runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from raytrain.data import dataset
from raytrain.driver import starting_ahead, train_task, worker_groups
from raytrain.run import events
from raytrain.run.run_paths import RunPaths
from raytrain.run.run_status import RunStatus
from raytrain.spec.tracking import Tracker
from raytrain.user_code import load_reference
from tests.driver.recorded import Recorded


@pytest.fixture
def signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signals: None) -> Path:
    """The job's, in which the driver runs."""
    folder = tmp_path / "job"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> tuple[RunStatus, events.RunFinished]:
    """What becomes of a run whose data function does this: its status and its recorded end."""
    (folder / "data_of_job.py").write_text(f"import os, sys\n\ndef load():\n    {code}\n")
    monkeypatch.setattr(train_task, "_attempt", lambda *_: load_reference("data_of_job.py:load", folder)())
    told = Recorded()
    status = train_task.run_job(cast(Any, None), RunPaths(folder.parent / "run"), cast(Any, told), folder)
    [end] = told.of(events.RunFinished)
    return status, end


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("sys.exit(0)", "the code ended the process (exit code 0)"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise ValueError('no')", "no"),
        ("os.chdir('/'); raise ValueError('no')", "no"),
    ],
)
def test_whatever_data_code_raises_fails_the_run(
    code: str, message: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, end = run(folder, monkeypatch, code)
    assert (status, end.status, end.reason) == (RunStatus.FAILED, "FAILED", "user_code")
    assert end.error is not None
    assert (end.error.message, end.error.file, end.error.line) == (message, "data_of_job.py", 4)


def test_an_exit_that_no_file_of_the_users_stands_behind_is_internal(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(*_: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(train_task, "_attempt", leave)
    told = Recorded()
    assert (
        train_task.run_job(cast(Any, None), RunPaths(folder.parent / "run"), cast(Any, told), folder)
        is RunStatus.FAILED
    )
    assert told.of(events.RunFinished)[0].reason == "internal"


def test_data_code_that_leaves_the_jobs_folder_takes_no_worker_along(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(spec: Any, within: Path) -> Any:
        os.chdir("/")
        pipeline = SimpleNamespace(to_json=dict)
        return SimpleNamespace(plans={}, tier=SimpleNamespace(tier="shared"), pipeline=pipeline, notices=[])

    monkeypatch.setattr(train_task, "start_mailbox", lambda run: None)
    monkeypatch.setattr(train_task, "_prepare_trainers", lambda request, mailbox: None)
    monkeypatch.setattr(starting_ahead, "may_start_ahead", lambda spec, within: False)
    monkeypatch.setattr(dataset, "load_dataset", load)
    monkeypatch.setattr(
        worker_groups, "WorkerGroups", lambda *parts: SimpleNamespace(run=lambda: (Path.cwd(), parts[-1]))
    )
    scaling, fit = SimpleNamespace(min_workers=None), SimpleNamespace(overfit_batches=None)
    spec = SimpleNamespace(scaling=scaling, fit=fit, tracking=[])
    request = SimpleNamespace(run="a-1", spec=spec, extended_from=None, fast_dev_run=False)
    recorder = SimpleNamespace(phase=lambda name: None, sharded=lambda plans, tier: None, record=lambda *_, **__: None)
    stop = SimpleNamespace(reach=lambda mailbox: None)
    attempt: Any = train_task._attempt
    assert attempt(request, RunPaths(folder.parent), recorder, stop, folder) == (folder, folder)


def test_a_tracker_whose_package_is_missing_is_refused_before_anything_is_started(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    told, stop = Recorded(), SimpleNamespace(end=lambda: None)
    monkeypatch.setattr(train_task, "StopSignal", lambda paths, recorder: stop)
    request: Any = SimpleNamespace(spec=SimpleNamespace(tracking=[Tracker.model_validate("wandb")]))
    train_task.run_job(request, RunPaths(folder.parent / "run"), cast(Any, told), folder)
    [end] = told.of(events.RunFinished)
    assert end.error is not None
    assert end.reason == "spec_refused"
    assert "tracking.0: got wandb, whose package is not installed" in end.error.message
    assert "pip install 'wandb'" in end.error.message
