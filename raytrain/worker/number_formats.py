"""How a GPU computes: TensorFloat-32 or float32, and the same bits each time or not.

Runs in: every Train worker, before its model is built.
"""

from __future__ import annotations

import tensorflow as tf

from raytrain.spec.job import FitSpec


def set_number_formats(fit: FitSpec) -> None:
    """What `fit.tensor_float_32` and `fit.determinism` say; what they do not say stays TensorFlow's.

    The seeds must be set before: without them TensorFlow refuses random operations that are to be repeatable.
    """
    if fit.tensor_float_32 is not None:
        tf.config.experimental.enable_tensor_float_32_execution(fit.tensor_float_32)
    if fit.determinism:
        tf.config.experimental.enable_op_determinism()
