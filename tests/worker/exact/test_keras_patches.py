"""Keras' insides, on which the mends lean: these fail loudly when a new Keras has moved them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from keras.src.backend.tensorflow import core, nn, optimizer, trainer
from keras.src.layers import BatchNormalization, Layer
from keras.src.losses import loss
from keras.src.metrics.metric import Metric
from keras.src.metrics.reduction_metrics import Mean, MeanMetricWrapper, Sum
from keras.src.ops.operation import Operation
from keras.src.optimizers.base_optimizer import BaseOptimizer
from keras.src.optimizers.loss_scale_optimizer import LossScaleOptimizer
from keras.src.optimizers.multi_optimizer import MultiOptimizer
from keras.src.random.seed_generator import SeedGenerator
from keras.src.trainers.epoch_iterator import EpochIterator
from keras.src.trainers.trainer import Trainer
from tensorflow.python.eager import record

from raytrain.errors import UserCodeError
from raytrain.spec.package_checks import ALLOW_UNPROVEN
from raytrain.worker.exact import keras_patches, keras_versions

ANCHORS = [
    (loss, "scale_loss_for_distribution"),
    (loss, "unscale_loss_for_distribution"),
    (loss.Loss, "__call__"),
    (loss.Loss, "__init__"),
    (MeanMetricWrapper, "update_state"),
    (Metric, "__init__"),
    (loss, "apply_mask"),
    (loss, "reduce_values"),
    (nn, "_compute_moments_sync"),
    (BatchNormalization, "_moments"),
    (BatchNormalization, "call"),
    (Operation, "__call__"),
    (Layer, "__call__"),
    (Mean, "update_state"),
    (Sum, "update_state"),
    (optimizer.TFOptimizer, "_all_reduce_sum_gradients"),
    (record, "could_possibly_record"),
    (BaseOptimizer, "__init__"),
    (BaseOptimizer, "apply"),
    (LossScaleOptimizer, "apply"),
    (MultiOptimizer, "apply"),
    (trainer.TFEpochIterator, "__init__"),
    (trainer.TensorFlowTrainer, "_maybe_symbolic_build"),
    (trainer, "reduce_per_replica"),
    (core.Variable, "_map_aggregation"),
    (SeedGenerator, "next"),
    (EpochIterator, "_enumerate_iterator"),
    (core.Variable, "_direct_assign"),
    (Trainer, "_get_metrics_result_or_logs"),
    (Trainer, "_aggregate_additional_loss"),
]


def name_of(value: Any) -> str:
    return value if isinstance(value, str) else value.__name__.rpartition(".")[2]


def test_the_installed_keras_is_one_that_the_mends_were_written_for() -> None:
    keras_patches.check_anchors()


@pytest.mark.parametrize(("owner", "name"), ANCHORS, ids=name_of)
def test_a_keras_whose_inside_has_changed_is_refused(owner: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(self: Any, another: Any) -> None:
        """Takes other parameters than any of Keras' own."""

    monkeypatch.setattr(owner, name, changed)
    with pytest.raises(UserCodeError, match=r"changed\('self', 'another'\), expected .*; use a Keras that"):
        keras_patches.check_anchors()


@pytest.mark.parametrize(("owner", "name"), [anchor for anchor in ANCHORS if anchor[1][0] == "_"], ids=name_of)
def test_a_keras_without_it_is_no_silent_success(owner: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(owner, name)
    with pytest.raises((AttributeError, KeyError, UserCodeError)):
        keras_patches.check_anchors()


@pytest.mark.processes
def test_a_fresh_process_is_mended_once_and_everything_that_is_replaced_was_anchored() -> None:
    """Every attribute of Keras that differs after `mend` is one of those that `check_anchors` looks at."""
    program = """
import sys
from raytrain.worker.exact import keras_patches

def attributes():
    found = {}
    for module in [module for name, module in sys.modules.items() if name.startswith("keras.src.")]:
        for key, value in vars(module).items():
            found[module.__name__, key] = value
            if isinstance(value, type) and value.__module__ == module.__name__:
                found.update({(module.__name__, f"{key}.{name}"): item for name, item in vars(value).items()})
    return found

before = attributes()
keras_patches.mend(rank=1)
keras_patches.mend(rank=1)
after = attributes()
class Own(keras_patches.keras.metrics.Mean):
    def update_state(self, *args, **kwargs):
        pass
keras_patches.keras.losses.MeanSquaredError(), keras_patches.keras.metrics.MeanSquaredError(), Own()
made = attributes()
assert all(made[key] is after[key] for key in after if key[1].endswith(("__call__", "update_state")))
changed = {key for (module, key), value in after.items() if before.get((module, key)) is not value}
print(*sorted(changed))
try:
    keras_patches.check_anchors()
except Exception as error:
    print(type(error).__name__)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    changed, again = done.stdout.splitlines()
    anchored = {name if owner in (loss, nn, trainer) else f"{owner.__name__}.{name}" for owner, name in ANCHORS}
    assert {name for name in changed.split() if name != "TFEpochIterator"} <= anchored
    assert "TFEpochIterator" in changed.split()
    assert again == "UserCodeError"


@pytest.mark.parametrize(
    ("package", "version", "fine"),
    [
        ("keras", "3.15", True),
        ("keras", "3.15.2", True),
        ("keras", "3.16.0", False),
        ("keras", "3.150.0", False),
        ("keras", "2.15.0", False),
        ("tensorflow", "2.21.0", True),
        ("tensorflow", "2.21.0-rc1", True),
        ("tensorflow", "2.2.0", False),
        ("tensorflow", "2.22.0", False),
    ],
)
def test_versions(package: str, version: str, fine: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ALLOW_UNPROVEN, raising=False)
    if fine:
        keras_versions.check_versions(**{package: version})
        return
    with pytest.raises(UserCodeError, match=f"got {package} {version} on a worker, expected {package} "):
        keras_versions.check_versions(**{package: version})
    monkeypatch.setenv(ALLOW_UNPROVEN, "1")
    keras_versions.check_versions(**{package: version})
