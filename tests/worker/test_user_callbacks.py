"""Callbacks that write do so once; what a user has derived from one of them still acts on every rank."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from raytrain.run import events
from tests.worker.conftest import Pools
from tests.worker.test_one_answer import MLP, case

DERIVED = """
import os, json, pathlib
class Saves(keras.callbacks.ModelCheckpoint):
    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        self.model.optimizer.learning_rate = 0.1 / (epoch + 1)
class Logs(keras.callbacks.CSVLogger):
    def on_train_batch_end(self, batch, logs=None):
        rank = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
        with open(pathlib.Path({place!r}) / f"batches-{{rank}}", "a") as file:
            file.write(str(batch))
def callbacks():
    place = pathlib.Path({place!r})
    return [Saves(str(place / "last.keras")), Logs(str(place / "log.csv"))]
"""


def test_what_is_derived_from_a_writer_acts_on_every_rank_and_writes_on_one(pools: Pools, tmp_path: Path) -> None:
    model = MLP + DERIVED.format(place=str(tmp_path))
    tried = case(epochs=2, train=64, model=model, callbacks="model.py:callbacks")
    outcomes = pools(2).run(tried, tmp_path / "run")
    assert not outcomes[0].error, outcomes[0].error
    assert [round(rate, 6) for rate in outcomes[1].learning_rates] == [0.1, 0.05]
    assert [(tmp_path / f"batches-{rank}").read_text() for rank in (0, 1)] == ["01230123"] * 2
    assert (tmp_path / "last.keras").is_file()
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3


def test_a_csv_log_goes_on_after_a_restart(pools: Pools, tmp_path: Path) -> None:
    """Killed in the third epoch, after the row of the second was written and before its checkpoint."""
    log = tmp_path / "log.csv"
    callbacks = [{"CSVLogger": {"filename": str(log)}}]
    whole = case(epochs=4, callbacks=callbacks, checkpoint={"keep": 9})
    [undisturbed, _] = pools(2).run(whole, tmp_path / "run")
    assert not undisturbed.error, undisturbed.error
    rows = log.read_text()
    assert len(rows.splitlines()) == 5
    log.write_text("".join(rows.splitlines(keepends=True)[:3]))
    for epoch in range(1, 4):
        shutil.rmtree(tmp_path / f"run/checkpoints/epoch-{epoch:06d}")
    [resumed, _] = pools(2).run(whole, tmp_path / "run")
    assert not resumed.error, resumed.error
    assert log.read_text() == rows


def test_what_callbacks_may_do_in_plain_keras_ends_no_run(pools: Pools, tmp_path: Path) -> None:
    unusual = """
class Unusual(keras.callbacks.Callback):
    best_weights = "best.weights.h5"
    def on_epoch_end(self, epoch, logs=None):
        logs.update(phase="warm-up", nothing=None, rank_of_class=7)
def callbacks():
    return [Unusual()]
"""
    [outcome, _] = pools(2).run(case(epochs=2, model=MLP + unusual, callbacks="model.py:callbacks"), tmp_path)
    assert outcome.reason == "completed", outcome.error
    [first, _] = outcome.of(events.EpochEnd)
    assert first.metrics["rank_of_class"] == 7
    assert not {"phase", "nothing"} & set(first.metrics)


def test_ranks_keep_the_same_best_weights_though_a_callback_tells_them_different_values(
    pools: Pools, tmp_path: Path
) -> None:
    """Rank 0 sees its first epoch as the best, rank 1 its last; the test rows are the same model's on both."""
    telling = """
import os, json
class Tells(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        rank = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
        logs["val_mine"] = float(epoch if rank == 0 else -epoch)
def callbacks():
    return [Tells()]
"""
    rule = {"monitor": "val_mine", "mode": "min", "patience": 9, "restore_best": True}
    whole = case(epochs=3, model=MLP + telling, callbacks="model.py:callbacks", early_stopping=rule)
    plain = replace(whole, spec={"fit": whole.spec["fit"] | {"epochs": 1}}, model_py=MLP)
    [outcome, _] = pools(2).run(whole, tmp_path / "whole")
    [first, _] = pools(2).run(plain, tmp_path / "first")
    assert outcome.reason == "completed", outcome.error
    assert outcome.test == first.test


ASKING = """
import pathlib
class Asks(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        optimizer = self.model.optimizer
        with open(pathlib.Path({place!r}) / "asked", "a") as file:
            rate, done = optimizer.learning_rate, optimizer.iterations
            print(int(done), int(done.value), bool(done.value), float(rate), float(rate.value), file=file)
def callbacks():
    return [Asks()]
"""


def test_callbacks_take_variables_for_the_numbers_that_they_are_in_plain_keras(pools: Pools, tmp_path: Path) -> None:
    texts = []
    for workers in (0, 2):
        place = tmp_path / str(workers)
        place.mkdir()
        tried = case(epochs=1, train=64, model=MLP + ASKING.format(place=str(place)), callbacks="model.py:callbacks")
        outcomes = pools(workers).run(tried, place / "run")
        assert not outcomes[0].error, outcomes[0].error
        texts.append(sorted(set((place / "asked").read_text().splitlines())))
    assert texts[0] == texts[1]
    assert len(texts[0]) == 4
