"""Which promise holds for a run's answer, in words, as far as the spec alone tells."""

from __future__ import annotations

from raytrain.spec.schema import JobSpec


def promise(spec: JobSpec) -> str:
    """What N workers' weights, history and test metrics are, against those of plain Keras in one process."""
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
