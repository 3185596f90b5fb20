"""What an evaluation or a prediction of a run came to: `result.json` in its folder, and the object in Python."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from raytrain.errors import Failure

RESULT_FILE = "result.json"
# Where the driver mirrors it in the session's log folder, for clients that cannot see the run's directory.
RESULT_MIRROR = "raytrain-{submission_id}.json"
# What the lines of a task's log begin with that are for whoever waits for it; the others are of the libraries.
PROGRESS = "progress: "
_SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A run's model held against rows.

    Attributes:
        run: the run's id.
        data: whose rows: a split of the run, or a source in words.
        rows: how many were evaluated, each once.
        workers: how many processes shared them.
        batch_size: of each step.
        metrics: Keras' loss and compiled metrics over all rows.
        by: the column that rows are grouped by; None without one.
        slices: for each of its values `{"value", "rows", "metrics"}`.
        outputs: for each output of the model its `kind` and what belongs to it: `confusion_matrix`, `roc` and
            `calibration` of classes, `residuals` of numbers.
        notices: what the user should know of it.
        directory: where this and the pictures are kept.
        seconds: that it took on the cluster.
    """

    run: str
    data: str
    rows: int
    workers: int
    batch_size: int
    metrics: dict[str, Any]
    by: str | None = None
    slices: list[dict[str, Any]] = field(default_factory=list)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    directory: str = ""
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """As `evaluate --json` prints it."""
        return {"schema_version": _SCHEMA_VERSION, "task": "evaluate", **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a run's model says of rows, and where that was written.

    Attributes:
        run: the run's id.
        output: the file or folder.
        rows: how many are in it, each row of the input once.
        set_aside: how many rows failed and are told of in `errors` instead.
        errors: the file that names them; None where none failed.
        parts: how many parts the rows were predicted in.
        resumed_parts: how many of them an earlier command had written before it was cut off.
        workers: how many processes shared the rows.
        batch_size: of each call of the model.
        columns: of the output, in order.
        classes: for each output that tells classes, their names in the order of its probabilities.
        notices: what the user should know of it.
        directory: where this is kept beside the run.
        seconds: that it took on the cluster.
    """

    run: str
    output: str
    rows: int
    set_aside: int = 0
    errors: str | None = None
    parts: int = 0
    resumed_parts: int = 0
    workers: int = 1
    batch_size: int = 0
    columns: list[str] = field(default_factory=list)
    classes: dict[str, list[Any]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    directory: str = ""
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """As `predict --json` prints it."""
        return {"schema_version": _SCHEMA_VERSION, "task": "predict", **asdict(self)}


TaskResult = Evaluation | Prediction | Failure


def result_text(result: TaskResult) -> str:
    """The content of `result.json`; NaN and infinity, which JSON has not, are null."""
    if isinstance(result, Failure):
        return json.dumps({"schema_version": _SCHEMA_VERSION, "error": result.to_json()}, indent=1)
    return json.dumps(finite(result.to_dict()), indent=1)


def read_result(text: str) -> TaskResult:
    """The result that `result_text` was given; keys of a later version are left out.

    Raises:
        ValueError: it is no such text.
    """
    body: Mapping[str, Any] = json.loads(text)
    if "error" in body:
        return Failure.from_json(body["error"])
    kind: type[Evaluation] | type[Prediction] = Evaluation if body.get("task") == "evaluate" else Prediction
    return kind(**{item.name: body[item.name] for item in fields(kind) if item.name in body})


def finite(value: Any) -> Any:
    """The same with None for what is no finite number."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
