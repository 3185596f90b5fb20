"""Worker processes that are killed, callbacks that are interrupted, losses that are no numbers: rows 1, 2, 8 and 9.

The groups are real processes with real collectives (see `crew`); the same rows are held on a Ray cluster beside it.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raytrain.run.run_status import Reason
from raytrain.worker.checkpoints import checkpoint
from tests.chaos.crew import Crew, Training
from tests.chaos.table import found, points
from tests.worker.pool import Case
from tests.worker.test_one_answer import rows

WORKERS, EPOCHS, STEPS = 2, 4, 4
EVERY_STEPS = 2
STEP_S = 0.05

# Steps of a known length, so that a checkpoint is on the disk before the next step ends, as in real trainings.
MODEL = f"""
import time
import keras
def build_model():
    model = keras.Sequential([
        keras.Input((6,)),
        keras.layers.Dense(16, activation="tanh"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(1, activation="sigmoid"),
    ])
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy", "AUC"])
    return model
class Slow(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        time.sleep({STEP_S})
"""
PLAIN = MODEL + "def callbacks():\n    return [Slow()]\n"
DECIDING = (
    MODEL.replace("Adam(0.01)", "Adam(0.3)")
    + """
def callbacks():
    return [
        Slow(),
        keras.callbacks.ReduceLROnPlateau("val_loss", patience=0, factor=0.5, min_delta=0.01),
        keras.callbacks.EarlyStopping("val_loss", patience=2, min_delta=0.001, restore_best_weights=True),
    ]
"""
)


def case(*, model: str = PLAIN, epochs: int = EPOCHS, **spec: Any) -> Case:
    fit = {"epochs": epochs, "global_batch_size": 16}
    splits = {"train": rows(16 * STEPS), "validation": rows(19, 2), "test": rows(23, 3)}
    return Case(model_py=model, spec={"fit": fit, "callbacks": "model.py:callbacks", **spec}, splits=splits)


def undisturbed(crew: Crew, case: Case, root: Path) -> Training:
    whole = crew.train(case, root, groups=1)
    assert whole.last.reason, whole.last.lost
    return whole


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("every_steps", [None, EVERY_STEPS])
def test_a_worker_killed_at_any_step(every_steps: int | None, crew: Crew, tmp_path: Path) -> None:
    tried = case(checkpoint={"keep": 2, "every_steps": every_steps})
    whole = undisturbed(crew, tried, tmp_path / "whole")
    everywhere = [
        (rank, epoch, step) for rank in range(WORKERS) for epoch in range(EPOCHS) for step in range(STEPS + 1)
    ]
    few = [(1, 2, 1)] if every_steps is None else [(0, 1, 3)]
    same, repeated = 0, []
    killed = points(few, everywhere)
    for rank, epoch, step in killed:
        root = tmp_path / f"{rank}-{epoch}-{step}"
        run = crew.train(tried, root, faults=[f"rank={rank},epoch={epoch},step={step},kind=kill"])
        assert [group.lost for group in run.groups] == [[rank], []], run.groups
        done, within = run.last.restored or (0, 0)
        repeated.append((epoch * STEPS + step) - (done * STEPS + within))
        same += run.equals(whole)
        shutil.rmtree(root)
    how = "" if every_steps is None else f", every_steps: {every_steps}"
    found(1, f"{same}/{len(killed)} kills bit-equal{how}", held=same == len(killed))
    most = every_steps or STEPS
    found(
        2,
        f"at most {max(repeated)} steps again after {len(killed)} kills{how or f', {STEPS} steps an epoch'}"
        f" (steps of {STEP_S * 1000:.0f} ms)",
        held=max(repeated) <= most,
        binds="a checkpoint is written beside the training, and was not on the disk yet",
    )


@pytest.mark.timeout(900)
def test_callbacks_that_decide_go_on_where_they_were(crew: Crew, tmp_path: Path) -> None:
    tried = case(model=DECIDING, epochs=12)
    whole = undisturbed(crew, tried, tmp_path / "whole")
    epochs = len(whole.history)
    rates = [row["learning_rate"] for row in whole.history.values()]
    assert whole.last.reason == Reason.STOPPED_BY_CALLBACK
    assert 3 <= epochs < 12 and len(set(rates)) > 1, "the case is to stop early and to lower its rate"
    at_each = [f"rank={epoch % WORKERS},epoch={epoch},step=1,kind=kill" for epoch in range(epochs)]
    run = crew.train(tried, tmp_path / "run", faults=at_each)
    assert len(run.groups) == epochs + 1
    last = len(run.history) == epochs
    same = [row["learning_rate"] for row in run.history.values()] == rates
    found(
        8,
        f"one run interrupted in each of its {epochs} epochs: last epoch {'the same' if last else 'another'},"
        f" learning rates {'the same' if same else 'others'}, end {'bit-equal' if run.equals(whole) else 'another'}",
        held=last and same and run.equals(whole),
    )


@pytest.mark.timeout(900)
def test_a_loss_that_is_no_number_can_be_gone_on_from(crew: Crew, tmp_path: Path) -> None:
    tried = case()
    whole = undisturbed(crew, tried, tmp_path / "whole")
    diverged = same = 0
    epochs = points([1], list(range(EPOCHS)))
    for epoch in epochs:
        root = tmp_path / str(epoch)
        spoilt = crew.train(tried, root, faults=[f"rank=1,epoch={epoch},step=2,kind=nan"], groups=1)
        diverged += spoilt.groups[0].reason == Reason.DIVERGED
        kept = [checkpoint.read(path) for path in (root / "checkpoints").glob("epoch-*")]
        assert all(np.isfinite(array).all() for snapshot in kept for array in snapshot.variables)
        resumed = crew.train(tried, root, groups=1)
        same += Training(groups=[*spoilt.groups, resumed.last]).equals(whole)
    every = len(epochs)
    found(
        9, f"{diverged}/{every} diverged, {same}/{every} resumed to the bit-equal end", held=diverged == same == every
    )


def test_weights_that_are_no_numbers_behind_a_loss_that_is_one(crew: Crew, tmp_path: Path) -> None:
    """A relu makes 0 of NaN: the loss stays finite over weights that are lost for good."""
    tried = case(model=PLAIN.replace("tanh", "relu"))
    features, labels = tried.splits["train"]
    spoilt = features.copy()
    spoilt[5, 0] = np.nan
    tried = replace(tried, splits=tried.splits | {"train": (spoilt, labels)})
    run = crew.train(tried, tmp_path / "run", groups=1)
    finite = all(np.isfinite(weight).all() for weight in run.last.weights)
    found(
        9,
        f"a NaN among the rows, behind a relu: ended as {run.last.reason},"
        f" its model's weights {'are finite or not saved' if finite else 'are NaN'}",
        held=run.last.reason == Reason.DIVERGED,
        binds="only the loss is looked at",
    )
