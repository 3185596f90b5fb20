"""What an export and the process that makes it tell each other, as JSON.

Light: the client imports it, too.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from raytrain.spec.pydantic_bases import StrictModel

MODULE = "raytrain.model.export"
Format = Literal["keras", "tf_saved_model", "onnx", "litert", "weights"]
FORMATS: tuple[Format, ...] = get_args(Format)

# What the exported model is called in its folder; a SavedModel is a folder of its own.
ARTIFACTS: dict[Format, str] = {
    "keras": "model.keras",
    "tf_saved_model": "saved_model",
    "onnx": "model.onnx",
    "litert": "model.tflite",
    "weights": "model.weights.h5",
}
CARD = "README.md"


class ExportRequest(StrictModel):
    """What is to be exported.

    Attributes:
        directory: the run's, on this machine.
        shown: the run's directory as people know it.
        folder: that the export is written to, which is there and empty.
        without_preprocessing: the model alone, fed what the steps make.
    """

    directory: str
    shown: str
    folder: str
    format: Format
    without_preprocessing: bool = False


@dataclass(frozen=True, kw_only=True)
class ServedInput:
    """One input of the exported model.

    Attributes:
        column: of the data, or input of the model, that it takes; `name` is that in letters, digits and underscores.
        shape: of a batch; None where any size goes.
    """

    name: str
    column: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A model that was written in a format, and run in it.

    Attributes:
        path: of the folder, which holds the artifact and its card.
        artifact: the file, or the folder of a SavedModel.
        inputs: what it is fed, in the order of its signature; none for weights alone.
        outputs: what it gives.
        preprocessing: `inside` the artifact, `outside` it, or `none` where the job has no steps for its features.
        rows: how many it was held against the model's own answers on.
        of_data: whether these are rows of the job's data; else they are random numbers.
        largest_difference: between its answers and the model's, absolute.
        bytes: of the artifact.
    """

    run: str
    format: str
    path: str
    artifact: str
    inputs: tuple[ServedInput, ...]
    outputs: tuple[str, ...]
    preprocessing: str
    rows: int
    of_data: bool
    largest_difference: float
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        """As `export --json` prints it."""
        return {"schema_version": 1, **asdict(self)}

    @classmethod
    def from_dict(cls, body: dict[str, Any]) -> Exported:
        inputs = tuple(ServedInput(**{**each, "shape": tuple(each["shape"])}) for each in body["inputs"])
        rest = {name: value for name, value in body.items() if name not in ("schema_version", "inputs", "outputs")}
        return cls(inputs=inputs, outputs=tuple(body["outputs"]), **rest)
