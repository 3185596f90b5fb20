"""The best epoch's weights on the host, in memory that is used again: new memory costs many times the copy.

Runs in: every Train worker.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from raytrain.worker.checkpoints.checkpoint import Array
from raytrain.worker.variables import host_copy


class BestWeights:
    """Keeps weights while older ones may still be on their way to storage.

    Attributes:
        arrays: what was kept last; None before.
    """

    def __init__(self) -> None:
        self.arrays: list[Array] | None = None
        self._spare: list[Array] = []
        self._replaced: list[Array] = []
        self._are_read = False

    def keep(self, strategy: tf.distribute.Strategy, variables: Sequence[keras.Variable]) -> None:
        """Copies the variables' values over what nobody reads."""
        into = self.arrays or []
        if self._are_read:
            into, self._spare, self._replaced = self._spare, [], into
            self._are_read = False
        self.arrays = host_copy(strategy, variables, into)

    def lend(self) -> list[Array] | None:
        """The arrays, for the checkpoint's writer to read; until `reclaim` nothing is written over them."""
        self._are_read = True
        return self.arrays

    def reclaim(self) -> None:
        """The writer has done with all that was lent."""
        self._spare, self._replaced = self._replaced or self._spare, []
        self._are_read = False
