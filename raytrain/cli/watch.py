"""`raytrain watch`: follows a run until it ends."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

from raytrain.cli import options
from raytrain.cli.attend import attend, may_resubmit, resubmit
from raytrain.cli.display.run_result import exit_code
from raytrain.cli.follow import Deadline, say_detached
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output
from raytrain.client import known_run
from raytrain.client.watch import Gatherer, Idle, StatusChange, Verdict, watch
from raytrain.errors import ExitCode, StateUnknown
from raytrain.run.events import SCHEMA_VERSION, Event
from raytrain.run.run_status import Reason, RunStatus


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
    A run whose driver is lost is submitted again while this watches, as often as restarts.driver says.
    Exit code 0 SUCCEEDED, 10 FAILED, 11 STOPPED, 12 unknown, 124 when --timeout passed.
    """
    out = Output(json=wants_json(json, output), quiet=quiet)
    record = known_run.find(run, address=address, storage=storage)
    if not out.json:
        summary = known_run.begun(record)
        return attend(record, summary, out, stream=sys.stdout, timeout_s=timeout, verbose=verbose, resubmits=True)
    deadline = Deadline(record.run, timeout)
    try:
        while True:
            gatherer = known_run.gatherer(record)
            try:
                last = _print_events(gatherer, out, deadline)
            except StateUnknown:  # where the cluster answers, it was started anew and knows no job of the old one
                if not (gatherer.answered and may_resubmit(record, gatherer.attempt)):
                    raise
            else:
                if last.reason != Reason.DRIVER_LOST or not may_resubmit(record, gatherer.attempt):
                    return exit_code(last.status)
            record = resubmit(record, gatherer.attempt, out)
    except KeyboardInterrupt:
        say_detached(record.run, out)
        raise


def _print_events(gatherer: Gatherer, out: Output, deadline: Deadline) -> Verdict:
    """One object a line: every event as it stands in the log, and every change of the status."""
    last = Verdict(status=RunStatus.UNKNOWN)
    for item in watch(gatherer):
        if isinstance(item, StatusChange):
            last = item
        if not isinstance(item, Idle):
            out.result_json(item_object(item), indent=None)
        if not (isinstance(item, StatusChange) and item.final):
            deadline.check()
    return last


def item_object(item: Event | StatusChange) -> dict[str, Any]:
    kind = item.type if isinstance(item, Event) else "status"
    return {"schema_version": SCHEMA_VERSION, "type": kind, **asdict(item)}
