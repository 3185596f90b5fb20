from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.worker.ranks import run_ranks

KIB = 2**10


@pytest.mark.parametrize(
    ("workers", "size_bytes", "one_pass"),
    [
        (2, 4, True),
        (2, 512 * KIB, True),
        (2, 512 * KIB + 1, False),
        (3, 256 * KIB, True),
        (3, 256 * KIB + 1, False),
        (16, 32 * KIB, True),
        (16, 64 * KIB, False),
    ],
)
def test_vectors_are_summed_in_one_pass_where_little_arrives_in_it(
    workers: int, size_bytes: int, one_pass: bool
) -> None:
    from raytrain.worker.exact.gradient_reduction import takes_one_pass

    assert takes_one_pass(workers=workers, size_bytes=size_bytes) == one_pass


def values_of(rank: int) -> list[Any]:
    """Of sizes on both sides of where one pass ends for three workers, and one that nothing gathers."""
    generator = np.random.default_rng(rank)
    small, large = generator.normal(size=(7, 5)), generator.normal(size=(300, 400))
    return [small.astype(np.float32), large.astype(np.float32), small, np.float32(rank + 0.1), np.int64(rank)]


def sum_values(rank: int) -> tuple[list[Any], list[str], int]:
    """One worker: sums its values with the others' and tells the sums, and which collectives it took for them."""
    import tensorflow as tf
    from tensorflow.python.eager import context

    from raytrain.worker.exact.gradient_reduction import sum_over_workers
    from raytrain.worker.strategy import join

    strategy = join(gpus_per_worker=0)
    values = [tf.constant(value) for value in values_of(rank)]

    @tf.function  # type: ignore[untyped-decorator]
    def in_step() -> Any:
        def in_replica() -> Any:
            [halved] = sum_over_workers([tf.cast(values[0], tf.bfloat16)])
            return [*sum_over_workers(values), tf.cast(halved, tf.float32)]

        return strategy.run(in_replica)

    graph = in_step.get_concrete_function().graph
    kinds = sorted(operation.type for operation in graph.get_operations() if operation.type.startswith("Collective"))
    silence_ms = context.context().config.experimental.coordination_config.heartbeat_timeout_in_ms
    return [value.numpy() for value in in_step()], kinds, silence_ms


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(2, marks=pytest.mark.processes),
        pytest.param(3, marks=[pytest.mark.processes, pytest.mark.thorough]),
    ],
)
def told(request: pytest.FixtureRequest) -> list[Any]:
    """What each rank told."""
    return run_ranks(sum_values, request.param)


def test_sums_are_those_of_all_ranks_values(told: list[Any]) -> None:
    ranks = [values_of(rank) for rank in range(len(told))]
    *sums, halved = told[0][0]
    for summed, parts in zip(sums, zip(*ranks, strict=True), strict=True):
        np.testing.assert_allclose(summed, sum(parts), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(halved, sum(rank[0] for rank in ranks), atol=0.1)


def test_every_rank_has_the_same_sums_to_the_bit(told: list[Any]) -> None:
    for sums, _, _ in told[1:]:
        for mine, first in zip(sums, told[0][0], strict=True):
            np.testing.assert_array_equal(mine, first)


def test_what_is_large_or_cannot_be_gathered_goes_round_the_ring(told: list[Any]) -> None:
    """Packs of float32 (480 KB), float64, int64 and bfloat16."""
    two = ["CollectiveGatherV2"] * 3 + ["CollectiveReduceV2"]
    three = ["CollectiveGatherV2"] * 2 + ["CollectiveReduceV2"] * 2
    for _, kinds, _ in told:
        assert kinds == (two if len(told) == 2 else three)


def test_a_silent_process_is_left_to_the_watchdog(told: list[Any]) -> None:
    """TensorFlow would give it up after ten seconds, and with it every rank's collectives."""
    for _, _, silence_ms in told:
        assert silence_ms >= 24 * 3600 * 1000
