"""What a training of a few steps came to, small enough to be kept for every step.

Runs in: the processes of a check. Imports no TensorFlow.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from raytrain.worker.proof.observed import Array

_MOST_NUMBERS = 4096
_BESIDE = 3  # the largest magnitude, the mean and the root mean square


@dataclass(kw_only=True)
class Trained:
    """The training of one process, or of the first of several workers.

    Attributes:
        gradients: what optimizers were handed for each variable, time after time: digests.
        before, after: digests of what the training changes, but for the optimizers' own.
        results: of metrics and losses, over the epoch, the validation and the test.
        allowed: how far apart two quantities may lie for rounding.
    """

    gradients: dict[str, list[Array]] = field(default_factory=dict)
    before: dict[str, Array] = field(default_factory=dict)
    after: dict[str, Array] = field(default_factory=dict)
    results: dict[str, Array] = field(default_factory=dict)
    steps: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    allowed: float = 0.0
    set_aside: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def write(self, path: Path) -> None:
        path.write_bytes(pickle.dumps(self))

    @classmethod
    def read(cls, path: Path) -> Trained:
        trained: Trained = pickle.loads(path.read_bytes())
        return trained


def digest(array: Any) -> Array:
    """A few thousand of an array's numbers, evenly spaced, and what all of them come to.

    Two arrays that differ in more than a few numbers have digests that differ as much.
    """
    flat = np.asarray(array, np.float64).ravel()
    few = flat if flat.size <= _MOST_NUMBERS else flat[np.linspace(0, flat.size - 1, _MOST_NUMBERS).astype(np.int64)]
    if not flat.size:
        return few
    with np.errstate(over="ignore", invalid="ignore"):
        beside = [np.abs(flat).max(), flat.mean(), np.sqrt(np.square(flat).mean())]
    return np.concatenate([few, beside])


def numbers_of(digested: Array) -> Array:
    """The array's own among a digest's numbers: at the same places in two arrays of one shape."""
    return digested[:-_BESIDE]
