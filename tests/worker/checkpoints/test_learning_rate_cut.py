from __future__ import annotations

from typing import Any

import keras
import pytest
import tensorflow as tf

from raytrain.worker.checkpoints.learning_rate_cut import FallBacks


def rate_of(optimizer: Any) -> float:
    return float(tf.convert_to_tensor(optimizer.learning_rate))


@pytest.mark.parametrize("makes", [float, lambda rate: keras.optimizers.schedules.PolynomialDecay(rate, 9, rate)])
def test_an_optimizer_that_comes_later_is_lowered_once_by_all_fall_backs(makes: Any) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(makes(0.8)), "mse")
    fall_backs = FallBacks(count=2, factor=0.5)
    fall_backs.lower_schedules(model, [])
    fall_backs.lower_new(model)  # a step may be traced before training begins
    fall_backs.lower(model, done=1)
    before = rate_of(model.optimizer)
    fall_backs.lower_new(model)
    assert rate_of(model.optimizer) == before
    model.compile(keras.optimizers.SGD(makes(0.4)), "mse")
    fall_backs.lower_new(model)
    fall_backs.lower_new(model)
    assert rate_of(model.optimizer) == pytest.approx(0.1)
