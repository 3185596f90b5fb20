"""`raytrain submit`: trains a job on a Ray cluster, and follows it to its end unless told not to."""

from __future__ import annotations

import sys
import time

from raytrain.cli import options
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output
from raytrain.client.read_job import read_job
from raytrain.errors import ExitCode


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
    dry_run: options.DryRun = False,
    fast_dev_run: options.FastDevRun = False,
    timeout: options.Timeout = None,
    yes: options.Yes = False,
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> ExitCode | None:
    """Train a job on a Ray cluster and follow it to its end.

    Where it goes: --address, else RAYTRAIN_ADDRESS, RAY_API_SERVER_ADDRESS, RAY_ADDRESS, a cluster running on this
    machine, else a local cluster that is started and stays up until raytrain down.
    With --no-wait stdout holds the run's id alone. Ctrl-C while waiting leaves the run alone, unless --attached. A run
    whose driver is lost is submitted again while this waits, as often as restarts.driver says.

    Exit code 0 SUCCEEDED, 3 job refused, 4 cluster unreachable, 10 FAILED, 11 STOPPED, 12 unknown, 124 timed out.
    """
    began, out = time.time(), Output(json=wants_json(json, output), quiet=quiet)
    given = read_job(job, overrides=set_, name=name, workers=workers, storage=storage)
    if dry_run:
        from raytrain.cli.display.plan_lines import print_plan
        from raytrain.client.plan import plan

        print_plan(plan(given, address=address), out)
        return None
    if fast_dev_run:
        from raytrain.cli.display.fast_dev_lines import try_out

        return try_out(given, out, wait=wait and not detach, address=address, submitted_at=began, timeout_s=timeout)
    from raytrain.cli.follow import follow_submitted
    from raytrain.client.submit import submit

    submitted = submit(given.loaded, address=address, overrides=given.overrides, submitted_at=began, progress=out.say)
    stream = sys.stderr if wait and not detach else None
    return follow_submitted(submitted, out, stream=stream, timeout_s=timeout, verbose=verbose, attached=attached)
