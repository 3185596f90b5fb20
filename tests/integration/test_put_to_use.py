"""A finished run is evaluated and asked on a real cluster, by its commands; killed on the way, it goes on."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from tests.flowers import KINDS, flower_rows, flower_spec
from tests.integration.conftest import Cli


@pytest.fixture(scope="module")
def run(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    job = tmp_path_factory.mktemp("jobs") / "flowers"
    job.mkdir()
    flower_rows(600).to_csv(job / "flowers.csv", index=False)
    (job / "job.yaml").write_text(flower_spec().model_dump_json(exclude_unset=True, exclude_none=True))
    found = cli.submit(job)
    assert found["status"] == "SUCCEEDED"
    return found


def kept(run: dict[str, Any]) -> dict[str, bytes]:
    """What training left, and no task may touch."""
    root = Path(run["storage"])
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.relative_to(root).parts[0] not in ("evaluations", "predictions")
    }


@pytest.mark.everyday
def test_a_run_is_evaluated_and_asked(cli: Cli, run: dict[str, Any], tmp_path: Path) -> None:
    before = kept(run)

    done = cli("evaluate", run["run"], "--by", "garden", "--json")

    assert done.returncode == 0, done.stderr
    evaluation = json.loads(done.stdout)
    assert evaluation["metrics"] == pytest.approx(run["test"], abs=1e-6)
    assert (evaluation["rows"], evaluation["workers"], evaluation["batch_size"]) == (180, 2, 32)
    assert sum(part["rows"] for part in evaluation["slices"]) == 180
    assert evaluation["outputs"]["kind"]["classes"] == KINDS
    assert sum(map(sum, evaluation["outputs"]["kind"]["confusion_matrix"])) == 180
    results = Path(evaluation["directory"])
    assert {path.name for path in results.iterdir()} == {"driver.log", "kind.png", "result.json"}
    assert json.loads((results / "result.json").read_text())["metrics"] == evaluation["metrics"]

    rows = flower_rows(500, seed=5).drop(columns=["kind"])
    rows.to_csv(tmp_path / "new.csv", index=False)
    asked = ("predict", run["run"], "--input", "new.csv", "--output", "answers.csv")
    done = cli(*asked, "--columns", "id,garden", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    prediction = json.loads(done.stdout)
    found = pd.read_csv(tmp_path / "answers.csv")
    assert (prediction["rows"], prediction["output"]) == (500, str(tmp_path / "answers.csv"))
    assert found["id"].tolist() == list(range(500))
    assert list(found.columns)[:4] == ["id", "garden", "prediction", "probability"] == prediction["columns"][:4]
    assert set(found["prediction"]) <= set(KINDS)
    assert done.stderr.splitlines()[0].startswith(f"submitting {run['run']}-predict-")

    refused(cli, run, rows, tmp_path)
    assert kept(run) == before


def refused(cli: Cli, run: dict[str, Any], rows: pd.DataFrame, tmp_path: Path) -> None:
    """What cannot be done: what, where, what to do, and the exit code."""

    def says(code: int, *words: str, arguments: tuple[str, ...]) -> None:
        done = cli(*arguments, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        assert all(word in done.stderr for word in words), done.stderr

    name = run["run"]
    predict = ("predict", name, "--input", "new.csv")
    says(2, "answers.csv, which is there", "--overwrite", arguments=(*predict, "--output", "answers.csv"))
    rows.drop(columns=["height"]).to_csv(tmp_path / "short.csv", index=False)
    short = ("predict", name, "--input", "short.csv", "--output", "no.csv")
    says(3, "--input", "no column `height`", "id, colour, width, garden", arguments=short)
    says(3, "nowhere.csv, which is not there", arguments=("evaluate", name, "--data", "nowhere.csv"))
    says(2, "--split", "a run without validation rows", arguments=("evaluate", name, "--split", "validation"))
    rows.assign(colour=["green", *rows["colour"][1:]]).to_csv(tmp_path / "green.csv", index=False)
    green = ("predict", name, "--input", "green.csv", "--output", "no.csv")
    says(10, "row 0 of", "green.csv", "no train row has", "--skip-errors", arguments=green)
    copy = tmp_path / "runs" / name
    shutil.copytree(run["storage"], copy)
    (copy / "model.keras").unlink()
    says(5, "whose model is not at", arguments=("evaluate", str(copy)))
    assert not (tmp_path / "no.csv").exists()


@pytest.mark.thorough
def test_a_prediction_that_is_killed_goes_on_without_a_row_lost_or_doubled(
    cli: Cli, run: dict[str, Any], tmp_path: Path
) -> None:
    """Its worker, its driver and its command are killed, one after the other; each time the same command goes on."""
    rows = flower_rows(40_000, seed=6)
    for number in range(8):
        rows[number * 5_000 : (number + 1) * 5_000].to_parquet(tmp_path / f"in-{number}.parquet")
    paths = ("--input", f"{tmp_path}/in-*.parquet", "--output", str(tmp_path / "out"))
    asked = ("predict", run["run"], *paths, "--workers", "1", "--batch-size", "8", "--columns", "id", "--json")
    hidden = tmp_path / ".out.unfinished"

    parts: set[str] = set()
    for kill in (_kill_worker, _kill_driver, _interrupt):
        command = cli.start(*asked)
        assert _wait_for_more(hidden, parts, command)
        kill(command, str(tmp_path / "out"))
        command.communicate(timeout=300)
        if kill is _kill_worker and command.returncode == 0:
            pytest.fail("it was done before it was killed")
        if kill is _interrupt:
            assert command.returncode == 130
        assert not (tmp_path / "out").exists()
        parts = {path.name for path in hidden.glob("part-*.parquet")}
    done = cli(*asked)

    assert done.returncode == 0, done.stderr
    prediction = json.loads(done.stdout)
    assert prediction["rows"] == 40_000
    assert prediction["resumed_parts"] >= len(parts) - 1 > 0
    assert not hidden.exists()
    table = pd.concat(pd.read_parquet(path) for path in sorted((tmp_path / "out").glob("part-*.parquet")))
    assert table["id"].tolist() == list(range(40_000))


def _wait_for_more(hidden: Path, parts: set[str], command: subprocess.Popen[str]) -> bool:
    """Until a part is there that was not, and the command still goes on."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and command.poll() is None:
        if {path.name for path in hidden.glob("part-*.parquet")} - parts:
            return True
        time.sleep(0.02)
    return False


def _processes(output: str, name: str) -> Iterator[psutil.Process]:
    """The processes of the job that writes this output, which have its working directory."""
    for process in psutil.process_iter():
        try:
            request = Path(process.cwd()) / ".raytrain/job.json"
            if name in " ".join(process.cmdline()) and json.loads(request.read_text()).get("output") == output:
                yield process
        except (psutil.Error, OSError, ValueError):
            continue


def _kill_worker(command: subprocess.Popen[str], output: str) -> None:
    """Ray starts another; the driver is killed with it, so that the command ends."""
    for process in [*_processes(output, "ray::"), *_processes(output, "raytrain.driver")]:
        process.kill()


def _kill_driver(command: subprocess.Popen[str], output: str) -> None:
    [driver] = [process for process in _processes(output, "raytrain.driver") if "python" in process.name()]
    driver.kill()


def _interrupt(command: subprocess.Popen[str], output: str) -> None:
    command.send_signal(signal.SIGINT)
