"""`raytrain watch`: follows a run, or several, until it ends."""

from __future__ import annotations

import sys

from raytrain.cli import options
from raytrain.cli.follow import follow_to_end, print_items
from raytrain.cli.follow_several import follow_several
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output
from raytrain.client.find_run import find
from raytrain.client.run_view import RunView
from raytrain.errors import ExitCode, Problem, UsageError


def command(
    run: options.Runs,
    address: options.Address = None,
    storage: options.Storage = None,
    timeout: options.Timeout = None,
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> ExitCode:
    """Follow a run until it ends, or several.

    A live table on a terminal, in which several stand side by side; a line an epoch elsewhere; with --json one event a
    line. Ctrl-C leaves the runs alone. A run whose driver is lost is submitted again while this watches, as often as
    restarts.driver says. Exit code 0 SUCCEEDED, 10 FAILED, 11 STOPPED, 12 unknown, 124 when --timeout passed; of
    several runs, that of the first which did not succeed.
    """
    out = Output(json=wants_json(json, output), quiet=quiet)
    view, *others = [RunView(find(name, address=address, storage=storage)) for name in dict.fromkeys(run)]
    if others and verbose:
        raise UsageError(Problem(got="--verbose with several runs", expected="one run, whose log is shown"))
    if others:
        return follow_several([view, *others], out, stream=sys.stdout, timeout_s=timeout)
    if out.json:
        return print_items(view, out, timeout_s=timeout)
    return follow_to_end(view, out, stream=sys.stdout, timeout_s=timeout, verbose=verbose, resubmits=True)
