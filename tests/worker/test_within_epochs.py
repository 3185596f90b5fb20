"""Checkpoints within an epoch: a training cut at any of them ends as if never cut, to the bit."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raytrain import protocol
from raytrain.run import events
from raytrain.worker.checkpoints.checkpoint import CheckpointName
from tests.worker.conftest import Pools
from tests.worker.pool import Case, Outcome
from tests.worker.test_one_answer import MLP, assert_same, case

STATEFUL = MLP.replace(
    "keras.layers.Dense(1,", "keras.layers.BatchNormalization(), keras.layers.Dropout(0.3), keras.layers.Dense(1,"
)
WATCHFUL = """
class Watch(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.begun, self.losses = [], {{"seen": []}}
    def on_epoch_begin(self, epoch, logs=None):
        self.begun.append(epoch)
        self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) * 0.9
    def on_train_batch_end(self, batch, logs=None):
        self.losses["seen"].append((batch, logs["loss"]))
    def on_train_end(self, logs=None):
        import json, os, pathlib
        rank = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
        pathlib.Path({place!r}, f"{{rank}}.json").write_text(json.dumps([self.begun, self.losses]))
class Offering(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self._batches = object()
        self.count = 0
    def on_train_batch_end(self, batch, logs=None):
        self.count += 1
    def on_epoch_end(self, epoch, logs=None):
        logs["batches"] = float(self.count)
    def get_state(self):
        return {{"count": [self.count]}}
    def set_state(self, state):
        [self.count] = state["count"]
def callbacks():
    return [Watch(), Offering(), keras.callbacks.ReduceLROnPlateau("loss", patience=0, min_delta=1.0, factor=0.5)]
"""


def watched(place: Path, every: int = 1) -> Case:
    place.mkdir(parents=True, exist_ok=True)
    return case(
        epochs=3,
        train=77,
        model=STATEFUL + WATCHFUL.format(place=str(place)),
        callbacks="model.py:callbacks",
        checkpoint={"keep": 99, "every_steps": every},
    )


def cut_at(whole: Path, root: Path, place: Path) -> None:
    """The run directory as a kill right after the checkpoint `place` would have left it."""
    last = CheckpointName.parse(place.name)
    assert last is not None
    for saved in (whole / "checkpoints").iterdir():
        found = CheckpointName.parse(saved.name)
        if found is not None and found <= last:
            shutil.copytree(saved, root / "checkpoints" / saved.name)


def assert_goes_on(resumed: Outcome, undisturbed: Outcome) -> None:
    assert not resumed.error, resumed.error
    epochs = len(undisturbed.history) - len(resumed.history)
    resumed.history = undisturbed.history[:epochs] + resumed.history
    assert_same(resumed, undisturbed, tolerance=0)


@pytest.mark.parametrize(("workers", "each"), [(2, 2), (1, 4), (3, 3)])
def test_a_run_cut_after_a_step_ends_as_if_never_cut(workers: int, each: int, pools: Pools, tmp_path: Path) -> None:
    """Cut after every `each`-th step; `make chaos` kills at all of them."""
    whole = watched(tmp_path / "seen")
    undisturbed = pools(workers).run(whole, tmp_path / "whole")[0]
    assert not undisturbed.error, undisturbed.error
    seen = {path.name: path.read_text() for path in (tmp_path / "seen").iterdir()}
    assert len(seen) == workers
    places = sorted(
        (tmp_path / "whole/checkpoints").iterdir(),
        key=lambda path: CheckpointName.parse(path.name) or CheckpointName(0),
    )
    assert len(places) == 15  # 5 steps an epoch
    for place in places[:-1:each]:
        cut_at(tmp_path / "whole", tmp_path / place.name, place)
        outcomes = pools(workers).run(whole, tmp_path / place.name)
        assert_goes_on(outcomes[0], undisturbed)
        [goes_on] = outcomes[0].of(protocol.GoesOn)
        restored = goes_on.restored
        assert restored.path.endswith(place.name)
        assert goes_on.reports == undisturbed.of(events.EpochEnd)[: restored.epoch + 1]
        now = {path.name: path.read_text() for path in (tmp_path / "seen").iterdir()}
        if restored.step or workers == 1:  # at an epoch's end all ranks get the chief's, which saw its own batches
            assert now == seen


# Notes every chunk that is gathered for training; a layer that sleeps makes steps as long as one likes.
PACED = """
import functools, json, os, pathlib, time
import keras, tensorflow as tf
from raytrain.worker.feed import Feed
RANK = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
@keras.saving.register_keras_serializable()
class Sleep(keras.layers.Layer):
    def call(self, x, training=False):
        if training and {step_s}:
            with tf.control_dependencies([tf.numpy_function(functools.partial(time.sleep, {step_s}), [], [])]):
                x = tf.identity(x)
        return x
class Chunks(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self._gather, self._seen = Feed._gather, []
        def gather(feed, reading, first, steps):
            if feed.most_chunk_steps is not None:
                self._seen.append((first, steps))
            return self._gather(feed, reading, first, steps)
        Feed._gather = gather
    def on_train_end(self, logs=None):
        Feed._gather = self._gather
        pathlib.Path({place!r}, f"{{RANK}}.json").write_text(json.dumps(self._seen))
def callbacks():
    return [Chunks()]
"""
LONG = 16 * 80 + 3


def paced(place: Path, step_s: float, **more: Any) -> Case:
    place.mkdir(parents=True, exist_ok=True)
    model = PACED.format(place=str(place), step_s=step_s) + STATEFUL.replace(
        "keras.Input((6,)),", "keras.Input((6,)), Sleep(),"
    )
    return case(model=model, callbacks="model.py:callbacks", **more)


def chunks_seen(place: Path, workers: int) -> list[list[int]]:
    """(first step, steps) of every chunk of the training, which is the same on every rank."""
    seen = [json.loads((place / f"{rank}.json").read_text()) for rank in range(workers)]
    assert all(chunks == seen[0] for chunks in seen)
    return seen[0]  # type: ignore[no-any-return]


def steps_saved(root: Path) -> list[int]:
    places = [CheckpointName.parse(path.name) for path in (root / "checkpoints").iterdir()]
    return sorted(place.step for place in places if place is not None)


@pytest.mark.parametrize("workers", [2, 1])
def test_short_steps_are_run_many_at_a_time_from_the_first_epoch_on(workers: int, pools: Pools, tmp_path: Path) -> None:
    tried = paced(tmp_path / "seen", 0.0, train=LONG, epochs=2)
    outcomes = pools(workers).run(tried, tmp_path / "run")
    assert not any(outcome.error for outcome in outcomes), outcomes[0].error
    chunks = chunks_seen(tmp_path / "seen", workers)
    assert chunks[0] == [0, 1]
    first_epoch = chunks[: [first for first, _ in chunks].index(0, 1)]
    assert max(steps for _, steps in first_epoch) > 8
    assert len(first_epoch) < 20


def test_long_steps_are_left_often_and_alike_on_all_ranks(pools: Pools, tmp_path: Path) -> None:
    tried = replace(paced(tmp_path / "seen", 0.12, train=LONG, epochs=1), asks={4: "stop"})
    outcomes = pools(2).run(tried, tmp_path / "run")
    assert {outcome.reason for outcome in outcomes} == {"stopped_by_user"}, outcomes[0].error
    [stop] = outcomes[0].of(events.TrainingEnded)
    assert stop.step < 20
    assert max(steps for _, steps in chunks_seen(tmp_path / "seen", 2)) <= 2


@pytest.mark.parametrize("workers", [2, 1])
def test_how_many_steps_are_run_at_a_time_changes_no_bit(workers: int, pools: Pools, tmp_path: Path) -> None:
    tried = case(train=LONG, epochs=2, model=STATEFUL)
    found = pools(workers).run(tried, tmp_path / "auto")[0]
    for chosen in (2, 7):
        model = STATEFUL.replace("model.compile(", f"model.compile(steps_per_execution={chosen}, ")
        other = pools(workers).run(case(train=LONG, epochs=2, model=model), tmp_path / str(chosen))[0]
        assert_same(other, found, tolerance=0)


def test_a_training_cut_while_its_chunks_grow_ends_as_if_never_cut(pools: Pools, tmp_path: Path) -> None:
    whole = paced(tmp_path / "seen", 0.02, train=16 * 60 + 3, epochs=1, checkpoint={"keep": 99, "every_steps": 7})
    undisturbed = pools(2).run(whole, tmp_path / "whole")[0]
    assert not undisturbed.error, undisturbed.error
    assert steps_saved(tmp_path / "whole") == [0, *range(7, 60, 7)]
    for step in (7, 28):
        name = f"epoch-000000-step-{step:06d}"
        cut_at(tmp_path / "whole", tmp_path / name, Path(name))
        assert_goes_on(pools(2).run(whole, tmp_path / name)[0], undisturbed)


def test_chosen_steps_a_call_that_do_not_divide_those_between_checkpoints(pools: Pools, tmp_path: Path) -> None:
    model = STATEFUL.replace("model.compile(", "model.compile(steps_per_execution=4, ")
    whole = case(epochs=1, train=16 * 22 + 3, model=model, checkpoint={"keep": 99, "every_steps": 10})
    undisturbed = pools(2).run(whole, tmp_path / "whole")[0]
    assert not undisturbed.error, undisturbed.error
    assert steps_saved(tmp_path / "whole") == [
        0,
        8,
        16,
    ]  # a kill repeats 8 steps, no more than the 10 that were asked for
    cut_at(tmp_path / "whole", tmp_path / "cut", Path("epoch-000000-step-000016"))
    assert_goes_on(pools(2).run(whole, tmp_path / "cut")[0], undisturbed)


def test_chunks_end_where_a_checkpoint_is_due(pools: Pools, tmp_path: Path) -> None:
    whole = case(epochs=2, train=16 * 40 + 3, model=STATEFUL, checkpoint={"keep": 99, "every_steps": 12})
    [undisturbed, _] = pools(2).run(whole, tmp_path / "whole")
    assert not undisturbed.error, undisturbed.error
    names = {path.name for path in (tmp_path / "whole/checkpoints").iterdir()}
    assert names == {
        *(f"epoch-{epoch:06d}-step-{step:06d}" for epoch in (0, 1) for step in (12, 24, 36)),
        *(f"epoch-{epoch:06d}" for epoch in (0, 1)),
    }
    for name in ("epoch-000000-step-000024", "epoch-000001-step-000036"):
        cut_at(tmp_path / "whole", tmp_path / name, Path(name))
        assert_goes_on(pools(2).run(whole, tmp_path / name)[0], undisturbed)


@pytest.mark.parametrize(("workers", "batch"), [(2, 8), (1, 16)])
def test_another_number_of_workers_or_steps_goes_on_from_the_epochs_end(
    workers: int, batch: int, pools: Pools, tmp_path: Path
) -> None:
    whole = case(epochs=2, checkpoint={"keep": 99, "every_steps": 1})
    pools(2).run(whole, tmp_path / "whole")
    cut_at(tmp_path / "whole", tmp_path / "cut", Path("epoch-000001-step-000004"))
    other = case(epochs=2, batch=batch, checkpoint={"keep": 99, "every_steps": 1})
    outcome = pools(workers).run(other, tmp_path / "cut")[0]
    assert not outcome.error, outcome.error
    restored = outcome.of(protocol.GoesOn)
    assert [(message.restored.epoch, message.restored.step) for message in restored] == [(0, 0)]
    assert len(outcome.history) == 1


def test_checkpoints_by_time_are_taken_within_an_epoch(pools: Pools, tmp_path: Path) -> None:
    whole = case(epochs=1, train=16 * 400, model=STATEFUL, checkpoint={"keep": 99, "every_seconds": 0.001})
    [chief, _] = pools(2).run(whole, tmp_path / "whole")
    assert not chief.error, chief.error
    within = [path for path in (tmp_path / "whole/checkpoints").iterdir() if "-step-" in path.name]
    assert within
    cut_at(tmp_path / "whole", tmp_path / "cut", within[0])
    assert_goes_on(pools(2).run(whole, tmp_path / "cut")[0], chief)


@pytest.mark.parametrize("workers", [2, 1])
def test_a_stop_is_acted_on_within_the_epoch_and_resumed_to_the_bit(workers: int, pools: Pools, tmp_path: Path) -> None:
    whole = watched(tmp_path / "seen", every=99)
    undisturbed = pools(workers).run(whole, tmp_path / "whole")[0]
    stopped = pools(workers).run(replace(whole, asks={7: "stop"}), tmp_path / "stopped")
    assert {outcome.reason for outcome in stopped} == {"stopped_by_user"}, stopped[0].error
    [stop] = stopped[0].of(events.TrainingEnded)
    assert (stop.epoch, stop.step) == (1, 2)  # four questions within the first epoch, one at its end, two more
    assert (tmp_path / "stopped/model.keras").exists()
    assert not stopped[0].test
    assert (tmp_path / "stopped/checkpoints/epoch-000001-step-000002").exists()
    assert_goes_on(pools(workers).run(whole, tmp_path / "stopped")[0], undisturbed)


def test_a_resize_waits_for_the_epochs_end(pools: Pools, tmp_path: Path) -> None:
    whole = case(epochs=3, model=STATEFUL)
    asked = replace(whole, asks=dict.fromkeys(range(1, 99), "resize"))
    outcomes = pools(2).run(asked, tmp_path)
    assert {outcome.reason for outcome in outcomes} == {"resize"}, outcomes[0].error
    assert len(outcomes[0].history) == 1
    assert not (tmp_path / "model.keras").exists()
    [outcome] = pools(1).run(whole, tmp_path)
    assert (outcome.reason, len(outcome.history)) == ("completed", 2), outcome.error


def test_a_loss_that_is_no_number_ends_the_epoch_on_all_ranks_at_the_same_step(pools: Pools, tmp_path: Path) -> None:
    tried = watched(tmp_path / "seen", every=2)
    outcomes = pools(2).run(replace(tried, fault="rank=1,epoch=1,step=2,kind=nan"), tmp_path / "run")
    assert [outcome.reason for outcome in outcomes] == ["diverged"] * 2, outcomes[0].error
    [stop] = outcomes[0].of(events.TrainingEnded)
    assert (stop.epoch, stop.step) == (1, 3)
    assert "step 3 of epoch 2" in stop.message
    newest = max(path.name for path in (tmp_path / "run/checkpoints").iterdir())
    assert newest == "epoch-000001-step-000002"


@pytest.mark.parametrize("rate", ["0.01", "keras.optimizers.schedules.CosineDecay(0.01, 100)"])
def test_a_fall_back_goes_on_from_the_last_finite_checkpoint_at_a_lower_rate(
    rate: str, pools: Pools, tmp_path: Path
) -> None:
    model = MLP.replace('"learning_rate": 0.01', f'"learning_rate": {rate}')
    tried = case(epochs=3, model=model, divergence={"action": "fall_back", "learning_rate_factor": 0.25, "max": 1})
    plain = pools(2).run(tried, tmp_path / "plain")[0]
    assert not plain.error, plain.error
    faulty = replace(tried, fault="rank=0,epoch=1,step=0,kind=nan")
    outcomes = pools(2).run(faulty, tmp_path / "run")
    assert [outcome.reason for outcome in outcomes] == ["fall_back"] * 2, outcomes[0].error
    again = pools(2).run(replace(faulty, fall_backs=1), tmp_path / "run")[0]
    assert (again.reason, len(again.history)) == ("completed", 2), again.error
    expected = [rate * 0.25 for rate in plain.learning_rates[1:]]
    np.testing.assert_allclose(again.learning_rates, expected, rtol=1e-6)
    thrice = replace(faulty, spec=faulty.spec | {"fit": faulty.spec["fit"] | {"epochs": 4}}, fall_backs=1)
    later = pools(2).run(thrice, tmp_path / "run")[0]
    assert not later.error, later.error
    assert later.learning_rates[-1] <= expected[0] * 1.0001


def test_a_divergence_after_the_last_fall_back_is_one(pools: Pools, tmp_path: Path) -> None:
    tried = case(epochs=3, divergence={"action": "fall_back", "max": 1})
    tried = replace(tried, fault="rank=0,epoch=1,step=0,kind=nan", fall_backs=1)
    assert pools(2).run(tried, tmp_path)[0].reason == "diverged"


def test_a_rank_that_stops_as_an_epoch_begins_stops_all(pools: Pools, tmp_path: Path) -> None:
    stopper = """
import os, json
class Stop(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        rank = json.loads(os.environ.get("TF_CONFIG", '{"task": {"index": 1}}'))["task"]["index"]
        if rank == 1 and epoch == 1:
            self.model.stop_training = True
def callbacks():
    return [Stop()]
"""
    tried = case(epochs=5, train=16 * 80, model=MLP + stopper, callbacks="model.py:callbacks")
    outcomes = pools(2).run(tried, tmp_path / "two")
    assert_same(outcomes[0], pools(0).run(tried, tmp_path / "plain")[0], tolerance=4e-5)
    assert [outcome.reason for outcome in outcomes] == ["stopped_by_callback"] * 2, outcomes[0].error
    assert [len(outcome.history) for outcome in outcomes] == [2, 2]
