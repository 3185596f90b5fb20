"""What can be refused before submission: files, functions, columns, what stays behind, and the shard arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from raytrain.errors import Problem, SpecError
from raytrain.spec.code_checks import code_problems
from raytrain.spec.column_checks import column_problems
from raytrain.spec.data_spec import DataSpec
from raytrain.spec.few_rows import rows_of_few
from raytrain.spec.job import JobSpec
from raytrain.spec.left_behind import left_behind
from raytrain.spec.line_numbers import LineNumbers
from raytrain.spec.load import LoadedJob
from raytrain.spec.package_checks import package_problems
from raytrain.spec.peek.inspect_source import SourceFacts, inspect_source
from raytrain.spec.shards import ShardPlan, SplitCounts, fraction_of, plan_shards
from raytrain.spec.source_kinds import Source

SPLITS = ("train", "validation", "test")
_UNKNOWN = SourceFacts(rows=None, columns=None)


@dataclass(frozen=True, kw_only=True)
class JobFacts:
    """What is known of a job before it runs.

    Attributes:
        rows: rows of each split; None where a source is read on the cluster only.
        plans: how each split is read, for those whose rows are known.
        bytes: estimated size of all sources in memory; None where only the cluster can tell.
    """

    rows: SplitCounts | None
    plans: dict[str, ShardPlan]
    bytes: int | None = None


def check_job(job: LoadedJob) -> JobFacts:
    """Everything about a job that this machine can check without running it.

    Raises:
        SpecError: all problems at once, the most important last.
    """
    facts, problems = _inspect(job.spec.data, job.folder, job.lines)
    counts = split_rows(job.spec.data, {part: fact.rows for part, fact in facts.items()})
    columns = {part: fact.columns for part, fact in facts.items()}
    found = [*_count_problems(job.spec, counts), *column_problems(job.spec.data, columns), *_step_problems(job.spec)]
    found += package_problems(job.spec.environment)
    problems += [job.lines.located(problem, problem.field) for problem in found]
    problems += left_behind(job.spec, job.folder, job.lines)
    problems += code_problems(job.spec, job.folder, job.lines)
    if problems:
        raise SpecError(*problems)
    known = {part: rows for part, rows in counts.items() if rows is not None}
    return JobFacts(
        rows=SplitCounts(**known) if len(known) == len(SPLITS) else None,
        plans=_plans(job.spec, known),
        bytes=_sum(fact.bytes for fact in facts.values()),
    )


def check_counts(spec: JobSpec, counts: SplitCounts) -> list[Problem]:
    """What is wrong with the true row counts of the splits: empty ones, too few for the workers."""
    return list(_count_problems(spec, {part: getattr(counts, part) for part in SPLITS}))


def plan_splits(spec: JobSpec, counts: SplitCounts) -> dict[str, ShardPlan]:
    """How the workers read each split that the spec asks for; `train`, and `validation` and `test` where given."""
    return _plans(spec, {part: getattr(counts, part) for part in SPLITS})


def split_rows(data: DataSpec, source_rows: dict[str, int | None]) -> dict[str, int | None]:
    """Rows of each split, 0 for one that is not asked for, None where it cannot be known.

    Args:
        data: the spec's data part.
        source_rows: rows of each source: `train`, and `validation` and `test` where they have their own.
    """
    total = source_rows["train"]
    result: dict[str, int | None] = {"train": total}
    for part in ("validation", "test"):
        match getattr(data, part):
            case None:
                result[part] = 0
            case Source():
                result[part] = source_rows[part]
            case float() as fraction if total is not None and data.group is None:
                result[part] = fraction_of(total, fraction)
                result["train"] = (result["train"] or 0) - (result[part] or 0)
            case _:  # only the rows themselves tell how many hold a value, or how many a group has
                result |= {part: None, "train": None}
    return result


def _inspect(data: DataSpec, folder: Path, lines: LineNumbers) -> tuple[dict[str, SourceFacts], list[Problem]]:
    facts: dict[str, SourceFacts] = {}
    problems: list[Problem] = []
    for part in SPLITS:
        source = getattr(data, part)
        if not isinstance(source, Source):
            continue
        try:
            facts[part] = inspect_source(source, folder)
        except SpecError as error:
            facts[part] = _UNKNOWN
            field = f"data.{part}.{source.kind}"
            problems += [lines.located(problem, field) for problem in error.problems]
    return facts, problems


def _count_problems(spec: JobSpec, rows: dict[str, int | None]) -> Iterator[Problem]:
    batch, workers, train = spec.fit.global_batch_size, spec.scaling.workers, rows["train"]
    for part in ("validation", "test"):
        if getattr(spec.data, part) is not None and rows[part] == 0:
            yield Problem(
                got=f"{part} rows: 0",
                expected="at least one row",
                fix=f"make data.{part} larger, or leave it out",
                field=f"data.{part}",
            )
    if train is not None and train <= 0:
        yield Problem(got="train rows: 0", expected="at least one row", field="data.train")
    elif train is not None and workers > train:
        yield Problem(
            got=f"{workers} workers for {train} train rows",
            expected="at least one row a worker",
            fix=f"use {train} workers or fewer: --workers {train}",
            field="scaling.workers",
        )
    elif train is not None and spec.data.drop_remainder and train < batch:
        yield Problem(
            got=f"{train} train rows in batches of {batch}, which drop_remainder leaves out",
            expected="at least one full batch",
            fix=f"use a batch of {train} or less, or drop_remainder: false",
            field="fit.global_batch_size",
        )
    if batch < workers:
        yield Problem(
            got=f"a global batch of {batch} rows for {workers} workers",
            expected="at least one row a worker",
            fix=f"use fit.global_batch_size={workers} or more, or --workers {batch}",
            field="fit.global_batch_size",
        )


def _step_problems(spec: JobSpec) -> Iterator[Problem]:
    """A call of so many steps that cannot be left for a checkpoint; a model's own number shows on the workers."""
    chosen, every = spec.compile and spec.compile.steps_per_execution, spec.checkpoint.every_steps
    if isinstance(chosen, int) and every is not None and chosen > every:
        yield Problem(
            got=f"a checkpoint every {every} steps, of which {chosen} are run a call",
            expected="no more steps a call than between two checkpoints",
            fix=f"checkpoint.every_steps={chosen} or more, or compile.steps_per_execution=auto",
            field="checkpoint.every_steps",
        )


def _plans(spec: JobSpec, rows: dict[str, int]) -> dict[str, ShardPlan]:
    rows = rows_of_few(spec, rows) if "train" in rows else rows
    batch = spec.fit.global_batch_size
    sizes = {"train": batch, "validation": spec.fit.validation_batch_size or batch, "test": batch}
    return {
        part: plan_shards(
            rows[part],
            workers=spec.scaling.workers,
            global_batch_size=sizes[part],
            drop_remainder=part == "train" and spec.data.drop_remainder,
        )
        for part in SPLITS
        if rows.get(part)
    }


def _sum(sizes: Iterable[int | None]) -> int | None:
    known = list(sizes)
    return None if None in known else sum(size or 0 for size in known)
