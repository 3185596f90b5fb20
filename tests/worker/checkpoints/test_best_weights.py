"""The best weights' memory is used again, and never while a checkpoint's writer may read it."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from raytrain.worker.checkpoints.best_weights import BestWeights


@pytest.fixture
def variable() -> keras.Variable:
    return keras.Variable(np.zeros(3, np.float32))


def kept(best: BestWeights, variable: keras.Variable, value: float) -> np.ndarray:
    variable.assign(np.full(3, value, np.float32))
    best.keep(tf.distribute.get_strategy(), [variable])
    assert best.arrays is not None
    [array] = best.arrays
    assert array.tolist() == [value] * 3
    return array


def test_what_nobody_reads_is_written_over(variable: keras.Variable) -> None:
    best = BestWeights()
    assert kept(best, variable, 1.0) is kept(best, variable, 2.0)


def test_what_is_lent_stays_as_it_is_until_it_is_given_back(variable: keras.Variable) -> None:
    best = BestWeights()
    first = kept(best, variable, 1.0)
    assert best.lend() == [first]
    second = kept(best, variable, 2.0)
    assert kept(best, variable, 3.0) is second
    assert first.tolist() == [1.0] * 3

    best.reclaim()
    assert best.lend() == [second]
    assert kept(best, variable, 4.0) is first
    assert second.tolist() == [3.0] * 3


def test_one_that_stays_the_best_is_lent_again(variable: keras.Variable) -> None:
    best = BestWeights()
    first = kept(best, variable, 1.0)
    for _ in range(3):
        best.reclaim()
        assert best.lend() == [first]
    second = kept(best, variable, 2.0)
    best.reclaim()
    best.lend()
    assert kept(best, variable, 3.0) is first
    best.reclaim()
    best.lend()
    assert kept(best, variable, 4.0) is second


def test_none_are_lent_before_the_first(variable: keras.Variable) -> None:
    best = BestWeights()
    assert best.lend() is None
    first = kept(best, variable, 1.0)
    best.reclaim()
    assert kept(best, variable, 2.0) is first
