"""Brings what each worker has of its own to all of them, byte for byte.

Runs in: every Train worker, in its training thread, at the same step.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from raytrain.worker.strategy import sum_over_workers

_MEBI = 2**20


def gather(strategy: tf.distribute.Strategy, mine: bytes, *, rank: int) -> list[bytes]:
    """Every worker's bytes, in order of rank.

    They travel as the sum of vectors of which only one is not 0, two bytes a float32: small whole numbers are added
    without rounding, whatever the device and the order.
    """
    workers = strategy.num_replicas_in_sync
    if workers == 1:
        return [mine]
    sizes = [0.0] * (2 * workers)
    sizes[2 * rank : 2 * rank + 2] = divmod(len(mine), _MEBI)
    summed = sum_over_workers(strategy, sizes)
    lengths = [int(high) * _MEBI + int(low) for high, low in zip(summed[::2], summed[1::2], strict=True)]
    table = np.zeros((workers, (max(lengths) + 1) // 2), np.float32)
    pairs = np.frombuffer(mine + b"\0" * (len(mine) % 2), np.uint16)
    table[rank, : len(pairs)] = pairs
    total = strategy.reduce(tf.distribute.ReduceOp.SUM, tf.constant(table), axis=None)
    rows = np.asarray(total).astype(np.uint16)
    return [row.tobytes()[:length] for row, length in zip(rows, lengths, strict=True)]
