"""Makes the feeds of a job, one a split, and decides how many steps each call of the train function runs.

Runs in: every Train worker.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras

from raytrain.errors import Problem, UserCodeError
from raytrain.spec.schema import JobSpec
from raytrain.spec.shards import ShardPlan, plan_shards
from raytrain.worker.feed import Feed
from raytrain.worker.packed import Arrays
from raytrain.worker.readers import InMemory, Reader

_AUTO_STEPS_PER_EXECUTION = 32
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
    """Unless the user chose a number, many steps are run a call: as many as fit `_CHUNK_BYTES`, alike on all ranks.

    Where checkpoints are taken every so many steps, the number divides that.
    """
    chosen = spec.compile is not None and spec.compile.steps_per_execution != "auto"
    if not chosen and model.steps_per_execution == 1 and not wants_batches and not model.run_eagerly:
        train = feeds["train"]
        fitting = max(1, _CHUNK_BYTES // max(1, train.global_batch_bytes))
        most = min(_AUTO_STEPS_PER_EXECUTION, train.num_batches, fitting)
        every = spec.checkpoint.every_steps or most
        model.steps_per_execution = max(steps for steps in range(1, most + 1) if every % steps == 0)
    for feed in feeds.values():
        feed.chunk_steps = model.steps_per_execution
