"""`raytrain plan --workers 1,2,4`: an epoch's time on other numbers of workers, from a run that was timed."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from raytrain.cli.display.plan_lines import scaling_lines
from raytrain.client.forecast import foresee
from raytrain.client.submit import submit
from raytrain.run.events import Event, ModelBuilt
from raytrain.spec.load import LoadedJob, load_job
from tests.cli import lives
from tests.cli.stand_in import Life, StandIn, stand_in_cluster
from tests.integration.conftest import JOBS

BUILT = ModelBuilt(parameters=38_410, trainable_parameters=38_410, run=lives.RUN, attempt=1, time=lives.SUBMITTED_AT)


def timed(epoch_s: Sequence[float] = (1.5, 0.2, 0.3, 0.2), *, built: bool = True) -> Life:
    """The life of a run whose epochs take so long."""
    epochs = [replace(lives.epoch(number), seconds=seconds) for number, seconds in enumerate(epoch_s)]
    events: list[Event] = [*lives.beginning(), *([BUILT] if built else []), *epochs, *lives.ending()]
    return Life(events=events)


@pytest.fixture
def cluster() -> Iterator[StandIn]:
    with stand_in_cluster(timed()) as cluster:
        yield cluster


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A job's folder of its own, and a state directory."""
    monkeypatch.setenv("RAYTRAIN_STATE_DIR", str(tmp_path / "state"))
    return Path(shutil.copytree(JOBS / "digits", tmp_path / "digits", ignore=shutil.ignore_patterns("__pycache__")))


def load(job: Path | str, *overrides: str) -> LoadedJob:
    return load_job(str(job), overrides=overrides)


def ran(job: LoadedJob, cluster: StandIn, storage: Path) -> str:
    """A run of the job, submitted as every run is, that has ended."""
    submitted = submit(load(job.folder / Path(job.file).name, f"storage={storage}"), address=cluster.url)
    cluster.threads[-1].join()
    return submitted.run


def test_the_latest_run_that_was_timed_is_taken(folder: Path, cluster: StandIn, tmp_path: Path) -> None:
    cluster.later = [timed((1.5,)), timed(built=False)]
    job = load(folder)
    run = ran(job, cluster, tmp_path / "runs")
    ran(job, cluster, tmp_path / "runs")
    ran(job, cluster, tmp_path / "runs")

    scaling = foresee(job, [1, 2, 4])

    assert scaling is not None
    assert (scaling.run, scaling.measured.epoch_s, scaling.measured.gradient_bytes) == (run, 0.2, 153_640)
    assert [prediction.workers for prediction in scaling.predictions] == [1, 2, 4]
    assert scaling.predictions[1].epoch_s == pytest.approx(0.2)
    lines = [f"{label} {text}" for label, text in scaling_lines(scaling)]
    assert lines[0].startswith("epoch 1 worker: ")
    assert lines[0].endswith("efficiency 100%")
    assert f"foreseen from {run}, 0.20s on 2 workers" in lines[3]


def test_a_job_is_the_same_however_it_is_named(
    folder: Path, cluster: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ran(load(folder), cluster, tmp_path / "runs")
    (tmp_path / "linked").symlink_to(folder)
    (tmp_path / "linked.yaml").symlink_to(folder / "job.yaml")
    monkeypatch.chdir(tmp_path)

    for name in (
        folder,
        folder / "job.yaml",
        "digits",
        "./digits/job.yaml",
        "linked",
        "linked/job.yaml",
        "linked.yaml",
    ):
        scaling = foresee(load(name), [1, 2])
        assert scaling is not None and scaling.run == run, name


def test_a_run_that_was_submitted_by_a_link_is_one_of_the_job(folder: Path, cluster: StandIn, tmp_path: Path) -> None:
    (tmp_path / "linked.yaml").symlink_to(folder / "job.yaml")
    submit(load(tmp_path / "linked.yaml", f"storage={tmp_path / 'runs'}"), address=cluster.url)
    cluster.threads[-1].join()

    assert foresee(load(folder), [1, 2]) is not None


def test_another_spec_in_the_same_folder_is_another_job(folder: Path, cluster: StandIn, tmp_path: Path) -> None:
    ran(load(folder), cluster, tmp_path / "runs")
    other = Path(shutil.copy(folder / "job.yaml", folder / "other.yaml"))

    assert foresee(load(other), [1, 2]) is None
    run = ran(load(other), cluster, tmp_path / "runs")
    scaling = foresee(load(other), [1, 2])
    assert scaling is not None and scaling.run == run


def test_a_run_of_another_batch_tells_nothing(folder: Path, cluster: StandIn, tmp_path: Path) -> None:
    ran(load(folder), cluster, tmp_path / "runs")

    assert foresee(load(folder, "fit.global_batch_size=64"), [1, 2]) is None


def test_a_job_from_standard_input_has_no_runs(
    folder: Path, cluster: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    text = (folder / "job.yaml").read_text()
    job = load_job("-", overrides=[f"storage={tmp_path / 'runs'}"], stdin=io.StringIO(text))
    submit(job, address=cluster.url)
    cluster.threads[-1].join()

    assert foresee(job, [1, 2]) is None


def test_without_a_timed_run_it_says_how_to_get_one(folder: Path) -> None:
    assert foresee(load(folder), [1, 2]) is None
    [(_, text)] = scaling_lines(None)
    assert "--set fit.epochs=2" in text
