"""Makes the feeds of a job, one a split, and decides how many steps a call of the train function may run.

Runs in: every Train worker.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras

from raytrain.data.packed import Arrays
from raytrain.data.tiers.readers import InMemory, Reader
from raytrain.errors import Problem, UserCodeError
from raytrain.spec.job import JobSpec
from raytrain.spec.shards import ShardPlan, plan_shards
from raytrain.worker.feed import Feed

_MOST_CHUNK_STEPS = 32
_CHUNK_BYTES = 64 * 2**20


def make_feeds(spec: JobSpec, splits: Mapping[str, Reader | Arrays], *, rank: int, workers: int) -> dict[str, Feed]:
    """A feed for each split, `train` among them.

    Args:
        splits: what each is read from; of arrays, all workers have the same.
    """
    readers = {split: rows if isinstance(rows, Reader) else InMemory(rows) for split, rows in splits.items()}
    if spec.fit.class_weight is not None:
        _check_class_weight(readers["train"].example)

    def plan(split: str, rows: int) -> ShardPlan:
        batch = spec.fit.global_batch_size
        if split == "validation":
            batch = spec.fit.validation_batch_size or batch
        drop = spec.data.drop_remainder and split == "train"
        return plan_shards(rows, workers=workers, global_batch_size=batch, drop_remainder=drop)

    return {
        split: Feed(
            reader,
            plan=plan(split, reader.rows),
            rank=rank,
            seed=spec.fit.seed,
            shuffle=spec.data.shuffle and split == "train",
            class_weight=spec.fit.class_weight if split == "train" else None,
        )
        for split, reader in readers.items()
    }


def _check_class_weight(example: Arrays) -> None:
    if len(example) != 2 or isinstance(example[1], dict):
        raise UserCodeError(
            Problem(
                field="fit.class_weight",
                got="class weights beside a weight column, several outputs or no label",
                expected="one label column and no data.weight",
            )
        )


def set_steps_per_execution(
    model: keras.Model, spec: JobSpec, feeds: Mapping[str, Feed], *, wants_batches: bool
) -> None:
    """The user's number of steps a call where there is one; else training begins with one and may come to many.

    How many is found out while training (`raytrain.worker.step_sync.chunk_steps`). To Keras itself the number stays
    1: what a call runs is what a chunk of the feed holds.

    Raises:
        UserCodeError: a call of so many steps cannot be left for a checkpoint every so many.
    """
    chosen = spec.compile is not None and spec.compile.steps_per_execution != "auto"
    if chosen or model.steps_per_execution > 1 or wants_batches or model.run_eagerly:
        _check_every_steps(model.steps_per_execution, spec.checkpoint.every_steps)
        for feed in feeds.values():
            feed.chunk_steps = model.steps_per_execution
        return
    for split, feed in feeds.items():
        most = most_chunk_steps(steps=feed.num_batches, global_batch_bytes=feed.global_batch_bytes)
        if split == "train":
            feed.most_chunk_steps, feed.cut_every = most, spec.checkpoint.every_steps
        else:
            feed.chunk_steps = most


def most_chunk_steps(*, steps: int, global_batch_bytes: int) -> int:
    """How many of an epoch's steps may be gathered at a time for their bytes; pure, and alike on all ranks."""
    fitting = max(1, _CHUNK_BYTES // max(1, global_batch_bytes))
    return max(1, min(_MOST_CHUNK_STEPS, steps, fitting))


def _check_every_steps(steps_per_execution: int, every_steps: int | None) -> None:
    if every_steps is not None and steps_per_execution > every_steps:
        raise UserCodeError(
            Problem(
                field="checkpoint.every_steps",
                got=f"a checkpoint every {every_steps} steps of a model that runs {steps_per_execution} a call",
                expected="no more steps a call than between two checkpoints",
                fix=f"checkpoint.every_steps={steps_per_execution} or more, or leave steps_per_execution to raytrain",
            )
        )
