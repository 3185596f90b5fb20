"""Several runs at once, how far a run is, and metrics as curves and as CSV."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from raytrain.cli.main import app
from raytrain.errors import Failure
from raytrain.run.run_paths import RunPaths
from raytrain.run.step_progress import StepProgress
from tests.cli import lives
from tests.cli.stand_in import Life, stand_in_cluster

FAILED = "digits-20261120-0716-bbbb"


def raytrain(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def two(tmp_path: Path) -> list[str]:
    error = Failure(kind="ValueError", message="no")
    lives.write_log(tmp_path / lives.RUN, lives.whole_life())
    lives.write_log(
        tmp_path / FAILED, [*lives.beginning(), lives.epoch(0), *lives.ending("FAILED", "user_code", error)]
    )
    return [str(tmp_path / lives.RUN), str(tmp_path / FAILED)]


def test_two_runs_are_followed_to_their_ends(two: list[str]) -> None:
    result = raytrain("watch", *two)
    assert result.exit_code == 10, "of the first that did not succeed"
    assert f"{lives.RUN}: epoch 3/3 loss=0.1667" in result.stdout
    assert f"{FAILED}: epoch 1/3 loss=0.5000" in result.stdout
    assert f"{lives.RUN}: SUCCEEDED (all epochs done)" in result.stdout


def test_the_log_of_several_is_not_shown(two: list[str]) -> None:
    assert raytrain("watch", *two, "--verbose").exit_code == 2


def test_for_programs_one_object_a_line(two: list[str]) -> None:
    lines = [json.loads(line) for line in raytrain("watch", *two, "--json").stdout.splitlines()]
    assert {line["run"] for line in lines if line["type"] == "epoch_end"} == {lives.RUN}
    assert sum(line["type"] == "run_finished" for line in lines) == 2


def test_metrics_as_curves_and_as_csv(two: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    drawn = raytrain("metrics", two[0], "--plot").stdout
    assert "val_loss" in drawn and max(map(len, drawn.splitlines())) <= 60
    rows = list(csv.DictReader(io.StringIO(raytrain("metrics", two[0], "-o", "csv").stdout)))
    listed = json.loads(raytrain("metrics", two[0], "-o", "json").stdout)["epochs"]
    assert [float(row["loss"]) for row in rows] == [row["loss"] for row in listed]
    assert list(rows[0]) == list(listed[0])


@pytest.mark.parametrize("verb", [["metrics", "--plot"], ["watch"], ["status"]])
def test_an_encoding_that_has_next_to_no_letters(two: list[str], verb: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "raytrain", verb[0], two[0], *verb[1:]],
        env=os.environ | {"PYTHONIOENCODING": "ascii", "TERM": "dumb"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii() and b"loss" in done.stdout


def test_how_far_the_epoch_is(job: Path, tmp_path: Path) -> None:
    with stand_in_cluster(Life(events=[*lives.beginning(), lives.epoch(0)], status="RUNNING")) as cluster:
        run = raytrain("submit", str(job), "--address", cluster.url, "-d").stdout.strip()
        paths = RunPaths(tmp_path / "storage" / run)
        paths.root.mkdir(parents=True, exist_ok=True)
        lives.write_log(paths.root, [*lives.beginning(), lives.epoch(0)])
        StepProgress(attempt=1, time=0.0, epoch=1, step=9, steps=45, steps_per_s=3.0).write(paths.progress)
        told = raytrain("status", run)
        body = json.loads(raytrain("status", run, "--json").stdout)
    assert "step 9 of 45 of epoch 2" in told.stdout
    assert body["progress"]["step"] == 9
