"""How many rows are left where a job is cut down to a few batches. Pure, and the same on client and driver."""

from __future__ import annotations

from collections.abc import Mapping

from raytrain.spec.job import JobSpec


def rows_of_few(spec: JobSpec, rows: Mapping[str, int], *, one_of_each: bool = False) -> dict[str, int]:
    """Rows of each split.

    `fit.overfit_batches` leaves so many of train, the same of validation, where there is any, and none of test.

    Args:
        rows: of each split of the whole data.
        one_of_each: one batch of each split is left, whatever `fit.overfit_batches` says.
    """
    batch = spec.fit.global_batch_size
    if one_of_each:
        sizes = {"train": batch, "validation": spec.fit.validation_batch_size or batch, "test": batch}
        return {split: min(count, sizes[split]) for split, count in rows.items()}
    if spec.fit.overfit_batches is None:
        return dict(rows)
    train = min(rows["train"], spec.fit.overfit_batches * batch)
    left = {"train": train, "validation": train if rows.get("validation") else 0, "test": 0}
    return {split: left[split] for split in rows}


def spec_of_few(spec: JobSpec) -> JobSpec:
    """The job as it is trained on a few batches: these in their own order, epoch for epoch."""
    return spec.model_copy(update={"data": spec.data.model_copy(update={"shuffle": False})})


def spec_of_trial(spec: JobSpec) -> JobSpec:
    """The job as it is tried with one batch of each split: one epoch, after which validation comes."""
    once = {"epochs": spec.fit.initial_epoch + 1, "overfit_batches": None, "validation_freq": 1}
    return spec.model_copy(update={"fit": spec.fit.model_copy(update=once)})
