"""The works of the training benchmark: their data, made once from a seed, and their models, one for all contenders.

Models are functions of a Keras module, because two of the contenders have to use the retired Keras 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS, WIDTH, FILES = 400_000, 64, 8
IMAGES = 20_000
TEXTS, TOKENS, VOCABULARY = 50_000, 128, 20_000


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is trained, and for how long."""

    name: str
    about: str
    epochs: int
    global_batch_size: int


WORKS = {
    work.name: work
    for work in (
        Work(name="digits", about="(a) the demo job", epochs=10, global_batch_size=32),
        Work(name="rows", about="(b) 400,000 rows x 64 float32, parquet, Dense(512)", epochs=3, global_batch_size=1024),
        Work(name="images", about="(c) 20,000 images 32x32x3, convnet", epochs=3, global_batch_size=256),
        Work(name="text", about="(d) 50,000 texts of 128 tokens, Embedding(20000)", epochs=3, global_batch_size=512),
    )
}


def write_data(name: str, folder: Path) -> None:
    """Writes the work's train rows as parquet files under `folder`, unless they are there."""
    if name == "digits" or (folder / "done").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    x, y = {"rows": _rows, "images": _images, "text": _texts}[name](generator)
    for number, part in enumerate(np.array_split(np.arange(len(y)), FILES)):
        width = x.shape[1]
        lists = pa.ListArray.from_arrays(np.arange(len(part) + 1, dtype=np.int32) * width, x[part].ravel())
        pq.write_table(pa.table({"x": lists, "y": y[part]}), folder / f"part-{number}.parquet")
    (folder / "done").write_text("")


def load(name: str, folder: Path) -> tuple[Any, Any]:
    """All train rows in memory: x (rows, width), y (rows,) int64."""
    if name == "digits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        x = digits.data.astype(np.float32)
        return (x - x.mean(axis=0)) / np.where(x.std(axis=0) == 0, 1, x.std(axis=0)), digits.target.astype(np.int64)
    table = pq.read_table([str(file) for file in sorted(folder.glob("*.parquet"))])
    x = table["x"].combine_chunks()
    return x.flatten().to_numpy().reshape(len(x), -1), table["y"].to_numpy()


def build(name: str, keras: Any) -> Any:
    """The work's compiled model, built with `keras` (Keras 3, or `tf_keras`)."""
    model = keras.Sequential(_layers(name, keras.layers))
    model.compile(
        optimizer=keras.optimizers.Adam(0.002 if name == "digits" else 0.001),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def build_model(name: str) -> Any:
    """For raytrain, whose job folder is this file and a job.yaml."""
    import keras

    return build(name, keras)


def _layers(name: str, layers: Any) -> list[Any]:
    if name == "images":
        return [
            layers.InputLayer(shape=(3072,)) if _is_keras_3(layers) else layers.InputLayer(input_shape=(3072,)),
            layers.Reshape((32, 32, 3)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, activation="softmax"),
        ]
    if name == "text":
        return [
            layers.InputLayer(shape=(TOKENS,), dtype="int64")
            if _is_keras_3(layers)
            else layers.InputLayer(input_shape=(TOKENS,), dtype="int64"),
            layers.Embedding(VOCABULARY, 64),
            layers.GlobalAveragePooling1D(),
            layers.Dense(64, activation="relu"),
            layers.Dense(2, activation="softmax"),
        ]
    return [
        layers.InputLayer(shape=(WIDTH,)) if _is_keras_3(layers) else layers.InputLayer(input_shape=(WIDTH,)),
        layers.Dense(512, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]


def _is_keras_3(layers: Any) -> bool:
    return str(layers.Dense.__module__).startswith("keras.src")


def _rows(generator: np.random.Generator) -> tuple[Any, Any]:
    x = generator.standard_normal((ROWS, WIDTH), dtype=np.float32)
    return x, (x @ generator.standard_normal((WIDTH, 10), dtype=np.float32)).argmax(axis=1)


def _images(generator: np.random.Generator) -> tuple[Any, Any]:
    y = generator.integers(0, 10, IMAGES)
    x = generator.standard_normal((IMAGES, 3072), dtype=np.float32) + y[:, None].astype(np.float32) / 10
    return x, y


def _texts(generator: np.random.Generator) -> tuple[Any, Any]:
    x = generator.integers(0, VOCABULARY, (TEXTS, TOKENS))
    return x, (x.mean(axis=1) > VOCABULARY / 2).astype(np.int64)
