"""Checks of whole jobs: plain Keras and workers in real processes, none of which is there afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from raytrain.check_protocol import MODULE, Quantity, Verdict
from raytrain.client.check import check
from raytrain.errors import SpecError, UsageError, UserCodeError
from tests.conftest import MakeFolder
from tests.worker.proof.couplings import COUPLED

JOBS = Path(__file__).parents[2] / "jobs"
JOB = """\
name: checked
model: model.py:build_model
data: {train: {python: data.py:load}, validation: 0.2, features: x, label: y}
fit: {global_batch_size: 32}
"""
DATA = """\
import numpy as np

def load():
    draws = np.random.default_rng(0)
    x = draws.normal(size=(129, 4)).astype("float32")
    return {"x": x, "y": (x @ draws.normal(size=(4, 1)) > 0).astype("float32")}
"""
NORMALISED = """\
import keras

def build_model():
    inputs = keras.Input((4,), name="x")
    x = keras.layers.BatchNormalization()(keras.layers.Dense(8)(inputs))
    x = keras.layers.Dropout(0.5)(keras.layers.Activation("tanh")(x))
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x))
    model.compile(optimizer="adam", loss="binary_crossentropy")
    return model

def callbacks():
    return [keras.callbacks.CSVLogger("log.csv")]
"""
LAYERS = """\
name: checked
model:
  layers:
    - Input: {shape: [4]}
    - Dense: {units: 3, activation: softmax}
compile:
  optimizer: sgd
  loss: sparse_categorical_crossentropy
  metrics: [accuracy]
callbacks:
  - EarlyStopping: {monitor: loss}
data:
  train: {sklearn: iris}
fit:
  class_weight: {0: 1.0, 2: 2.0}
"""


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    assert processes_of(os.getpid()) == []


def processes_of(pid: int) -> list[psutil.Process]:
    """Those of checks that a process has started."""
    return [each for each in psutil.Process(pid).children(recursive=True) if MODULE in each.cmdline()]


@pytest.mark.processes
def test_a_job_of_kerass_parts_gives_the_answer_of_one() -> None:
    report = check(JOBS / "digits", steps=3)
    assert report.is_equal
    assert report.comparison.steps == 3
    assert report.comparison.rows == {"train": 93, "validation": 84, "test": 84}  # the last batch as an epoch's last
    names = {each.name for each in report.comparison.quantities}
    assert names >= {"loss", "accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy"}
    assert len([each for each in report.comparison.quantities if each.kind == "gradient"]) == 4
    assert report.comparison.largest is not None
    assert report.comparison.largest < 1e-5
    assert (report.warnings, report.comparison.set_aside) == ((), ())


@pytest.mark.processes
def test_rows_that_lean_on_each_other_are_found_and_what_differs_is_named(make_folder: MakeFolder) -> None:
    folder = make_folder({"job.yaml": JOB, "data.py": DATA, "model.py": COUPLED["step: pairs"]})
    report = check(folder)
    assert report.verdict is Verdict.DIFFERS
    assert named(report.comparison.quantities, Verdict.DIFFERS) >= {"dense/kernel", "dense/bias"}
    assert any("2 workers do not give the answer of one" in warning for warning in report.warnings)


@pytest.mark.processes
@pytest.mark.thorough
def test_noise_is_no_difference_and_the_jobs_folder_is_left_as_it_is(make_folder: MakeFolder) -> None:
    """Three workers, with rows that Ray reads, a bias whose gradient is noise, and what is set aside."""
    rows = "\n".join(f"{row / 7 % 1:.3f},{row / 3 % 1:.3f},{row % 5},{row % 3},{row % 2}" for row in range(150))
    of_csv = JOB.replace("{python: data.py:load}", "{csv: rows.csv}").replace(
        "features: x", "features: {x: [a, b, c, d]}"
    )
    files = {"job.yaml": of_csv + "callbacks: model.py:callbacks\n", "rows.csv": f"a,b,c,d,y\n{rows}\n"}
    folder = make_folder({**files, "model.py": NORMALISED})
    before = sorted(folder.iterdir())
    report = check(folder, workers=3)
    assert report.is_equal, report
    assert "dense/bias" in named(report.comparison.quantities, Verdict.NOISE)
    assert report.comparison.set_aside == ("BatchNormalization", "dropout")
    assert sorted(folder.iterdir()) == before


@pytest.mark.processes
@pytest.mark.parametrize(
    ("right", "wrong", "line", "field", "got", "fix"),
    [
        ("sparse_categorical_", "sparse_categoricl_", 8, "compile.loss", "`sparse_categoricl_crossentropy`", "sparse_"),
        *(
            pytest.param(*case, marks=pytest.mark.thorough)
            for case in [
                ("monitor:", "monitr:", 11, "callbacks.0", "EarlyStopping with {'monitr': 'loss'}", ""),
                ("[4]", "[5]", 12, "data.features", "features, rows of shape (4,)", "Input"),
                ("2: 2.0", "12: 2.0", 15, "fit.class_weight", "a weight of class 12", ""),
            ]
        ),
    ],
)
def test_what_only_keras_knows_is_refused_by_field_and_line(
    right: str, wrong: str, line: int, field: str, got: str, fix: str, make_folder: MakeFolder
) -> None:
    assert right in LAYERS
    folder = make_folder({"job.yaml": LAYERS.replace(right, wrong)})
    with pytest.raises(SpecError) as refused:
        check(folder)
    [problem] = refused.value.problems
    assert (problem.file, problem.line, problem.field) == (str(folder / "job.yaml"), line, field)
    assert problem.got == got
    assert fix in problem.fix


@pytest.mark.processes
@pytest.mark.thorough
@pytest.mark.parametrize(
    ("lines", "got"),
    [
        ("import os; print('leaving'); os._exit(3)", r"exit code 3\), building the model; its last words: leaving"),
        ("import os; os.abort()", r"SIGABRT\), building the model"),
        ("while True: pass", r"has not come on for 20 s, building the model"),
        ("import os; assert 'TF_CONFIG' not in os.environ, 'workers'", "AssertionError: workers"),
    ],
)
def test_code_that_crashes_or_hangs_ends_the_check(lines: str, got: str, make_folder: MakeFolder) -> None:
    model = NORMALISED.replace("    inputs =", f"    {lines}\n    inputs =")
    job = JOB + ("watchdog: {setup: 20}\n" if "while" in lines else "")
    folder = make_folder({"job.yaml": job, "data.py": DATA, "model.py": model})
    with pytest.raises(UserCodeError, match=got) as failed:
        check(folder)
    [problem] = failed.value.problems
    assert (problem.file, problem.line) == (("", 0) if "_exit" in lines else ("model.py", 4))
    is_of_workers = "TF_CONFIG" in lines
    assert ("each worker" if is_of_workers else "plain Keras") in problem.expected


@pytest.mark.processes
@pytest.mark.thorough
@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_command(signal_: signal.Signals) -> None:
    command = subprocess.Popen(
        [sys.executable, "-m", "raytrain", "check", str(JOBS / "digits")], stderr=subprocess.PIPE
    )
    while len(started := processes_of(command.pid)) < 4:
        assert command.poll() is None
        time.sleep(0.05)
    os.kill(command.pid, signal_)
    command.communicate()
    assert command.returncode == (130 if signal_ is signal.SIGINT else -signal_)
    while any(map(is_running, started)):  # the test's own limit ends it
        time.sleep(0.05)


def is_running(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_no_step_is_refused() -> None:
    with pytest.raises(UsageError, match="got 0 steps"):
        check(JOBS / "digits", steps=0)


def named(quantities: tuple[Quantity, ...], verdict: Verdict) -> set[str]:
    return {each.name for each in quantities if each.verdict is verdict}
