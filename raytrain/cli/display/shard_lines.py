"""The shard arithmetic of a job before it runs, as `plan` shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from raytrain import formatting
from raytrain.spec.equivalence import promise

if TYPE_CHECKING:
    from raytrain.spec.checks import JobFacts
    from raytrain.spec.job import JobSpec
    from raytrain.spec.tier_choice import Tier


def shards_object(spec: JobSpec, facts: JobFacts, tier: Tier | None, why: str) -> dict[str, Any]:
    """Rows, batches and steps, null where the rows are counted on the cluster only; and the tier, if it is known."""
    train = facts.plans.get("train")
    return {
        "rows": {split: plan.rows for split, plan in facts.plans.items()} or None,
        "global_batch_size": spec.fit.global_batch_size,
        "per_worker_batch_size": per_worker_batch_sizes(spec),
        "steps_per_epoch": train.steps if train else None,
        "dropped_rows": train.dropped if train else None,
        "tier": tier,
        "tier_reason": why,
        "promise": promise(spec, tier),
        "splits": {
            split: {
                "rows": plan.rows,
                "steps": plan.steps,
                "rows_per_worker": list(plan.rows_per_worker),
                "dropped": plan.dropped,
            }
            for split, plan in facts.plans.items()
        },
    }


def shard_lines(spec: JobSpec, facts: JobFacts, tier: Tier | None, why: str) -> Iterator[tuple[str, str]]:
    """Label and text of each line; what is not known yet is said in words."""
    splits = ["train", *(split for split in ("validation", "test") if getattr(spec.data, split) is not None)]
    known = [f"{formatting.count(facts.plans[split].rows)} {split}" for split in splits if split in facts.plans]
    unknown = [split for split in splits if split not in facts.plans]
    if unknown:
        known.append(f"{', '.join(unknown)}: unknown until the cluster has read the source")
    yield "rows", ", ".join(known)
    yield "batch", f"{spec.fit.global_batch_size} rows, {_per_worker(spec)}"
    yield "tier", f"{tier} ({why})" if tier else why
    yield "answer", promise(spec, tier)
    train = facts.plans.get("train")
    if train is None:
        yield "epochs", f"{spec.fit.epochs}; the steps of each follow from the rows"
        return
    yield "epochs", f"{spec.fit.epochs} of {formatting.plural(train.steps, 'step')}{_last_batch(train.rows, spec)}"
    yield "left out", f"{formatting.plural(train.dropped, 'row')} of every epoch" if train.dropped else "no row"


def per_worker_batch_sizes(spec: JobSpec) -> list[int]:
    """Rows of a full global batch that each rank takes."""
    from raytrain.spec.shards import worker_slice

    workers = spec.scaling.workers
    slices = (worker_slice(spec.fit.global_batch_size, workers, rank) for rank in range(workers))
    return [stop - start for start, stop in slices]


def _per_worker(spec: JobSpec) -> str:
    sizes = per_worker_batch_sizes(spec)
    least, most = min(sizes), max(sizes)
    rows = f"{least}" if least == most else f"{least} or {most}"
    return f"{rows} on each of {formatting.plural(len(sizes), 'worker')}"


def _last_batch(rows: int, spec: JobSpec) -> str:
    rest = rows % spec.fit.global_batch_size
    return f", the last of {formatting.plural(rest, 'row')}" if rest and not spec.data.drop_remainder else ""
