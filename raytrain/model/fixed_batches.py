"""A model's answers to rows, by one function of one shape: the last batch is filled up, and cut again.

Runs in: the processes that predict. `model.predict` in a loop makes a dataset and a loop of its own each time.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from raytrain.data.packed import Arrays, bytes_per_row, leaves, map_arrays, row_count
from raytrain.errors import Problem, UserCodeError
from raytrain.model.answer_kinds import AnswerKind, Array, outputs_of

_BATCH_ROWS = 1024
_BATCH_BYTES = 32 << 20


def batch_rows(example: Arrays) -> int:
    """Rows of a batch where nobody has said how many: some bytes' worth."""
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES // bytes_per_row(example)))


class FixedBatches:
    """Answers rows in batches of one size."""

    def __init__(self, model: keras.Model, kinds: list[AnswerKind], batch_size: int) -> None:
        self._model, self._kinds, self.size = model, kinds, batch_size
        step = lambda features: outputs_of(model.predict_step((features,)), kinds)  # noqa: E731
        self._step = step if model.run_eagerly else tf.function(step)

    def answer(self, features: Any) -> list[Array]:
        """Each output's array (rows, …).

        Args:
            features: an array (rows, …), or {input: array}.

        Raises:
            UserCodeError: the rows have another shape than the model's inputs.
        """
        check_shapes(self._model, features)
        rows = row_count(features)
        found: list[list[Array]] = []
        for start in range(0, rows, self.size):
            batch = map_arrays(lambda array, start=start: self._filled(array[start : start + self.size]), features)
            outputs = self._step(map_arrays(tf.convert_to_tensor, batch))
            found.append([np.asarray(output)[: rows - start] for output in outputs])
        return [parts[0] if len(parts) == 1 else np.concatenate(parts) for parts in zip(*found, strict=True)]

    def _filled(self, array: Array) -> Array:
        missing = self.size - len(array)
        return array if not missing else np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])


def check_shapes(model: keras.Model, features: Any) -> None:
    """Refuses rows of another shape than the model's inputs, as far as those are known.

    Raises:
        UserCodeError: such as images of another size.
    """
    for name, array, shape in _pairs(model, features):
        own = array.shape[1:]
        if len(own) != len(shape) or all(want in (None, got) for got, want in zip(own, shape, strict=True)):
            continue
        words = " x ".join("any" if size is None else str(size) for size in shape)
        raise UserCodeError(
            Problem(
                field="data.features",
                got=f"rows of {' x '.join(map(str, own))} numbers for {name}",
                expected=f"{words}, as the model was trained on",
                fix="give rows of the trained size; {images: {path: …, size: [HEIGHT, WIDTH]}} scales images",
            )
        )


def _pairs(model: keras.Model, features: Any) -> list[tuple[str, Array, tuple[int | None, ...]]]:
    """Each array beside the shape that the model has for it, batch apart; nothing of a model that tells no shapes."""
    try:
        inputs = list(model.inputs)
    except (AttributeError, TypeError, ValueError):
        return []
    if isinstance(features, dict):
        shapes = {one.name: tuple(one.shape[1:]) for one in inputs}
        return [(f"input `{name}`", features[name], shapes[name]) for name in features if name in shapes]
    if len(inputs) != 1 or len(leaves(features)) != 1:
        return []
    return [("the model's input", tree.flatten(features)[0], tuple(inputs[0].shape[1:]))]
