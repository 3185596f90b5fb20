"""Which layers a model has of a saved one, and which it leaves alone."""

from __future__ import annotations

import keras
import pytest

from raytrain.errors import UserCodeError
from raytrain.worker.init_weights import SavedLayers, freeze, initialised

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def saved() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, name="conv1"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Dense(2, name="head"),
        ],
        name="base",
    )


def test_what_is_taken_left_and_of_another_shape() -> None:
    base = saved()
    layers = SavedLayers.of(base)
    features = base.layers[1].output
    own = keras.layers.Dense(5, name="own")(features)
    model = keras.Model(base.inputs, keras.layers.Dense(7, name="head")(own))
    freeze(model, ["conv*", "norm"])

    told = initialised(model, layers)

    assert (told.taken, told.left, told.other_shape) == (["conv1", "norm"], ["own", "head"], ["head"])
    assert told.frozen == ["conv1", "norm"]
    assert [variable.path.split("/")[0] for variable in model.trainable_variables] == ["own"] * 2 + ["head"] * 2


def test_a_model_within_is_frozen_whole() -> None:
    base = saved()
    layers = SavedLayers.of(base)
    outer = keras.Sequential([keras.Input((4,)), base, keras.layers.Dense(1, name="new")])
    freeze(outer, ["base"])

    told = initialised(outer, layers)

    assert told.taken == ["conv1", "norm", "head"] == told.frozen
    assert told.left == ["new"] and len(outer.trainable_variables) == 2


def test_weights_that_were_drawn_anew_are_left() -> None:
    base = saved()
    layers = SavedLayers.of(base)
    base.layers[0].kernel.assign(keras.ops.ones((4, 3)))

    assert initialised(base, layers).left == ["conv1"]
    assert initialised(base, None).taken == []


def test_a_name_that_no_layer_has() -> None:
    with pytest.raises(UserCodeError, match=r"freeze\.1: got `convl`.*one of conv1, norm, head.*did you mean `conv1`"):
        freeze(saved(), ["head", "convl"])
