from __future__ import annotations

import json
import random
from collections import Counter, defaultdict, deque
from typing import Any

import keras
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from raytrain.errors import UserCodeError
from raytrain.worker.checkpoints.callback_state import NotPlain, decode, encode, given, restore, state_of


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -3,
        0.1,
        float("inf"),
        "text",
        [],
        [1, [2.5, None]],
        (1, (2,)),
        {"a": [1], 2: {"b": (3,)}, (1, 2): "tuple"},
        np.float32(0.1),
        np.int64(2**62),
        np.arange(6, dtype=np.float64).reshape(2, 3) / 7,
        np.array([], np.int8),
        np.array([1.5], ml_dtypes.bfloat16),
        np.array(["cat", "dog"]),
        np.array([b"cat"]),
        np.str_("cat"),
        np.array([1, 2], "timedelta64[s]"),
        [np.float32(0.1), {"x": np.array([True, False])}],
        deque([1, 2.5], maxlen=3),
        deque([[1]]),
        {1, 2},
        frozenset({"a"}),
    ],
)
def test_plain_values_come_back_the_same(value: Any) -> None:
    again = decode(json.loads(json.dumps(encode(value))))
    assert type(again) is type(value)
    assert repr(again) == repr(value)


ROW = np.array([(1, 2.0)], [("a", "i4"), ("b", "f4")])


@pytest.mark.parametrize(
    "value", [object(), {object()}, lambda: 0, [object()], {"a": object()}, np.array([object()]), ROW]
)
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(NotPlain):
        encode(value)


@pytest.mark.parametrize(
    ("source", "draw"),
    [
        (np.random.default_rng(3), lambda source: source.random()),
        (np.random.Generator(np.random.MT19937(3)), lambda source: source.random()),
        (np.random.RandomState(3), lambda source: source.normal()),
        (random.Random(3), lambda source: source.gauss()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_random_numbers_go_on_where_they_were(source: Any, draw: Any) -> None:
    draw(source)
    again = decode(json.loads(json.dumps(encode(source))))
    assert [draw(again) for _ in range(5)] == [draw(source) for _ in range(5)]


class Holding(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.counts: Any = defaultdict(int)
        self.names = Counter("ab")
        self.average = keras.Variable([1.0, 2.0])
        self.raw = tf.Variable(3)
        self.best_weights: Any = {"epoch": 1}


def test_dicts_of_a_kind_of_their_own_and_variables_keep_their_identity() -> None:
    saved, fresh = Holding(), Holding()
    saved.counts["seen"] += 2
    saved.names["c"] += 1
    saved.average.assign([5.0, 6.0])
    saved.raw.assign(7)
    saved.best_weights = {"epoch": 4}
    held = vars(fresh).copy()
    restore(fresh, through_json(state_of(saved)))
    assert (fresh.counts, fresh.names) == ({"seen": 2}, Counter("abc"))
    assert fresh.counts["new"] == 0
    assert (np.asarray(fresh.average).tolist(), int(fresh.raw), fresh.best_weights) == ([5.0, 6.0], 7, {"epoch": 4})
    for name in ("counts", "names", "average", "raw"):
        assert getattr(fresh, name) is held[name]


class Asking(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def get_state(self, environment: str) -> str:
        return environment

    def set_state(self, state: Any) -> None:
        raise AssertionError(state)


def test_methods_of_another_meaning_are_not_asked() -> None:
    saved, fresh = Asking(), Asking()
    saved.count = 3
    restore(fresh, through_json(state_of(saved)))
    assert fresh.count == 3


def test_a_number_that_is_none_comes_back_as_such() -> None:
    assert np.isnan(decode(json.loads(json.dumps(encode(float("nan"))))))


class Plain(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, list[float]] = {"losses": []}
        self.resource = object()


class Offering(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self, state: Any = None) -> None:
        super().__init__()
        self._state = state

    def get_state(self) -> Any:
        return self._state

    def set_state(self, state: Any) -> None:
        self._state = state


def through_json(state: dict[str, Any]) -> Any:
    return json.loads(json.dumps(state))


def test_plain_attributes_come_back_and_what_keras_sets_stays() -> None:
    before, after = Plain(), Plain()
    before.seen["losses"] += [0.5, 0.25]
    before.set_params({"epochs": 3})
    after.set_params({"epochs": 5})
    resource = after.resource
    restore(after, through_json(state_of(before)))
    assert after.seen == {"losses": [0.5, 0.25]}
    assert after.params == {"epochs": 5}
    assert after.resource is resource


def test_a_callback_that_offers_its_state_is_asked() -> None:
    after = Offering()
    restore(after, through_json(state_of(Offering({"count": [1, 2]}))))
    assert after.get_state() == {"count": [1, 2]}
    with pytest.raises(UserCodeError, match=r"Offering.get_state\(\) with a object"):
        state_of(Offering({object()}))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.callbacks.EarlyStopping("loss", patience=2, min_delta=0.1),
        lambda: keras.callbacks.ReduceLROnPlateau("loss", patience=2),
        lambda: keras.callbacks.ModelCheckpoint("best.keras", monitor="loss", save_best_only=True),
    ],
)
def test_keras_own_callbacks_come_back_as_they_were(make: Any) -> None:
    class Model:
        """Stands for a model, of which callbacks ask these."""

        stop_training = False
        optimizer = keras.optimizers.SGD(0.1)
        metrics: list[Any] = []  # noqa: RUF012

        def save(self, path: str, overwrite: bool) -> None:
            """Nothing is written."""

    before, after = make(), make()
    for callback in (before, after):
        callback.set_model(Model())
        callback.on_train_begin()
    for epoch, loss in enumerate((0.5, 0.3, 0.6)):
        before.on_epoch_begin(epoch)
        before.on_epoch_end(epoch, {"loss": loss})
    restore(after, through_json(state_of(before)))
    names = set(state_of(before))
    assert {name: getattr(after, name) for name in names} == {name: getattr(before, name) for name in names}
    assert after.best == 0.3


class Watches(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.rows = {"x": np.zeros((300, 70), np.float32), "y": [np.arange(300)]}
        self.matrix = np.zeros((100, 100))
        self.seen = np.zeros(3)


def test_rows_that_a_callback_was_made_with_are_left_out_until_they_change() -> None:
    callback = Watches()
    made_with = given(callback)
    callback.matrix[3, 4] = 1.0
    callback.seen = np.ones(3)
    state = state_of(callback, made_with=made_with)
    assert "rows" not in state
    again = Watches()
    restore(again, state)
    assert again.matrix[3, 4] == 1.0
    assert again.seen.tolist() == [1.0, 1.0, 1.0]
    callback.rows["x"] = np.zeros((70, 300), np.float32)
    assert "rows" in state_of(callback, made_with=made_with)


def test_checksums_are_of_many_numbers_alone() -> None:
    callback = keras.callbacks.Callback()
    callback.many, callback.few = np.zeros(10**5, ml_dtypes.bfloat16)[::2], np.zeros(3)
    callback.mixed, callback.objects = [np.zeros(10**5), "text"], np.array([object()] * 10**5)
    callback.none, callback.empty = None, [np.zeros((0, 4))]
    assert list(given(callback)) == ["many"]
