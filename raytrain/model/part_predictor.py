"""Answers chunks of rows with a run's model, and writes each as a part of the output.

Runs in: the actors of Ray Data's pool, one each.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from raytrain.data.columns.logical_columns import join_tables
from raytrain.data.packed import row_count
from raytrain.data.pipeline import Pipeline
from raytrain.data.prediction_chunks import Chunk
from raytrain.data.prediction_folder import PartState, PredictionFolder
from raytrain.defer_sklearn import defer_sklearn
from raytrain.errors import Problem, RaytrainError, UsageError, UserCodeError
from raytrain.run.bring_here import bring_here
from raytrain.run.run_paths import RunPaths
from raytrain.spec.job import JobSpec

if TYPE_CHECKING:
    from raytrain.model.answer_kinds import AnswerKind

_MOST_SET_ASIDE = 1000


@dataclass(frozen=True, kw_only=True)
class PartSettings:
    """What every actor is told.

    Attributes:
        pipeline: of the features alone, as the run has fitted it.
        whole_pipeline: of the labels, too, which tells what their numbers stand for.
        carried: columns of the input that are written; `asked`: the user has named them.
        threads: that TensorFlow may use.
    """

    paths: RunPaths
    spec: JobSpec
    pipeline: Pipeline
    whole_pipeline: Pipeline
    folder: PredictionFolder
    carried: list[str]
    asked: bool
    batch_size: int | None
    skip_errors: bool
    threads: int


class PartPredictor:
    """One actor: the model, loaded once."""

    def __init__(self, settings: PartSettings) -> None:
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
            os.environ.setdefault(name, str(settings.threads))
        defer_sklearn()
        self._settings = settings
        self._kinds: list[AnswerKind] = []
        self._batches: Any = None
        self._refusal: RaytrainError | None = None
        self._classes: dict[str, list[Any]] = {}
        try:
            self._load()
        except RaytrainError as refusal:  # an actor that fails in the making takes the error's type with it
            self._refusal = refusal

    def _load(self) -> None:
        from raytrain.model.answer_kinds import answer_kinds
        from raytrain.model.load_trained import load_model

        settings, paths = self._settings, self._settings.paths
        bring_here(paths, paths.model, paths.spec, paths.package)
        self._model = load_model(paths)
        self._kinds = answer_kinds(self._model, settings.spec, settings.whole_pipeline)

    def __call__(self, rows: pa.Table) -> pa.Table:
        """Writes the part of each chunk; returns how many rows each came to."""
        if self._refusal is not None:
            raise self._refusal
        written = [self._write(chunk) for chunk in Chunk.of_rows(rows)]
        size = self._batches.size if self._batches else 0
        return pa.table({"rows": pa.array(written, pa.int64()), "batch_size": [size] * len(written)})

    def _write(self, chunk: Chunk) -> int:
        tables, errors = self._answered(chunk, chunk.table, 0)
        filled = [table for table in tables if table.num_rows]
        answers = join_tables(filled) if filled else pa.table({})
        state = PartState(
            rows=answers.num_rows, columns=list(answers.column_names), classes=self._classes, errors=errors
        )
        folder = self._settings.folder
        try:
            folder.write(chunk.part, answers, state)
        except OSError as error:
            got = f"{folder.output}, which cannot be written: {error.strerror or error}"
            fix = "make room and run the same command again: it goes on where it stopped"
            raise UserCodeError(Problem(field="--output", got=got, expected="room for it", fix=fix)) from error
        return state.rows

    def _answered(self, chunk: Chunk, table: pa.Table, first: int) -> tuple[list[pa.Table], list[dict[str, Any]]]:
        """The answers to rows of a chunk, from its row `first` on; those that fail are found by halving.

        Raises:
            UserCodeError: a row fails, and failing rows are not to be set aside, or there are too many of them.
        """
        try:
            return [self._answer(table)], []
        except Exception as error:  # whatever the rows, the job's steps or the model make of them
            if isinstance(error, OSError | UsageError):
                raise
            if table.num_rows == 1:
                return [], [self._set_aside(chunk, first, error)]
        tables: list[pa.Table] = []
        errors: list[dict[str, Any]] = []
        half = table.num_rows // 2
        for part, at in ((table.slice(0, half), first), (table.slice(half), first + half)):
            answered, failed = self._answered(chunk, part, at)
            tables, errors = tables + answered, errors + failed
            if len(errors) > _MOST_SET_ASIDE:
                raise _too_many(errors)
        if not errors:
            return tables, []  # rows that only fail together, such as images of two sizes, are answered apart
        return tables, errors

    def _answer(self, table: pa.Table) -> pa.Table:
        from raytrain.model.answer_table import answer_table
        from raytrain.model.fixed_batches import FixedBatches, batch_rows

        settings = self._settings
        (features,) = settings.pipeline.apply(table)
        if self._batches is None:
            size = settings.batch_size or batch_rows((features,))
            self._batches = FixedBatches(self._model, self._kinds, size)
        assert row_count((features,)) == table.num_rows
        carried = table.select(settings.carried) if settings.carried else None
        outputs = self._batches.answer(features)
        for kind, output in zip(self._kinds, outputs, strict=True):
            if kind.kind != "values":
                self._classes[kind.name] = kind.class_names(2 if kind.kind == "binary" else output.shape[-1])
        return answer_table(
            outputs, self._kinds, carried=carried, flat=settings.folder.kind == "csv", asked=settings.asked
        )

    def _set_aside(self, chunk: Chunk, index: int, error: Exception) -> dict[str, Any]:
        file, row = chunk.row_of(index)
        why = str(error.problems[0]) if isinstance(error, RaytrainError) and error.problems else str(error)
        why = why or type(error).__name__
        if self._settings.skip_errors:
            return {"file": file, "row": row, "error": why}
        got = f"row {row} of {file}, which fails: {why}"
        fix = "--skip-errors sets rows that fail aside and names them"
        raise UserCodeError(Problem(file=file, got=got, expected="rows like those it was trained on", fix=fix))


def _too_many(errors: list[dict[str, Any]]) -> UserCodeError:
    first = errors[0]
    got = f"more than {_MOST_SET_ASIDE} rows that fail in one part, from row {first['row']} of {first['file']} on"
    return UserCodeError(
        Problem(got=f"{got}: {first['error']}", expected="rows that the model can answer", file=first["file"])
    )
