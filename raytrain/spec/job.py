"""The job spec as typed, frozen models: the one shape in which a job travels from the user to the cluster.

Every model refuses unknown keys and does not coerce types. Paths are relative to the spec's folder.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from raytrain.spec.data_spec import DataSpec
from raytrain.spec.pydantic_bases import OneKind, Strict
from raytrain.spec.value_types import ClassIndex, DurationS, EnvironmentValue, JobName, PythonRef

Components = str | dict[str, Any] | list[Any] | None


class ModelSpec(OneKind):
    """Where the model comes from: exactly one of the four."""

    python: PythonRef | None = Field(None, description="function that returns a keras.Model")
    layers: list[dict[str, dict[str, Any] | None]] | None = Field(
        None, description="one-key maps in Keras' own names, in order", min_length=1
    )
    file: str | None = Field(None, description="a saved .keras file")
    run: str | None = Field(None, description="another run, whose saved model is trained on")

    @model_validator(mode="after")
    def _one_key_layers(self) -> Self:
        for layer in self.layers or []:
            if len(layer) != 1:
                raise ValueError(f"expected one layer name a list item, got {', '.join(layer) or 'none'}")
        return self


class CompileSpec(Strict):
    """The arguments of `keras.Model.compile`; names, {name: …, argument: …} maps, or FILE.py:NAME."""

    python: PythonRef | None = Field(None, description="function compile_model(model), instead of all else here")
    optimizer: str | dict[str, Any] = "rmsprop"
    loss: Components = None
    loss_weights: list[float] | dict[str, float] | None = None
    metrics: Components = None
    weighted_metrics: Components = None
    run_eagerly: bool = False
    jit_compile: bool | Literal["auto"] = False
    steps_per_execution: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    auto_scale_loss: bool = True

    @model_validator(mode="after")
    def _function_alone(self) -> Self:
        if self.python is not None:
            fields = type(self).model_fields
            given = [name for name in fields if name != "python" and getattr(self, name) != fields[name].default]
            if given:
                raise ValueError(f"expected python alone: the function compiles, got python, {', '.join(given)}")
        return self


class FitSpec(Strict):
    epochs: int = Field(1, ge=1)
    initial_epoch: int = Field(0, ge=0, description="the number of the first epoch, counted from 0")
    global_batch_size: int = Field(32, ge=1, description="the batch the optimizer sees, whatever the number of workers")
    seed: int = Field(0, ge=0, lt=2**31, description="of the split, the initial weights and every epoch's order")
    class_weight: dict[ClassIndex, float] | None = None
    validation_batch_size: Annotated[int, Field(ge=1)] | None = None
    validation_freq: int = Field(1, ge=1)
    sync_batch_norm: bool = Field(False, description="BatchNormalization over the global batch, not each worker's part")
    time_limit: DurationS | None = Field(None, description="stop after the first epoch that ends past it")

    @model_validator(mode="after")
    def _an_epoch_to_train(self) -> Self:
        if self.initial_epoch >= self.epochs:
            raise ValueError(f"expected initial_epoch below epochs, {self.epochs}, got {self.initial_epoch}")
        return self


class EarlyStoppingSpec(Strict):
    monitor: str = "val_loss"
    patience: int = Field(0, ge=0)
    min_delta: float = Field(0.0, ge=0)
    mode: Literal["auto", "min", "max"] = "auto"
    start_from_epoch: int = Field(0, ge=0)
    restore_best: bool = True
    target: float | None = Field(None, description="stop as soon as the monitored value reaches it")


class ScalingSpec(Strict):
    """`workers: {min: 2, max: 8}` stands for `workers: 8, min_workers: 2`."""

    workers: int = Field(1, ge=1, le=10_000)
    min_workers: Annotated[int, Field(ge=1)] | None = Field(
        None, description="train with as few as this while the cluster has no room for all of them"
    )
    cpus_per_worker: float = Field(1, gt=0)
    gpus_per_worker: float = Field(0, ge=0, le=1, description="one worker drives one GPU at most")
    resources_per_worker: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    queue_timeout: DurationS | None = Field(
        None, description="fail when the cluster has had no room for the workers for so long"
    )

    @model_validator(mode="before")
    @classmethod
    def _range(cls, value: Any) -> Any:
        workers = value.get("workers") if isinstance(value, dict) else None
        if not isinstance(workers, dict) or set(workers) != {"min", "max"}:
            return value
        return value | {"workers": workers["max"], "min_workers": workers["min"]}

    @model_validator(mode="after")
    def _fewer(self) -> Self:
        if self.min_workers is not None and self.min_workers > self.workers:
            raise ValueError(f"expected workers of at least min_workers, {self.min_workers}, got {self.workers}")
        return self


class CheckpointSpec(Strict):
    every_epochs: int = Field(1, ge=1)
    every_steps: Annotated[int, Field(ge=1)] | None = Field(None, description="also within an epoch")
    every_seconds: DurationS | None = Field(None, description="also within an epoch")
    keep: int = Field(2, ge=1, description="the newest; the best epoch's is kept besides")


class RestartsSpec(Strict):
    max: int = Field(3, ge=0, description="of the workers, after one is lost or hangs")
    startup: int = Field(5, ge=0, description="of workers that fail before their first step; not counted in max")
    driver: int = Field(0, ge=0, description="of the whole job by submit and watch, when its driver is lost")


class WatchdogSpec(Strict):
    """How long no worker may advance before the workers are taken for hung and started anew."""

    setup: DurationS = Field(600, description="from the start of the workers to the first step")
    step: DurationS = Field(60, description="a step, or twenty times the median step or twice the first one if longer")
    checkpoint: DurationS = Field(600, description="what comes between epochs, validation included")


class DivergenceSpec(Strict):
    """What follows a loss that is no finite number."""

    action: Literal["stop", "fall_back"] = Field("stop", description="fall_back: to the last finite checkpoint")
    learning_rate_factor: float = Field(0.5, gt=0, lt=1, description="by which each fall back lowers the rate")
    max: int = Field(3, ge=1, description="how often to fall back before the run ends as diverged")


class EnvironmentSpec(Strict):
    pip: list[str] = Field(default_factory=list)
    env_vars: dict[str, EnvironmentValue] = Field(default_factory=dict)
    exclude: list[str] = Field(default_factory=list, description="patterns, as in .gitignore, left out of the upload")


class JobSpec(Strict):
    """A whole job; see `raytrain init` for a commented one."""

    name: JobName
    model: ModelSpec
    model_args: dict[str, Any] = Field(default_factory=dict)
    init_from: str | None = Field(None, description="a run or a .keras file; reaches the model function as `base`")
    compile: CompileSpec | None = Field(None, description="left out when the model function compiles")
    callbacks: PythonRef | list[dict[str, dict[str, Any] | None]] = Field(default_factory=list)
    data: DataSpec
    fit: FitSpec = FitSpec()
    early_stopping: EarlyStoppingSpec | None = None
    scaling: ScalingSpec = ScalingSpec()
    checkpoint: CheckpointSpec = CheckpointSpec()
    restarts: RestartsSpec = RestartsSpec()
    watchdog: WatchdogSpec = WatchdogSpec()
    divergence: DivergenceSpec = DivergenceSpec()
    storage: str = "~/raytrain"
    environment: EnvironmentSpec = EnvironmentSpec()

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        """`model: FILE.py:FUNCTION` and `compile: FILE.py:FUNCTION` stand for `{python: …}`."""
        if not isinstance(value, dict):
            return value
        return value | {key: {"python": value[key]} for key in ("model", "compile") if isinstance(value.get(key), str)}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.compile is None and self.model.layers is not None:
            raise ValueError("expected compile: beside layers:, which say nothing of a loss")
        if self.early_stopping is not None:
            monitor = self.early_stopping.monitor
            if monitor.startswith("val_") and self.data.validation is None:
                raise ValueError(f"early_stopping monitors {monitor}, expected data.validation to be given")
        return self
