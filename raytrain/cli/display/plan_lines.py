"""The plan of a job in lines: what it is, how its rows are divided, where it would go, and what would travel."""

from __future__ import annotations

from collections.abc import Iterator

from raytrain import formatting
from raytrain.cli.display.look_lines import look_lines
from raytrain.cli.output import Output
from raytrain.client.forecast import Scaling
from raytrain.client.plan import Plan
from raytrain.spec.describe_job import data_words, model_words
from raytrain.spec.job import JobSpec

Line = tuple[str, str]


def print_plan(plan: Plan, out: Output) -> None:
    """Prints the object or the lines on stdout, and warnings on stderr."""
    if out.json:
        out.result_json(plan.to_dict())
        return
    out.result(f"{plan.spec.name}: the plan")
    out.result(*(f"  {label:<10} {text}" for label, text in plan_lines(plan)))
    if plan.look:
        out.result("", *look_lines(plan.look))
    out.say("nothing was started or sent; raytrain submit does it")
    out.warn(*(f"warning: {warning}" for warning in plan.target.warnings))


def plan_lines(plan: Plan) -> Iterator[Line]:
    """Label and text of each line; what is not known yet is said in words."""
    spec, target, upload = plan.spec, plan.target, plan.upload
    yield "model", model_words(spec)
    yield "data", data_words(spec)
    yield from _shard_lines(plan)
    resources = ", ".join(f"{amount:g} {name}" for name, amount in plan.resources_per_worker.items() if amount)
    yield "workers", f"{spec.scaling.workers}, each with {resources}"
    yield "cluster", f"{target.address.url or 'none yet'} ({target.address.source}){target.size}"
    yield "storage", spec.storage
    yield "upload", f"{formatting.plural(len(upload.plan.files), 'file')}, {formatting.size(upload.plan.bytes)}"
    if upload.base_model:
        yield "", f"and the base model {upload.base_model}, {formatting.size(upload.base_model.stat().st_size)}"
    if plan.compared:
        yield from scaling_lines(plan.scaling)


def scaling_lines(scaling: Scaling | None) -> Iterator[Line]:
    """An epoch's time on each number of workers, the assumptions last."""
    if scaling is None:
        yield "epoch", "no run of this job was timed yet; two epochs are enough: --set fit.epochs=2"
        return
    for number, prediction in enumerate(scaling.predictions):
        count = formatting.plural(prediction.workers, "worker")
        text = f"{count}: {formatting.seconds(prediction.epoch_s)}, efficiency {prediction.efficiency:.0%}"
        yield "epoch" if number == 0 else "", text
    measured = scaling.measured
    timed = f"{formatting.seconds(measured.epoch_s)} on {formatting.plural(measured.workers, 'worker')}"
    yield "", f"foreseen from {scaling.run}, {timed}; a ring all-reduce of {formatting.size(measured.gradient_bytes)}"
    yield "", f"a step over {scaling.link.name}, hidden behind nothing; data in time; the global batch kept"


def _shard_lines(plan: Plan) -> Iterator[Line]:
    spec, plans = plan.spec, plan.facts.plans
    splits = ["train", *(split for split in ("validation", "test") if getattr(spec.data, split) is not None)]
    known = [f"{formatting.count(plans[split].rows)} {split}" for split in splits if split in plans]
    unknown = [split for split in splits if split not in plans]
    if unknown:
        known.append(f"{', '.join(unknown)}: unknown until the cluster has read the source")
    yield "rows", ", ".join(known)
    yield "batch", f"{spec.fit.global_batch_size} rows, {_per_worker(plan.per_worker_batch_sizes)}"
    if spec.fit.overfit_batches is not None:
        batches = formatting.plural(spec.fit.overfit_batches, "batch", "batches")
        yield "overfit", f"the first {batches} alone, in their order; validation on the same rows, no test"
    yield "tier", f"{plan.tier} ({plan.tier_reason})" if plan.tier else plan.tier_reason
    yield "answer", plan.promise
    if spec.scaling.workers > 1:
        yield "", "raytrain check holds workers against one process, on first rows and on this machine"
    train = plans.get("train")
    if train is None:
        yield "epochs", f"{spec.fit.epochs}; the steps of each follow from the rows"
        return
    yield "epochs", f"{spec.fit.epochs} of {formatting.plural(train.steps, 'step')}{_last_batch(train.rows, spec)}"
    yield "left out", f"{formatting.plural(train.dropped, 'row')} of every epoch" if train.dropped else "no row"


def _per_worker(sizes: list[int]) -> str:
    least, most = min(sizes), max(sizes)
    rows = f"{least}" if least == most else f"{least} or {most}"
    return f"{rows} on each of {formatting.plural(len(sizes), 'worker')}"


def _last_batch(rows: int, spec: JobSpec) -> str:
    rest = rows % spec.fit.global_batch_size
    return f", the last of {formatting.plural(rest, 'row')}" if rest and not spec.data.drop_remainder else ""
