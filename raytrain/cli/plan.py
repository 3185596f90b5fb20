"""`raytrain plan`: what `submit` would do, before anything is started, sent or spent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from raytrain import formatting
from raytrain.cli import options
from raytrain.cli.display.shard_lines import shard_lines, shards_object
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output
from raytrain.client.forecast import foresee, scaling_lines, scaling_object
from raytrain.client.read_job import read_job

if TYPE_CHECKING:
    from raytrain.client.submit import Upload
    from raytrain.client.target_cluster import Target
    from raytrain.spec.checks import JobFacts
    from raytrain.spec.job import JobSpec
    from raytrain.spec.load import LoadedJob
    from raytrain.spec.tier_choice import Tier


def command(
    job: options.Job,
    set_: options.Set = None,
    name: options.Name = None,
    workers: options.WorkerCounts = None,
    storage: options.Storage = None,
    address: options.Address = None,
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
    quiet: options.Quiet = False,
) -> None:
    """Show what submit would do: shards, resources, cluster, upload.

    Nothing is started, sent or written. A job that the cluster could never run is refused here, too. With several
    --workers, the first ones are planned for, and an epoch's time is foreseen for all.
    """
    out = Output(json=wants_json(json, output), quiet=quiet)
    first = workers[0] if workers else None
    loaded, facts = read_job(job, overrides=set_, name=name, workers=first, storage=storage)
    print_plan(loaded, facts, address, out, compared=workers or ())


def print_plan(
    job: LoadedJob, facts: JobFacts, address: str | None, out: Output, *, compared: Sequence[int] = ()
) -> None:
    """Prints the plan of a job; also for `submit --dry-run`.

    Args:
        compared: numbers of workers to foresee an epoch's time for, where there are several.

    Raises:
        SpecError: the job could never run there, or its folder cannot be uploaded.
        ClusterIncompatible: the cluster has another Ray or Python.
    """
    from raytrain.client.submit import prepare
    from raytrain.client.target_cluster import find_target

    parcel = prepare(job)
    target = find_target(job.spec.scaling, address)
    scaling = foresee(job, compared) if len(compared) > 1 else None
    if out.json:
        out.result_json(_plan_object(job.spec, facts, target, parcel) | {"scaling": scaling_object(scaling)})
        return
    out.result(f"{job.spec.name}: the plan")
    out.result(*(f"  {label:<10} {text}" for label, text in _plan_lines(job.spec, facts, target, parcel)))
    if len(compared) > 1:
        out.result(*(f"  {label:<10} {text}" for label, text in scaling_lines(scaling)))
    out.say("nothing was started or sent; raytrain submit does it")
    out.warn(*(f"warning: {warning}" for warning in target.warnings))


def _plan_lines(spec: JobSpec, facts: JobFacts, target: Target, parcel: Upload) -> Iterator[tuple[str, str]]:
    from raytrain.spec.describe_job import data_words, model_words

    yield "model", model_words(spec)
    yield "data", data_words(spec)
    yield from shard_lines(spec, facts, *foreseen_tier(spec, facts, target))
    yield "workers", f"{spec.scaling.workers}, each with {_resources(spec)}"
    yield "cluster", f"{target.address.url or 'none yet'} ({target.address.source}){target.size}"
    yield "storage", spec.storage
    yield "upload", f"{formatting.plural(len(parcel.plan.files), 'file')}, {formatting.size(parcel.plan.bytes)}"
    if parcel.base_model:
        yield "", f"and the base model {parcel.base_model}, {formatting.size(parcel.base_model.stat().st_size)}"


def _plan_object(spec: JobSpec, facts: JobFacts, target: Target, parcel: Upload) -> dict[str, Any]:
    base_model = parcel.base_model
    return {
        "schema_version": 1,
        "name": spec.name,
        **shards_object(spec, facts, *foreseen_tier(spec, facts, target)),
        "epochs": spec.fit.epochs,
        "workers": spec.scaling.workers,
        "resources_per_worker": _resource_amounts(spec),
        "address": target.address.url or None,
        "address_source": target.address.source,
        "starts_local_cluster": target.address.starts_local,
        "storage": spec.storage,
        "upload": {
            "files": len(parcel.plan.files),
            "bytes": parcel.plan.bytes,
            "largest": [{"path": file.path, "bytes": file.bytes} for file in parcel.plan.largest],
            "base_model": str(base_model) if base_model else None,
        },
        "warnings": list(target.warnings),
        "spec": spec.model_dump(mode="json", exclude_none=True),
    }


def foreseen_tier(spec: JobSpec, facts: JobFacts, target: Target) -> tuple[Tier | None, str]:
    """The tier that the rows would be kept in there, if that can be told yet, and why.

    Raises:
        SpecError: the tier that is asked for cannot hold them, or leaves no CPU to read them with.
    """
    from raytrain.spec.tier_choice import capacity_of, check_free_cpus, foresee_tier

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


def _resource_amounts(spec: JobSpec) -> dict[str, float]:
    scaling = spec.scaling
    return {"CPU": scaling.cpus_per_worker, "GPU": scaling.gpus_per_worker, **scaling.resources_per_worker}


def _resources(spec: JobSpec) -> str:
    return ", ".join(f"{amount:g} {name}" for name, amount in _resource_amounts(spec).items() if amount)
