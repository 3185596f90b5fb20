"""What a run's trained model is put to in Python: evaluated, and asked."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from raytrain.client.registry import RunRecord

if TYPE_CHECKING:
    from raytrain.client.task_source import Given
    from raytrain.run.task_result import Evaluation, Prediction
    from raytrain.spec.task_requests import OutputFormat, Split


class TrainedRun(ABC):
    """The methods of a run that has a model; all else of a run is `raytrain.client.run.Run`'s."""

    @property
    @abstractmethod
    def record(self) -> RunRecord:
        """Where the run is to be found."""

    def evaluate(
        self,
        *,
        data: Given | None = None,
        split: Split = "test",
        by: str | None = None,
        workers: int | None = None,
        cpus_per_worker: float | None = None,
        gpus_per_worker: float | None = None,
        batch_size: int | None = None,
        address: str | None = None,
        timeout_s: float | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> Evaluation:
        """Holds the trained model against rows, on a cluster: exactly, every row once.

        Args:
            data: a path whose kind follows from its name, or a source in the words of `data.train`, such as
                `{"csv": "rows.csv"}`; relative paths begin at the current folder. A split of the run when left out.
            split: which one: "test", "validation" or "train".
            by: a column of the rows, for each of whose values there are metrics, too.
            workers, cpus_per_worker, gpus_per_worker: how many processes share the rows, and what each takes; as in
                training when left out.
            batch_size: rows of each step; that of training when left out.
            address: of a cluster's dashboard; the run's own where that answers when left out.
            timeout_s: how many seconds to wait at most.
            progress: told in a few words what is being done.

        Returns:
            `.metrics` as of Keras' `evaluate`, `.slices`, `.outputs` with confusion matrix, ROC, calibration or
            residuals, and `.directory`, where they and the pictures are kept.

        Raises:
            UsageError: the run has no such split.
            SpecError: the rows lack columns, or are not there.
            NotFound: the run has saved no model, or its directory is out of sight here.
            ClusterError: no cluster can be used.
            RunFailed: the evaluation failed.
            WaitTimedOut: the time has passed; it goes on.

        Example:
            >>> evaluation = raytrain.get("@last").evaluate(workers=1)
            >>> evaluation.rows, sorted(evaluation.metrics)
            (180, ['accuracy', 'loss'])
        """
        from raytrain.client.evaluate import evaluate

        return evaluate(
            self.record,
            data=data,
            split=split,
            by=by,
            workers=workers,
            cpus_per_worker=cpus_per_worker,
            gpus_per_worker=gpus_per_worker,
            batch_size=batch_size,
            address=address,
            timeout_s=timeout_s,
            progress=progress,
        )

    def predict(
        self,
        *,
        input: Given,
        output: str | os.PathLike[str],
        format: OutputFormat | None = None,
        columns: Sequence[str] | None = None,
        workers: int | None = None,
        cpus_per_worker: float | None = None,
        gpus_per_worker: float | None = None,
        batch_size: int | None = None,
        skip_errors: bool = False,
        overwrite: bool = False,
        address: str | None = None,
        timeout_s: float | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> Prediction:
        """Lets the trained model answer rows, on a cluster, into files; the rows keep their order.

        One that was cut off goes on where it stopped when it is asked for again.

        Args:
            input: a path whose kind follows from its name, or a source in the words of `data.train`, such as
                `{"csv": "rows.csv"}`; relative paths begin at the current folder.
            output: a .parquet, .csv or .jsonl file, or a folder of such files, as the cluster sees it.
            format: of a folder's files: "parquet", "csv" or "json".
            columns: of the input, written beside the answers; all that hold one value a row when left out.
            workers, cpus_per_worker, gpus_per_worker: how many processes share the rows, and what each takes; as in
                training when left out.
            batch_size: rows of each call of the model; by their size when left out.
            skip_errors: rows that fail are named in `.errors`, instead of ending the prediction.
            overwrite: replaces an earlier prediction.
            address: of a cluster's dashboard; the run's own where that answers when left out.
            timeout_s: how many seconds to wait at most.
            progress: told in a few words what is being done.

        Returns:
            `.rows`, `.output`, `.columns`, `.set_aside` and more.

        Raises:
            UsageError: the output is there, or a column that is asked for is not.
            SpecError: the rows lack columns that the model was trained on, or are not there.
            NotFound: the run has saved no model, or its directory is out of sight here.
            ClusterError: no cluster can be used.
            RunFailed: the prediction failed; names the file and the row.
            WaitTimedOut: the time has passed; it goes on.

        Example:
            >>> import tempfile
            >>> output = f"{tempfile.mkdtemp()}/answers.csv"
            >>> run = raytrain.get("@last")
            >>> prediction = run.predict(input={"sklearn": "digits"}, output=output, columns=["digit"], workers=1)
            >>> prediction.rows, prediction.columns[:3]
            (1797, ['digit', 'prediction', 'probability'])
        """
        from raytrain.client.predict import predict

        return predict(
            self.record,
            input=input,
            output=output,
            format=format,
            columns=columns,
            workers=workers,
            cpus_per_worker=cpus_per_worker,
            gpus_per_worker=gpus_per_worker,
            batch_size=batch_size,
            skip_errors=skip_errors,
            overwrite=overwrite,
            address=address,
            timeout_s=timeout_s,
            progress=progress,
        )
