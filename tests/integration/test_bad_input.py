"""Bad input gets a clear answer and the right exit code: each row of the list, through the command itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Cli

JOB = """
name: bad
model: model.py:build_model
compile: {optimizer: sgd, loss: binary_crossentropy}
data:
  train: {inline: {x: [0.0, 1.0, 2.0, 3.0], y: [0, 0, 1, 1]}}
  features: [x]
  label: y
fit: {epochs: 2, global_batch_size: 2}
scaling: {workers: 1}
"""
MODEL = """
import keras


def build_model():
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, activation="sigmoid")])
"""


def write_job(folder: Path, job: str = JOB, model: str = MODEL) -> Path:
    (folder / "job.yaml").write_text(job)
    (folder / "model.py").write_text(model)
    return folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(
            ("fit: {epochs", "fit: {epoch"), ["job.yaml:", "epoch", "did you mean `epochs`"], id="unknown key"
        ),
        pytest.param(("epochs: 2", "epochs: two"), ["job.yaml:", "fit.epochs", "two", "whole number"], id="wrong type"),
        pytest.param(("name: bad", "name: bad\nname: worse"), ["job.yaml:3", "name"], id="duplicate key"),
        pytest.param(("model.py:build", "other.py:build"), ["other.py", "model.py"], id="missing file"),
        pytest.param((":build_model", ":build_modle"), ["build_modle", "build_model"], id="missing function"),
        pytest.param(("label: y", "label: z"), ["data.label", "z", "y"], id="label column that does not exist"),
        pytest.param(("  features", "  validation: 0\n  features"), ["data.validation", "0"], id="fraction of 0"),
        pytest.param(("  features", "  validation: 1\n  features"), ["data.validation", "1"], id="fraction of 1"),
        pytest.param(("workers: 1", "workers: 3"), ["fit.global_batch_size", "2", "3"], id="batch below workers"),
        pytest.param(("workers: 1", "workers: 5"), ["scaling.workers", "5", "4"], id="more workers than rows"),
        pytest.param(
            ("workers: 1", "workers: 1, cpus_per_worker: 400"), ["400", "cpus_per_worker"], id="too many CPUs"
        ),
        pytest.param(
            ("size: 2}\nscaling: {workers: 1", "size: 4}\nscaling: {workers: 4, gpus_per_worker: 1"),
            ["GPU", "4", "2"],
            id="too many GPUs",
        ),
    ],
)
def test_what_can_be_known_before_is_refused_with_exit_code_3(
    change: tuple[str, str], said: list[str], cli: Cli, tmp_path: Path
) -> None:
    assert change[0] in JOB
    folder = write_job(tmp_path, JOB.replace(*change, 1))
    done = cli("submit", folder)
    assert done.returncode == 3, done.stderr
    assert done.stdout == ""
    text = " ".join(done.stderr.split())
    assert [word for word in said if word not in text] == [], done.stderr
    assert "Traceback" not in done.stderr


def test_1e_3_is_a_number(cli: Cli, tmp_path: Path) -> None:
    folder = write_job(tmp_path, JOB.replace("optimizer: sgd", "optimizer: {name: sgd, learning_rate: 1e-3}"))
    assert cli("validate", folder).returncode == 0


@pytest.mark.parametrize(
    ("job", "model", "reason", "said"),
    [
        pytest.param(
            JOB,
            MODEL.replace("return keras", "keras"),
            "user_code",
            {"file": "model.py", "message": "NoneType"},
            id="function that returns no model",
        ),
        pytest.param(
            JOB,
            MODEL.replace("    return", "    raise ValueError('no luck')\n    return"),
            "user_code",
            {"file": "model.py", "line": 6, "message": "no luck"},
            id="model that raises in build_model",
        ),
        pytest.param(
            JOB.replace("loss: binary_crossentropy", "loss: categorical_crossentropy"),
            MODEL.replace("Dense(1, activation", "Dense(3, activation"),
            "user_code",
            {"message": "shape"},
            id="loss that does not fit the label's shape",
        ),
        pytest.param(
            JOB.replace("optimizer: sgd", "optimizer: {name: sgd, learning_rate: 1e38}").replace(
                "loss: binary_crossentropy", "loss: mse"
            ),
            MODEL.replace(', activation="sigmoid"', ""),
            "diverged",
            {"message": "in epoch 1", "fix": "learning rate"},
            id="NaN loss",
        ),
        pytest.param(
            JOB.replace("optimizer: sgd", "optimizer: adamm"),
            MODEL,
            "spec_refused",
            {"field": "compile.optimizer", "message": "adamm", "fix": "Adam"},
            id="optimizer that Keras does not have",
        ),
        pytest.param(
            JOB.replace("fit:", "early_stopping: {monitor: acc, patience: 1}\nfit:"),
            MODEL,
            "spec_refused",
            {"field": "early_stopping.monitor", "message": "loss"},
            id="monitor that is no metric",
        ),
    ],
)
def test_what_shows_on_the_cluster_only_fails_the_run_with_exit_code_10(
    job: str, model: str, reason: str, said: dict[str, Any], cli: Cli, tmp_path: Path
) -> None:
    folder = write_job(tmp_path, job, model)
    done = cli("submit", folder, "--json", "--storage", cli.storage)
    assert done.returncode == 10, done.stderr
    result = json.loads(done.stdout)
    assert (result["status"], result["reason"]) == ("FAILED", reason), result["error"]
    assert result["restarts"] == 0
    for name, words in said.items():
        assert str(words) in str(result["error"][name]), (name, result["error"])
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) < 40
    if "file" in said:
        assert "model.py:" in cli("status", result["run"]).stdout


@pytest.mark.thorough
def test_storage_that_cannot_be_written_fails_the_run_and_says_so(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "job").mkdir()
    done = cli("submit", write_job(tmp_path / "job"), "--json", "--storage", tmp_path / "file" / "runs")
    assert done.returncode == 10, done.stderr
    result = json.loads(done.stdout)
    assert (result["status"], result["reason"]) == ("FAILED", "storage")
    assert str(tmp_path / "file" / "runs") in result["error"]["message"]


@pytest.mark.thorough
def test_an_upload_that_is_too_large_is_refused_and_names_the_file(cli: Cli, tmp_path: Path) -> None:
    folder = write_job(tmp_path)
    with (folder / "weights.bin").open("wb") as file:
        file.truncate(200 * 2**20)
    done = cli("submit", folder)
    assert done.returncode == 3, done.stderr
    assert "weights.bin" in done.stderr
    assert "exclude" in done.stderr


def test_a_cluster_that_cannot_be_reached_is_exit_code_4(cli: Cli, tmp_path: Path) -> None:
    done = cli("submit", write_job(tmp_path), "--address", "http://127.0.0.1:9")
    assert done.returncode == 4, done.stderr
    assert "127.0.0.1:9" in done.stderr
