from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from raytrain.worker.exact import gather_rows, step_functions
from raytrain.worker.feed import Chunk


@pytest.mark.parametrize("is_used", [False, True])
def test_xla_compiles_no_step_that_exchanges_rows(is_used: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """That a step needs to exchange them is a stand-in here: XLA has collectives on GPUs only."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=True)
    compiled: list[bool] = []
    function = tf.function

    def recorded(*args: Any, **kwargs: Any) -> Any:
        if "jit_compile" in kwargs:
            compiled.append(kwargs["jit_compile"])
        return function(*args, **kwargs)

    monkeypatch.setattr(tf, "function", recorded)
    monkeypatch.setattr(gather_rows, "is_used", lambda: is_used)
    train = step_functions.make_train_function(model, tf.distribute.get_strategy(), lambda: None, static_batch=True)
    rows = np.ones((1, 3, 2), np.float32), np.ones((1, 3, 1), np.float32)
    train(iter([Chunk(data=tuple(map(tf.constant, rows)), steps=1, batch_rows=len(rows[0]), share=1.0)]))
    assert compiled == ([True, False] if is_used else [True])
