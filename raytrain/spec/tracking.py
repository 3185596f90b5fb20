"""The trackers that a job tells of its epochs, and the packages that they need where the driver runs."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from raytrain.errors import Problem
from raytrain.spec.pydantic_bases import OneOf, StrictModel, custom_error

# Of each kind: the module that it needs, and what pip calls it.
_PACKAGES = {
    "tensorboard": ("tensorboardX", "tensorboardX"),
    "mlflow": ("mlflow", "mlflow-skinny"),
    "wandb": ("wandb", "wandb"),
}


class TensorBoardSpec(StrictModel):
    """Scalars, hyperparameters and the spec, for TensorBoard, in the run's directory."""


class MlflowSpec(StrictModel):
    """A run of an MLflow server: parameters, metrics, tags, the model and what else the run leaves behind."""

    uri: str | None = Field(None, description="the server's, http://HOST:5000; else the cluster's MLFLOW_TRACKING_URI")
    experiment: str | None = Field(None, description="the job's name, if left out")


class WandbSpec(StrictModel):
    """A run of Weights & Biases, whose WANDB_API_KEY is in the environment."""

    mode: Literal["online", "offline"] = Field(
        "online", description="offline: kept in the run's directory for wandb sync"
    )
    project: str | None = Field(None, description="the job's name, if left out")
    entity: str | None = Field(None, description="the user or team; that of the key, if left out")


class Tracker(OneOf):
    """One tracker: its name, or `{name: {option: value}}`."""

    tensorboard: TensorBoardSpec | None = None
    mlflow: MlflowSpec | None = None
    wandb: WandbSpec | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        """`tensorboard` and `{tensorboard: null}` stand for `{tensorboard: {}}`."""
        if isinstance(value, str):
            return {value: {}}
        if isinstance(value, dict) and len(value) == 1:
            return {name: {} if options is None else options for name, options in value.items()}
        return value


def each_once(tracking: list[Tracker]) -> list[Tracker]:
    """Refuses two trackers of a kind: each keeps what it has told in a file of its kind."""
    kinds = [tracker.kind for tracker in tracking]
    if twice := next((kind for kind in kinds if kinds.count(kind) > 1), None):
        raise custom_error("each tracker once", got=f"{twice} twice")
    return tracking


def missing_packages(tracking: Sequence[Tracker], pip: Sequence[str]) -> list[Problem]:
    """The trackers whose package neither this Python has nor the job's own environment brings.

    Args:
        pip: the job's `environment.pip`.
    """
    return [
        Problem(
            field=f"tracking.{index}",
            got=f"{tracker.kind}, whose package is not installed",
            expected=f"{package} where the driver runs",
            fix=f"pip install '{package}' on the cluster, or write environment: {{pip: [{package}]}}",
        )
        for index, tracker in enumerate(tracking)
        for module, package in [_PACKAGES[tracker.kind]]
        if importlib.util.find_spec(module) is None and not any(_names(line, package, module) for line in pip)
    ]


def _names(requirement: str, *packages: str) -> bool:
    """Whether a line for pip asks for one of the packages, or for a file of which that is not known."""
    name = re.split(r"[\s\[<>=!~;@]", requirement.strip(), maxsplit=1)[0]
    return not name or name.startswith("-") or name.lower() in {package.lower() for package in packages}
