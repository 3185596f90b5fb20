"""Makes the feeds of a job, one a split, and decides how many steps each call of the train function runs.

Runs in: every Train worker.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
from keras.src.trainers.data_adapters.data_adapter_utils import class_weight_to_sample_weights

from raytrain.errors import Problem, UserCodeError
from raytrain.spec.schema import JobSpec
from raytrain.spec.shards import ShardPlan, plan_shards
from raytrain.worker.feed import Arrays, Feed

_AUTO_STEPS_PER_EXECUTION = 32
_CHUNK_BYTES = 64 * 2**20


def make_feeds(spec: JobSpec, splits: Mapping[str, Arrays], *, rank: int, workers: int) -> dict[str, Feed]:
    """A feed for each split, `train` among them."""

    def plan(split: str, rows: int) -> ShardPlan:
        batch = spec.fit.global_batch_size
        if split != "train":
            batch = spec.fit.validation_batch_size or batch
        drop = spec.data.drop_remainder and split == "train"
        return plan_shards(rows, workers=workers, global_batch_size=batch, drop_remainder=drop)

    return {
        split: Feed(
            _with_class_weight(arrays, spec) if split == "train" else arrays,
            plan=plan(split, len(keras.tree.flatten(arrays)[0])),
            rank=rank,
            seed=spec.fit.seed,
            shuffle=spec.data.shuffle and split == "train",
        )
        for split, arrays in splits.items()
    }


def _with_class_weight(arrays: Arrays, spec: JobSpec) -> Arrays:
    if spec.fit.class_weight is None:
        return arrays
    if len(arrays) != 2 or isinstance(arrays[1], dict):
        raise UserCodeError(
            Problem(
                field="fit.class_weight",
                got="class weights beside a weight column, several outputs or no label",
                expected="one label column and no data.weight",
            )
        )
    features, labels = arrays
    return features, labels, class_weight_to_sample_weights(labels, spec.fit.class_weight)


def set_steps_per_execution(
    model: keras.Model, spec: JobSpec, feeds: Mapping[str, Feed], *, wants_batches: bool
) -> None:
    """Unless the user chose a number, many steps are run a call: as many as fit `_CHUNK_BYTES`, alike on all ranks."""
    chosen = spec.compile is not None and spec.compile.steps_per_execution != "auto"
    if not chosen and model.steps_per_execution == 1 and not wants_batches and not model.run_eagerly:
        train = feeds["train"]
        fitting = max(1, _CHUNK_BYTES // max(1, train.global_batch_bytes))
        model.steps_per_execution = min(_AUTO_STEPS_PER_EXECUTION, train.num_batches, fitting)
    for feed in feeds.values():
        feed.chunk_steps = model.steps_per_execution
