"""`raytrain watch`: follows a run until it ends."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

from raytrain.cli import options, runs
from raytrain.cli.follow import Deadline, follow_to_end, open_display, say_detached
from raytrain.cli.options import Format, wants_json
from raytrain.cli.outcome import exit_code
from raytrain.cli.output import Output
from raytrain.errors import ExitCode
from raytrain.events.types import SCHEMA_VERSION, Event
from raytrain.run import RunStatus
from raytrain.watcher import Gatherer, Idle, StatusChange, watch


def command(
    run: options.Run,
    address: options.Address = None,
    storage: options.Storage = None,
    timeout: options.Timeout = None,
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> ExitCode:
    """Follow a run until it ends.

    A live table on a terminal, a line an epoch elsewhere; with --json one event a line. Ctrl-C leaves the run alone.
    Exit code 0 SUCCEEDED, 10 FAILED, 11 STOPPED, 12 unknown, 124 when --timeout passed.
    """
    out = Output(json=wants_json(json, output), quiet=quiet)
    record = runs.find(run, address=address, storage=storage)
    gatherer = runs.gatherer(record)
    if not out.json:
        job_log = runs.job_log(record) if verbose else None
        display = open_display(sys.stdout, out)
        summary = runs.begun(record)
        return follow_to_end(gatherer, summary, out, display=display, timeout_s=timeout, job_log=job_log)
    try:
        return exit_code(_print_events(gatherer, out, Deadline(record.run, timeout)))
    except KeyboardInterrupt:
        say_detached(record.run, out)
        raise


def _print_events(gatherer: Gatherer, out: Output, deadline: Deadline) -> RunStatus:
    """One object a line: every event as it stands in the log, and every change of the status."""
    status = RunStatus.UNKNOWN
    for item in watch(gatherer):
        if isinstance(item, StatusChange):
            status = item.status
        if not isinstance(item, Idle):
            out.result_json(item_object(item), indent=None)
        if not (isinstance(item, StatusChange) and item.final):
            deadline.check()
    return status


def item_object(item: Event | StatusChange) -> dict[str, Any]:
    kind = item.type if isinstance(item, Event) else "status"
    return {"schema_version": SCHEMA_VERSION, "type": kind, **asdict(item)}
