from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import tensorflow as tf

from raytrain.worker.exact import current_step
from raytrain.worker.exact.sparse_lookups import SparseLookups, Unmeasured, parts_of

ROWS = 4
Lookup = Callable[[tf.Tensor], tf.Tensor]


def words(x: tf.Tensor) -> tf.Tensor:
    return x


def positions(x: tf.Tensor) -> tf.Tensor:
    return tf.range(tf.shape(x)[1])


def positions_for_each_row(x: tf.Tensor) -> tf.Tensor:
    return tf.broadcast_to(tf.range(3), tf.shape(x))


def first_row(x: tf.Tensor) -> tf.Tensor:
    """As many for any number of rows, but another worker's are others."""
    return x[0]


def random(x: tf.Tensor) -> tf.Tensor:
    return tf.random.uniform([5], maxval=9, dtype=tf.int32)


def large_words(x: tf.Tensor) -> tf.Tensor:
    return tf.boolean_mask(x, x > 5)


def found_in(*lookups: Lookup, rows: int | None = None) -> list[bool]:
    """For each lookup of one table in a step, one after the other, whether all workers have the same slots."""
    table = tf.Variable(tf.ones([10, 2]))
    found: list[bool] = []

    def step(x: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
        with current_step.of_share(share, rows=x.shape[0]), measured.in_step(x, batch_rows=ROWS):
            with tf.GradientTape() as tape:
                loss = sum(tf.reduce_sum(tf.gather(table, lookup(x))) for lookup in lookups)
            parts = parts_of(tape.gradient(loss, table))
        found[:] = [part.is_shared for part in parts]
        return tf.add_n([tf.reduce_sum(part.slices.values) for part in parts])

    def trace(specs: Any) -> Any:
        return tf.function(step).get_concrete_function(specs, tf.TensorSpec([], tf.float32))

    measured = SparseLookups(trace)
    with pytest.raises(Unmeasured):
        trace(tf.TensorSpec([rows, 3], tf.int32))
    measured.measure()
    trace(tf.TensorSpec([rows, 3], tf.int32))
    return found


@pytest.mark.parametrize("rows", [None, 2])
@pytest.mark.parametrize(
    ("lookup", "is_shared"),
    [
        (words, False),
        (positions, True),
        (positions_for_each_row, False),
        (first_row, False),
        (random, False),
        (large_words, False),
    ],
)
def test_slots_are_shared_where_no_row_has_its_own(lookup: Lookup, is_shared: bool, rows: int | None) -> None:
    assert found_in(lookup, rows=rows) == [is_shared]


def test_each_use_of_one_table_is_judged_by_itself() -> None:
    assert sorted(found_in(words, positions, positions_for_each_row)) == [False, False, True]


def test_a_step_that_takes_one_number_of_rows_only_has_no_shared_slots() -> None:
    def positions_of_two_rows(x: tf.Tensor) -> tf.Tensor:
        return tf.range(3) + 0 * tf.shape(tf.ensure_shape(x, [2, 3]))[0]

    assert found_in(positions_of_two_rows, rows=2) == [False]


def test_an_eager_step_tells_the_uses_of_a_table_apart_by_their_sizes() -> None:
    table = tf.Variable(tf.ones([10, 2]))
    found: list[tuple[bool, int]] = []

    def step(x: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
        with current_step.of_share(share, rows=x.shape[0]), measured.in_step(x, batch_rows=ROWS):
            with tf.GradientTape() as tape:
                loss = sum(tf.reduce_sum(tf.gather(table, lookup(x))) for lookup in (words, positions))
            parts = parts_of(tape.gradient(loss, table))
        found[:] = [(part.is_shared, part.slices.indices.shape[0]) for part in parts]
        return loss

    measured = SparseLookups(
        lambda specs: tf.function(step).get_concrete_function(specs, tf.TensorSpec([], tf.float32))
    )
    step(tf.ones([2, 3], tf.int32), tf.constant(0.5))
    assert sorted(found) == [(False, 6), (True, 3)]
