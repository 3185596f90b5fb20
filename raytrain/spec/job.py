"""The job spec as typed, frozen models: the one shape in which a job travels from the user to the cluster.

Every model refuses unknown keys and does not coerce types. Paths are relative to the spec's folder.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from raytrain.spec.data_spec import DataSpec
from raytrain.spec.pydantic_bases import OneOf, StrictModel, custom_error
from raytrain.spec.suggest import value_in_words
from raytrain.spec.tracking import Tracker, each_once
from raytrain.spec.value_types import CallbackName, ClassIndex, DurationS, EnvironmentValue, JobName, PythonRef

UPLOADED = "RAY_RUNTIME_ENV_CREATE_WORKING_DIR"  # Ray's name for the job's folder while it installs packages
_COMPONENTS = "a name, a list of them, {output: name}, or {name: …, argument: …}"
Components = str | dict[str, Any] | list[Any] | None
Layer = Annotated[dict[str, dict[str, Any] | None], Field(min_length=1, max_length=1)]


class ModelSpec(OneOf):
    """Where the model comes from: exactly one of the four."""

    python: PythonRef | None = Field(None, description="function that returns a keras.Model")
    layers: list[Layer] | None = Field(
        None, description="a list of {Name: {argument: value}} in Keras' own names", min_length=1
    )
    file: str | None = Field(None, description="a saved .keras or .h5 file")
    run: str | None = Field(None, description="another run, whose saved model is trained on")


class CompileSpec(StrictModel):
    """The arguments of `keras.Model.compile`; names, {name: …, argument: …} maps, or FILE.py:NAME."""

    python: PythonRef | None = Field(None, description="function compile_model(model), instead of all else here")
    optimizer: str | dict[str, Any] = Field("rmsprop", description="a name, or {name: …, argument: …}")
    loss: Components = Field(None, description=_COMPONENTS)
    loss_weights: list[float] | dict[str, float] | None = Field(None, description="a list or map of numbers")
    metrics: Components = Field(None, description=_COMPONENTS)
    weighted_metrics: Components = Field(None, description=_COMPONENTS)
    run_eagerly: bool = Field(False, description="run the steps as plain Python, to look into them")
    jit_compile: bool | Literal["auto"] = Field(False, json_schema_extra={"description": "compile steps with XLA"})
    steps_per_execution: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto", json_schema_extra={"description": "steps between two returns to Python; auto finds the number"}
    )
    auto_scale_loss: bool = Field(True, description="scale the loss under the policy mixed_float16")

    @model_validator(mode="after")
    def _function_alone(self) -> Self:
        if self.python is not None:
            fields = type(self).model_fields
            given = [name for name in fields if name != "python" and getattr(self, name) != fields[name].default]
            if given:
                raise custom_error("python alone: the function compiles", got=", ".join(["python", *given]))
        return self


Collectives = Literal["auto", "nccl", "ring"]


class FitSpec(StrictModel):
    """The arguments of `keras.Model.fit`, and what decides the answer beside them."""

    epochs: int = Field(1, ge=1, description="how often the train rows are gone through")
    initial_epoch: int = Field(0, ge=0, description="the number of the first epoch, counted from 0")
    global_batch_size: int = Field(32, ge=1, description="the batch the optimizer sees, whatever the number of workers")
    seed: int = Field(0, ge=0, lt=2**31, description="of the split, the initial weights and every epoch's order")
    class_weight: dict[ClassIndex, float] | None = Field(None, description="{number of the class: weight}")
    validation_batch_size: Annotated[int, Field(ge=1)] | None = Field(None, description="else global_batch_size")
    validation_freq: int = Field(1, ge=1, description="epochs from one validation to the next")
    sync_batch_norm: bool = Field(False, description="BatchNormalization over the global batch, not each worker's part")
    answer: Literal["warn", "require", "any"] = Field(
        "warn",
        description="code of your own is held against one process first: go on with a warning, fail, or do not look",
    )
    tensor_float_32: bool | None = Field(
        None, description="whether matrices are multiplied with 10 bits on GPUs that can; else as TensorFlow does, true"
    )
    determinism: bool = Field(False, description="the same bits each time on GPUs, too: slower, and some ops refuse")
    overfit_batches: Annotated[int, Field(ge=1)] | None = Field(
        None, description="train on the first so many batches alone, again and again, and validate on the same rows"
    )
    time_limit: DurationS | None = Field(None, description="stop after the first epoch that ends past it")

    @model_validator(mode="after")
    def _an_epoch_to_train(self) -> Self:
        if self.initial_epoch >= self.epochs:
            expected = f"initial_epoch below epochs, {self.epochs}"
            raise custom_error(expected, got=str(self.initial_epoch), field="initial_epoch")
        return self


class EarlyStoppingSpec(StrictModel):
    """When a run ends before its last epoch, decided once for all workers."""

    monitor: str = Field("val_loss", description="the metric that is watched")
    patience: int = Field(0, ge=0, description="epochs without an improvement that are borne")
    min_delta: float = Field(0.0, ge=0, description="a smaller change is no improvement")
    mode: Literal["auto", "min", "max"] = Field("auto", description="what is better; auto tells by the metric's name")
    start_from_epoch: int = Field(0, ge=0, description="epochs before it, counted from 0, are not judged")
    restore_best: bool = Field(True, description="the model gets the best epoch's weights, not the last one's")
    target: float | None = Field(None, description="stop as soon as the monitored value reaches it")


class ScalingSpec(StrictModel):
    """How many workers train, on what. `workers: {min: 2, max: 8}` stands for `workers: 8, min_workers: 2`."""

    workers: int = Field(1, ge=1, le=10_000, description="how many processes train")
    min_workers: Annotated[int, Field(ge=1)] | None = Field(
        None, description="train with so few while there is no room"
    )
    cpus_per_worker: float = Field(1, gt=0, description="CPUs that each worker takes from the cluster")
    gpus_per_worker: float = Field(0, ge=0, le=1, description="one worker drives one GPU at most")
    resources_per_worker: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="{resource of the cluster: amount}"
    )
    queue_timeout: DurationS | None = Field(None, description="fail when there was no room for the workers for so long")
    collectives: Collectives = Field(
        "auto", description="what workers sum over; auto: nccl where all have a GPU and a trial sums right, else ring"
    )

    @model_validator(mode="before")
    @classmethod
    def _range(cls, value: Any) -> Any:
        workers = value.get("workers") if isinstance(value, dict) else None
        if not isinstance(workers, dict | list):
            return value
        if isinstance(workers, list) or set(workers) != {"min", "max"}:
            raise custom_error("a whole number, or {min: 2, max: 8}", got=value_in_words(workers), field="workers")
        return value | {"workers": workers["max"], "min_workers": workers["min"]}

    @model_validator(mode="after")
    def _fewer(self) -> Self:
        if self.min_workers is not None and self.min_workers > self.workers:
            expected = f"workers of at least min_workers, {self.min_workers}"
            raise custom_error(expected, got=str(self.workers), field="workers")
        return self


class CheckpointSpec(StrictModel):
    """When checkpoints are written, and how many are kept."""

    every_epochs: int = Field(1, ge=1, description="epochs from one checkpoint to the next")
    every_steps: Annotated[int, Field(ge=1)] | None = Field(None, description="also within an epoch")
    every_seconds: DurationS | None = Field(None, description="also within an epoch")
    keep: int = Field(2, ge=1, description="the newest; the best epoch's is kept besides")


class RestartsSpec(StrictModel):
    """How many times at most something that died is started anew."""

    max: int = Field(3, ge=0, description="of the workers, after one is lost or hangs")
    startup: int = Field(5, ge=0, description="of workers that fail before their first step; not counted in max")
    driver: int = Field(0, ge=0, description="of the whole job by submit and watch, when its driver is lost")


class WatchdogSpec(StrictModel):
    """How long no worker may advance before the workers are taken for hung and started anew."""

    setup: DurationS = Field(600, description="from the start of the workers to the first step")
    step: DurationS = Field(60, description="a step, or twenty times the median step or twice the first one if longer")
    checkpoint: DurationS = Field(600, description="what comes between epochs, validation included")


class DivergenceSpec(StrictModel):
    """What follows a loss that is no finite number."""

    action: Literal["stop", "fall_back"] = Field("stop", description="fall_back: to the last finite checkpoint")
    learning_rate_factor: float = Field(0.5, gt=0, lt=1, description="by which each fall back lowers the rate")
    max: int = Field(3, ge=1, description="how often to fall back before the run ends as diverged")


def check_requirement(text: str) -> str:
    """A package as pip takes it; a file of packages only where it lies on the cluster."""
    option, _, file = text.strip().partition(" ")
    if option in ("-r", "--requirement") and not file.strip().startswith(("${", "/")):
        raise custom_error("a path on the cluster behind -r", got=repr(text), fix=f"-r ${{{UPLOADED}}}/{file.strip()}")
    return text


class EnvironmentSpec(StrictModel):
    """What the job's own code needs on the cluster, and what of its folder stays here."""

    pip: list[Annotated[str, AfterValidator(check_requirement)]] = Field(
        default_factory=list, description="a list of packages"
    )
    env_vars: dict[str, EnvironmentValue] = Field(default_factory=dict, description="{NAME: text}")
    exclude: list[str] = Field(default_factory=list, description="a list of patterns, as in .gitignore, not uploaded")


class JobSpec(StrictModel):
    """A whole job; see `raytrain init` for a commented one."""

    name: JobName = Field(description="1 to 40 of a-z, 0-9, _ and -; the folder's name, if left out")
    model: ModelSpec = Field(description="FILE.py:FUNCTION, or a map with one of python, layers, file, run")
    model_args: dict[str, Any] = Field(default_factory=dict, description="{argument of the model function: value}")
    init_from: str | None = Field(
        None, description="a run, or a .keras or .h5 file; reaches the model function as `base`"
    )
    freeze: list[str] = Field(
        default_factory=list, description="a list of layers that training leaves as they are: names, or as in conv*"
    )
    compile: CompileSpec | None = Field(None, description="FILE.py:FUNCTION, or a map with optimizer, loss, metrics")
    callbacks: PythonRef | list[dict[CallbackName, dict[str, Any] | None]] = Field(
        default_factory=list, description="FILE.py:FUNCTION, or a list of {Name: {argument: value}}"
    )
    data: DataSpec = Field(description="a map of what to train on, such as {train: {csv: train.csv}, label: y}")
    fit: FitSpec = FitSpec()
    early_stopping: EarlyStoppingSpec | None = None
    scaling: ScalingSpec = ScalingSpec()
    checkpoint: CheckpointSpec = CheckpointSpec()
    restarts: RestartsSpec = RestartsSpec()
    watchdog: WatchdogSpec = WatchdogSpec()
    divergence: DivergenceSpec = DivergenceSpec()
    storage: str = Field("~/raytrain", description="where runs' directories are: a path of every node, or a URI")
    environment: EnvironmentSpec = EnvironmentSpec()
    tracking: Annotated[list[Tracker], AfterValidator(each_once)] = Field(
        default_factory=list, description="a list of tensorboard, {mlflow: {uri: …}}, {wandb: {mode: …}}"
    )

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
            raise custom_error("compile: beside layers:, which say nothing of a loss", got="none", field="model.layers")
        if self.early_stopping is not None:
            monitor = self.early_stopping.monitor
            if monitor.startswith("val_") and self.data.validation is None:
                got = f"{monitor} without data.validation"
                raise custom_error("data.validation to be given", got=got, field="early_stopping.monitor")
        return self
