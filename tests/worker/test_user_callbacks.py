"""Callbacks that write do so once; what a user has derived from one of them still acts on every rank."""

from __future__ import annotations

from pathlib import Path

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
