"""The bound: plain Keras 3 `fit` in one process on arrays in memory. `python -m … WORK DATA TIMELINE`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras

from benchmarks.contenders.timeline import note
from benchmarks.works import WORKS, build, load


def main(name: str, data: str, timeline: str) -> None:
    work = WORKS[name]
    x, y = load(name, Path(data))
    ended = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: note(timeline, "epoch_end", epoch=epoch))
    model: Any = build(name, keras)
    model.fit(x, y, batch_size=work.global_batch_size, epochs=work.epochs, callbacks=[ended], verbose=0)


if __name__ == "__main__":
    main(*sys.argv[1:])
