"""Builds the jobs' models in plain Keras and prints what it finds as JSON; run in a process of its own.

TensorFlow must be set up for several workers before it computes anything, which other tests in pytest's process do.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}

import keras
import numpy as np

from raytrain.spec.load import load_job
from raytrain.user_code import load_reference
from tests.jobs.expectations import saved_weights


def build(job: Path) -> keras.Model:
    spec = load_job(str(job)).spec
    base = {"base": keras.saving.load_model(job / spec.init_from)} if spec.init_from else {}
    if spec.model.layers is None:
        return load_reference(spec.model.value, job)(**spec.model_args, **base)
    layers = [next(iter(layer.items())) for layer in spec.model.layers]
    return keras.Sequential(
        [getattr(keras if name == "Input" else keras.layers, name)(**(arguments or {})) for name, arguments in layers]
    )


def describe(model: keras.Model, folder: Path) -> dict[str, Any]:
    path = folder / "model.keras"
    model.save(path)
    return {
        "parameters": model.count_params(),
        "trainable": sum(int(np.prod(weight.shape)) for weight in model.trainable_weights),
        "saved": sum(array.size for array in saved_weights(path).values()),
        "optimizer": type(model.optimizer).__name__ if model.compiled else None,
    }


def augmentation(model: keras.Model) -> dict[str, bool]:
    images = np.random.default_rng(0).random((8, 64), dtype=np.float32)  # (batch, pixels)
    plain = keras.Sequential([layer for layer in model.layers if not type(layer).__name__.startswith("Random")])
    training = [np.asarray(model(images, training=True)) for _ in range(2)]
    predicted = model.predict(images, verbose=0)
    return {
        "predict_repeats": bool((model.predict(images, verbose=0) == predicted).all()),
        "predict_is_plain": bool(np.allclose(predicted, plain.predict(images, verbose=0), atol=1e-6)),
        "training_differs": bool(np.abs(training[0] - training[1]).max() > 1e-3),
    }


def main() -> None:
    jobs, scratch = Path(sys.argv[1]), Path(sys.argv[2])
    models = {folder.name: build(folder) for folder in sorted(jobs.iterdir()) if (folder / "job.yaml").exists()}
    found: dict[str, Any] = {name: describe(model, scratch) for name, model in models.items()}
    found["digits_augmented"] |= augmentation(models["digits_augmented"])
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
