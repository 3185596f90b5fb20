"""Which promise holds for a run's answer, in words, as far as the spec alone tells."""

from __future__ import annotations

from raytrain.spec.job import JobSpec
from raytrain.spec.tier_choice import Tier


def promise(spec: JobSpec, tier: Tier | None = "shared") -> str:
    """What N workers' weights, history and test metrics are, against those of plain Keras in one process.

    Args:
        tier: None while it is not known; the promise is that of shared rows then.
    """
    if tier in ("sharded", "streaming") and spec.data.shuffle and (spec.scaling.workers > 1 or tier == "streaming"):
        return (
            f"that of another order of the rows than one process': every row once an epoch, and the same again with"
            f" as many workers ({tier}); data.shuffle=false keeps one process' order"
        )
    if spec.scaling.workers == 1:
        return "that of plain Keras in one process"
    if spec.fit.sync_batch_norm:
        return "that of one process, BatchNormalization included; random layers draw by worker"
    if _has_plain_batch_norm(spec):
        return (
            "that of one process but for BatchNormalization, which normalises each worker's part of a batch;"
            " fit.sync_batch_norm=true takes the whole"
        )
    return "that of one process; random layers draw by worker, plain BatchNormalization normalises by worker"


def _has_plain_batch_norm(spec: JobSpec) -> bool:
    layers = spec.model.layers or []
    return any(
        name == "BatchNormalization" and not (arguments or {}).get("synchronized")
        for layer in layers
        for name, arguments in layer.items()
    )
