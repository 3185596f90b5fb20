"""What TensorBoard itself reads of what is written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from raytrain.driver.trackers.tensorboard_tracker import TensorBoardTracker
from tests.driver.trackers.tracked import FINISHED, TEST, Directory, epoch

Curve = list[tuple[int, float]]


def curves(folder: Path) -> dict[str, Curve]:
    """Every scalar of a folder, as TensorBoard shows it."""
    # A module of this name has TensorBoard do without TensorFlow, which takes many seconds to import.
    sys.modules.setdefault("tensorboard.compat.notf", ModuleType("notf"))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    read.Reload()
    return {tag: [(point.step, round(point.value, 6)) for point in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    return Directory(tmp_path)


def test_curves_of_train_and_validation_stand_in_one_chart(directory: Directory) -> None:
    tracker = TensorBoardTracker(directory.tracked())
    tracker.take(directory.add(*map(epoch, range(3)), TEST, FINISHED))
    tracker.close()
    folder = directory.paths.tensorboard
    train, validation = curves(folder / "train"), curves(folder / "validation")
    assert train["epoch_loss"] == [(0, 1.0), (1, 0.5), (2, 0.333333)]
    assert validation == {"epoch_loss": [(0, 2.0), (1, 1.0), (2, 0.666667)]}
    assert train["learning_rate"] == [(number, 0.1) for number in range(3)]
    assert curves(folder / "test") == {"test_loss": [(0, 0.5)]}


def test_the_spec_and_the_hyperparameters_are_there(directory: Directory) -> None:
    tracker = TensorBoardTracker(directory.tracked())
    tracker.take(directory.add(epoch(0), FINISHED))
    tracker.close()
    [file] = (directory.paths.tensorboard / "train").iterdir()
    assert b"units: 1" in file.read_bytes()
    [file] = (directory.paths.tensorboard / "hparams").iterdir()
    assert b"fit.global_batch_size" in file.read_bytes()
    assert curves(directory.paths.tensorboard / "hparams") == {"best_val_loss": [(0, 2.0)]}


def test_a_resumed_run_has_one_curve(directory: Directory) -> None:
    """Killed after epoch 3 with a checkpoint of epoch 1: what it trained since is trained again, to other values."""
    first = directory.tracked()
    before = TensorBoardTracker(first)
    before.take(directory.add(*map(epoch, range(4))))
    before.close()
    second = directory.tracked()
    second.state.update(first.state)
    after = TensorBoardTracker(second)
    after.take(directory.add(epoch(2, loss=7.0), epoch(3, loss=8.0), epoch(4, loss=9.0)))
    after.close()
    assert curves(directory.paths.tensorboard / "train")["epoch_loss"] == [
        *((0, 1.0), (1, 0.5), (2, 7.0), (3, 8.0), (4, 9.0))
    ]


def test_epochs_trained_again_by_one_driver_stand_once_too(directory: Directory) -> None:
    tracker = TensorBoardTracker(directory.tracked())
    tracker.take(directory.add(*map(epoch, range(3)), epoch(1, loss=7.0), epoch(2, loss=8.0)))
    tracker.close()
    loss = curves(directory.paths.tensorboard / "train")["epoch_loss"]
    assert loss == [(0, 1.0), (1, 7.0), (2, 8.0)]


def test_writing_imports_no_tensorflow() -> None:
    program = "import sys, tensorboardX; import raytrain.driver.trackers.__main__; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "False", done.stderr
