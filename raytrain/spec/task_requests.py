"""What the client hands the driver for what is done with a finished run: evaluate it, predict with it.

The file is that of a `JobRequest`, which says `train` or, in directories of earlier versions, no task at all.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import Field

from raytrain.run.run_id import task_submission_id
from raytrain.spec.pydantic_bases import StrictModel
from raytrain.spec.request import JobRequest
from raytrain.spec.source_kinds import Source

OutputFormat = Literal["parquet", "csv", "json"]
Split = Literal["train", "validation", "test"]


class TaskRequest(StrictModel):
    """What all tasks of a finished run have.

    Attributes:
        moment: which of the run's tasks of its kind this is.
        storage: the directory that holds all runs, as the cluster sees it.
        workers: how many processes share the rows; as many as the run had, where there is room, when None.
        cpus_per_worker, gpus_per_worker: that each takes from the cluster; the run's own when None.
        batch_size: rows of each call of the model.
    """

    schema_version: int = 1
    run: str
    moment: str
    storage: str
    workers: Annotated[int, Field(ge=1)] | None = None
    cpus_per_worker: Annotated[float, Field(gt=0)] | None = None
    gpus_per_worker: Annotated[float, Field(ge=0)] | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = None


class EvaluateRequest(TaskRequest):
    """Hold the run's model against rows.

    Attributes:
        split: of the run, where `data` is None.
        data: rows of another source.
        by: a column whose values have metrics of their own.
    """

    task: Literal["evaluate"] = "evaluate"
    split: Split = "test"
    data: Source | None = None
    by: str | None = None

    @property
    def submission_id(self) -> str:
        return task_submission_id(self.run, self.task, self.moment)


class PredictRequest(TaskRequest):
    """Let the run's model answer rows, into files.

    Attributes:
        input: whose rows.
        output: a file or folder, as the cluster sees it.
        format: of a folder's files; None where the file's name says it.
        columns: of the input that are written beside the answers; all that hold one value a row when None.
        skip_errors: rows that fail are named in a file beside the output instead of ending the prediction.
        overwrite: an earlier prediction is replaced.
    """

    task: Literal["predict"] = "predict"
    input: Source
    output: str
    format: OutputFormat | None = None
    columns: list[str] | None = None
    skip_errors: bool = False
    overwrite: bool = False

    @property
    def submission_id(self) -> str:
        return task_submission_id(self.run, self.task, self.moment)


AnyRequest = JobRequest | EvaluateRequest | PredictRequest
_REQUESTS: dict[str, type[AnyRequest]] = {
    "train": JobRequest,
    "evaluate": EvaluateRequest,
    "predict": PredictRequest,
}


def parse_request(text: str) -> AnyRequest:
    """The request in a job's working directory."""
    task = json.loads(text).get("task", "train")
    return _REQUESTS[task].model_validate_json(text)
