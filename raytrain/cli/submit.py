"""`raytrain submit`: trains a job on a Ray cluster, and follows it to its end unless told not to."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from raytrain.cli import options
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output
from raytrain.client.read_job import overrides_of, read_job
from raytrain.errors import ExitCode

if TYPE_CHECKING:
    from raytrain.client.submit import Submitted
    from raytrain.run.summary import RunSummary


def command(
    job: options.Job,
    set_: options.Set = None,
    name: options.Name = None,
    workers: options.Workers = None,
    storage: options.Storage = None,
    address: options.Address = None,
    wait: options.Wait = True,
    detach: options.Detach = False,
    attached: options.Attached = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "--dryrun", help="Show the plan; start nothing.")] = False,
    timeout: options.Timeout = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; submit asks nothing today.")] = False,
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> ExitCode | None:
    """Train a job on a Ray cluster and follow it to its end.

    Where it goes: --address, else RAYTRAIN_ADDRESS, RAY_API_SERVER_ADDRESS, RAY_ADDRESS, a cluster running on this
    machine, else a local cluster that is started and stays up until raytrain down.

    With --no-wait stdout holds the run's id alone. Ctrl-C while waiting leaves the run alone; with --attached it stops
    the run. A run whose driver is lost is submitted again while this waits, as often as restarts.driver says.

    Exit code 0 SUCCEEDED, 3 job refused, 4 cluster unreachable, 10 FAILED, 11 STOPPED, 12 unknown, 124 timed out.
    """
    submitted_at = time.time()
    out = Output(json=wants_json(json, output), quiet=quiet)
    loaded, facts = read_job(job, overrides=set_, name=name, workers=workers, storage=storage)
    if dry_run:
        from raytrain.cli.plan import print_plan

        print_plan(loaded, facts, address, out)
        return None
    from raytrain.client.submit import submit

    overrides = overrides_of(set_, name=name, workers=workers, storage=storage)
    submitted = submit(loaded, address=address, overrides=overrides, submitted_at=submitted_at, progress=out.say)
    out.warn(*(f"warning: {warning}" for warning in submitted.warnings))
    if not wait or detach:
        _print_pending(submitted, out)
        return None
    from raytrain.cli.attend import attend

    out.say(f"run {submitted.run}", f"dashboard: {submitted.request.dashboard_url}")
    return attend(
        submitted.record,
        _begun(submitted),
        out,
        stream=sys.stderr,
        timeout_s=timeout,
        verbose=verbose,
        attached=attached,
        resubmits=True,
    )


def _print_pending(submitted: Submitted, out: Output) -> None:
    if out.json:
        out.result_json(_begun(submitted).to_json())
        return
    out.result(submitted.run)
    out.say(
        f"dashboard: {submitted.request.dashboard_url}",
        f"next:  raytrain watch {submitted.run}    raytrain stop {submitted.run}",
    )


def _begun(submitted: Submitted) -> RunSummary:
    """What is known of the run when the cluster has just taken it."""
    from raytrain.client.known_run import begun

    summary, spec = begun(submitted.record), submitted.request.spec
    summary.workers = spec.scaling.workers
    summary.global_batch_size = spec.fit.global_batch_size
    summary.epochs_planned = spec.fit.epochs
    return summary
