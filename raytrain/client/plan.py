"""What `submit` would do with a job, before anything is started, sent or spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raytrain.client.forecast import Scaling, foresee
from raytrain.client.look_at_data import look_at_data
from raytrain.client.read_job import CheckedJob
from raytrain.client.submit import Upload, prepare
from raytrain.client.target_cluster import Target, find_target
from raytrain.client.where_stored import stored_where_said
from raytrain.spec.equivalence import promise
from raytrain.spec.shards import worker_slice
from raytrain.spec.tier_choice import Tier, capacity_of, check_free_cpus, foresee_tier

if TYPE_CHECKING:
    from raytrain.spec.checks import JobFacts
    from raytrain.spec.data_look import DataLook
    from raytrain.spec.job import JobSpec


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A job's shards, resources, cluster and upload.

    Attributes:
        tier: where the rows would be kept; None where only the cluster can tell. `tier_reason`: why, in words.
        compared: numbers of workers to foresee an epoch's time for; none, or several.
        scaling: what they would bring; None where nothing is compared, or no run of the job was timed yet.
        look: what a look at the data found; None where nobody asked for one.
    """

    spec: JobSpec
    facts: JobFacts
    target: Target
    upload: Upload
    tier: Tier | None
    tier_reason: str
    compared: tuple[int, ...] = ()
    scaling: Scaling | None = None
    look: DataLook | None = None

    @property
    def promise(self) -> str:
        """What the run's answer will be, against that of one process."""
        return promise(self.spec, self.tier)

    @property
    def per_worker_batch_sizes(self) -> list[int]:
        """Rows of a full global batch that each rank takes."""
        workers, batch = self.spec.scaling.workers, self.spec.fit.global_batch_size
        return [stop - start for start, stop in (worker_slice(batch, workers, rank) for rank in range(workers))]

    @property
    def resources_per_worker(self) -> dict[str, float]:
        """In Ray's names."""
        scaling = self.spec.scaling
        return {"CPU": scaling.cpus_per_worker, "GPU": scaling.gpus_per_worker, **scaling.resources_per_worker}

    def to_dict(self) -> dict[str, Any]:
        """As `plan --json` prints it; what is counted on the cluster only is null."""
        spec, address = self.spec, self.target.address
        return {
            "schema_version": 1,
            "name": spec.name,
            **self._shards(),
            "epochs": spec.fit.epochs,
            "workers": spec.scaling.workers,
            "resources_per_worker": self.resources_per_worker,
            "address": address.url or None,
            "address_source": address.source,
            "starts_local_cluster": address.starts_local,
            "storage": spec.storage,
            "upload": self.upload.to_dict(),
            "warnings": list(self.target.warnings),
            "spec": spec.model_dump(mode="json", exclude_none=True),
            "scaling": self.scaling.to_dict() if self.scaling else None,
            "data": self.look.to_dict() if self.look else None,
        }

    def _shards(self) -> dict[str, Any]:
        plans = self.facts.plans
        train = plans.get("train")
        return {
            "rows": {split: plan.rows for split, plan in plans.items()} or None,
            "global_batch_size": self.spec.fit.global_batch_size,
            "per_worker_batch_size": self.per_worker_batch_sizes,
            "steps_per_epoch": train.steps if train else None,
            "dropped_rows": train.dropped if train else None,
            "tier": self.tier,
            "tier_reason": self.tier_reason,
            "promise": self.promise,
            "splits": {
                split: {
                    "rows": plan.rows,
                    "steps": plan.steps,
                    "rows_per_worker": list(plan.rows_per_worker),
                    "dropped": plan.dropped,
                }
                for split, plan in plans.items()
            },
        }


def plan(job: CheckedJob, *, address: str | None = None, compared: Sequence[int] = (), look: bool = False) -> Plan:
    """The plan of a job; nothing is started, sent or written.

    Args:
        job: the job, read and checked.
        address: what `--address` was given.
        compared: numbers of workers to foresee an epoch's time for, where there are several.
        look: whether to read the data here; `Plan.look.frame()` is what was found as a frame.

    Raises:
        SpecError: the job could never run there, or its folder cannot be uploaded.
        ClusterIncompatible: the cluster has another Ray or Python.
        UsageError: the address cannot be one of a dashboard.
    """
    loaded = job.loaded
    upload = prepare(loaded)
    target = find_target(loaded.spec.scaling, address)
    tier, why = _foreseen_tier(loaded.spec, job.facts, target)
    several = tuple(compared) if len(compared) > 1 else ()
    return Plan(
        spec=stored_where_said(loaded.spec, target.address),
        facts=job.facts,
        target=target,
        upload=upload,
        tier=tier,
        tier_reason=why,
        compared=several,
        scaling=foresee(loaded, several) if several else None,
        look=look_at_data(loaded) if look else None,
    )


def _foreseen_tier(spec: JobSpec, facts: JobFacts, target: Target) -> tuple[Tier | None, str]:
    """The tier that the rows would be kept in there, if that can be told yet, and why.

    Raises:
        SpecError: the tier that is asked for cannot hold them, or leaves no CPU to read them with.
    """
    scaling = spec.scaling
    capacity = capacity_of(target.nodes, workers=scaling.workers)
    tier, why = foresee_tier(facts.bytes, capacity, cache=spec.data.cache)
    if tier is not None and target.nodes:
        check_free_cpus(
            tier,
            cluster_cpus=capacity.cpus,
            workers=scaling.min_workers or scaling.workers,
            cpus_per_worker=scaling.cpus_per_worker,
        )
    return tier, why
