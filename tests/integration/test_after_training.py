"""A small trained run is extended, tagged, exported, fetched and deleted, by the commands."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from raytrain.export_protocol import FORMATS
from raytrain.run.event_log import read_events
from raytrain.run.events import EpochEnd, Extended
from raytrain.run.run_paths import RunPaths
from tests.integration.conftest import JOBS, Cli
from tests.integration.test_resume import rows

SMALL = ("--set", "model_args.hidden=16", "--set", "early_stopping={monitor: val_loss, patience: 9}")


def files_of(run: dict[str, Any]) -> dict[str, str]:
    """Every file of a run's directory, by its digest."""
    root = Path(run["storage"])
    return {
        str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in root.rglob("*")
        if file.is_file()
    }


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


def answer(done: Any) -> Any:
    """The one object on standard output of a command that went well."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_from_a_trained_run_to_a_longer_one_and_out_of_the_storage(cli: Cli, tmp_path: Path) -> None:
    short = cli.submit(JOBS / "digits", *SMALL, "--set", "fit.epochs=2")
    assert short["status"] == "SUCCEEDED", short
    before = files_of(short)

    nothing_left = cli("extend", short["run"], "--json")
    assert nothing_left.returncode == 2 and "--set fit.epochs=12" in nothing_left.stderr
    changed = cli("extend", short["run"], "--set", "fit.epochs=4", "--set", "fit.seed=3", "--json")
    assert changed.returncode == 3 and "fit.seed" in changed.stderr and not changed.stdout
    longer = answer(cli("extend", short["run"], "--set", "fit.epochs=4", "--json"))

    at_once = cli.submit(JOBS / "digits", *SMALL, "--set", "fit.epochs=4")
    assert (longer["status"], longer["extended_from"], longer["epochs"]) == ("SUCCEEDED", short["run"], 4)
    assert longer["run"] != short["run"] and longer["timing"]["submit_to_first_epoch_s"] > 0
    assert at_once["extended_from"] is None
    assert rows(cli, longer["run"]) == rows(cli, at_once["run"])
    assert (longer["best"], longer["test"]) == (at_once["best"], at_once["test"])
    ours, theirs = (keras.saving.load_model(run["model"]).get_weights() for run in (longer, at_once))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)
    log = read_events(RunPaths(Path(longer["storage"])).events)
    assert [event.epoch for event in log if isinstance(event, EpochEnd)] == [0, 1, 2, 3]
    assert [event.extends for event in log if isinstance(event, Extended)] == [short["run"]]
    assert files_of(short) == before  # it was only read

    named = answer(cli("tag", longer["run"], "production", "--json"))["tags"]
    assert [(each["name"], each["run"]) for each in named] == [("digits", longer["run"])]
    assert answer(cli("status", "digits:production", "--json"))["run"] == longer["run"]
    moved = cli("tag", short["run"], "production")
    assert moved.stdout == f"digits:production  {short['run']}\n" and longer["run"] in moved.stderr
    assert cli("delete", "digits:production", "-y").returncode == 2  # a tag keeps it

    fetched = answer(cli("fetch", "digits:production", "--output", tmp_path / "fetched", "--json"))
    assert fetched["model"] == str(tmp_path / "fetched/model.keras") and fetched["files"] > 8
    assert not (tmp_path / "fetched/checkpoints").exists() and (tmp_path / "fetched/logs").is_dir()
    assert cli("fetch", "digits:production", "--output", tmp_path / "fetched").returncode == 2
    exported = answer(cli("export", tmp_path / "fetched", "--format", "onnx", "--output", tmp_path / "onnx", "--json"))
    assert exported["largest_difference"] < 1e-5 and exported["of_data"] and exported["preprocessing"] == "inside"
    assert names_in(tmp_path / "onnx") == ["README.md", "model.onnx"]
    card = (tmp_path / "onnx/README.md").read_text()
    assert f"The model of run `{short['run']}`" in card  # to which the tag had moved
    assert "sklearn: digits" in card and "test: loss=" in card and "that of one process" in card

    answer(cli("tag", short["run"], "production", "--remove", "--json"))
    told = answer(cli("delete", short["run"], "--dry-run", "--json"))
    assert told["deleted"][0]["bytes"] > 10_000 and Path(short["storage"]).is_dir()
    answer(cli("delete", short["run"], "--yes", "--json"))
    assert not Path(short["storage"]).exists() and short["run"] not in cli("list", "--json").stdout


def test_a_job_is_tried_and_overfitted_before_it_is_trained(cli: Cli) -> None:
    known = names_in(cli.storage)
    tried = answer(cli("submit", JOBS / "digits", "--fast-dev-run", "--json", "--storage", cli.storage))
    assert (tried["status"], tried["fast_dev_run"], tried["storage"]) == ("SUCCEEDED", True, None)
    assert tried["rows"] == {"train": 32, "validation": 32, "test": 32} and tried["epochs"] == 1
    assert tried["test"] and "val_loss" in tried["metrics"]
    assert set(names_in(cli.storage)) <= {*known, "tags"} and tried["run"] not in cli("list", "--json").stdout

    fitted = cli.submit(
        JOBS / "digits", "--set", "fit.overfit_batches=2", "--set", "fit.epochs=3", "--set", "data.validation=0.2"
    )
    assert fitted["rows"] == {"train": 64, "validation": 64, "test": 0} and fitted["overfit_batches"] == 2
    assert fitted["steps_per_epoch"] == 2 and fitted["metrics"]["val_loss"] < fitted["metrics"]["loss"]
    assert "overfit    trained on the first 2 batches alone" in cli("status", fitted["run"]).stdout


@pytest.mark.thorough
def test_a_trial_of_a_job_whose_code_fails_leaves_nothing_either(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("def build_model():\n    return 1 / 0\n")
    (tmp_path / "job.yaml").write_text(
        "model: model.py:build_model\ncompile: {loss: mse}\n"
        "data: {train: {sklearn: digits}, features: image, label: digit}\n"
    )
    done = cli("submit", tmp_path, "--fast-dev-run", "--json", "--storage", tmp_path / "runs")

    assert done.returncode == 10 and "ZeroDivisionError" in done.stderr
    assert json.loads(done.stdout)["status"] == "FAILED" and names_in(tmp_path / "runs") == []


@pytest.mark.thorough
def test_digits_in_every_format(cli: Cli, tmp_path: Path) -> None:
    run = cli.submit(JOBS / "digits", *SMALL, "--set", "fit.epochs=1")["run"]
    for format in FORMATS:
        exported = answer(cli("export", run, "--format", format, "--json"))
        inside = "outside" if format == "weights" else "inside"
        assert (exported["preprocessing"], exported["of_data"], exported["rows"]) == (inside, True, 64), format
        assert exported["largest_difference"] < 1e-5 and exported["outputs"] == ["digit"], format
        assert Path(exported["artifact"]).parent.name == format and Path(exported["artifact"]).exists()
    again = cli("export", run, "--format", "keras")
    assert again.returncode == 2 and "--overwrite" in again.stderr
    assert cli("export", run, "--format", "keras", "--overwrite").returncode == 0
