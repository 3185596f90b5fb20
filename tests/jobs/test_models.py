"""The jobs' models in plain Keras: sizes, what is frozen, and when augmentation acts."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from typing import Any

import h5py
import pytest

from tests.jobs.expectations import EXPECTED, JOBS, saved_weights

Found = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What `keras_probe` says of every job, from a process of its own."""
    scratch = tmp_path_factory.mktemp("probe")
    command = [sys.executable, "-m", "tests.jobs.keras_probe", str(JOBS), str(scratch)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=JOBS.parent, timeout=300)
    assert done.returncode == 0, done.stderr
    result: Found = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("name", EXPECTED)
def test_parameter_counts_are_those_expected_of_a_run(found: Found, name: str) -> None:
    assert found[name]["parameters"] == EXPECTED[name].parameters


@pytest.mark.parametrize("name", EXPECTED)
def test_saved_weights_finds_every_parameter(found: Found, name: str) -> None:
    assert found[name]["saved"] == EXPECTED[name].parameters


def test_binary_digits_compiles_itself_with_keras_default_optimizer(found: Found) -> None:
    assert found["binary_digits"]["optimizer"] == "RMSprop"


def test_augmentation_acts_in_training_only(found: Found) -> None:
    augmented = found["digits_augmented"]
    assert augmented["training_differs"]
    assert augmented["predict_repeats"]
    assert augmented["predict_is_plain"]


def test_transfer_freezes_all_but_its_head(found: Found) -> None:
    kernel = saved_weights(JOBS / "digits_transfer" / "base.keras")["layers/dense/vars/0"]
    assert found["digits_transfer"]["trainable"] == kernel.shape[1] + 1 == 65
    assert found["digits_transfer"]["parameters"] == 4_160 + 65


def test_base_model_is_small_and_carries_no_optimizer() -> None:

    path = JOBS / "digits_transfer" / "base.keras"
    assert path.stat().st_size < 60_000
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("config.json"))["compile_config"] in (None, {})
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
            assert "optimizer" not in file
