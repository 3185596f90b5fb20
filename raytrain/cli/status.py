"""`raytrain status`: where a run stands, from its directory and, while it goes on, from its cluster."""

from __future__ import annotations

from raytrain.cli import options
from raytrain.cli.display.run_result import exit_code, print_run
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output
from raytrain.client.api import get
from raytrain.errors import ExitCode


def command(
    run: options.Run,
    address: options.Address = None,
    storage: options.Storage = None,
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
    quiet: options.Quiet = False,
) -> ExitCode:
    """Show where a run stands.

    Exit code 0 while it goes on and when it SUCCEEDED, 10 FAILED, 11 STOPPED, 12 when that cannot be known now.
    """
    out = Output(json=wants_json(json, output), quiet=quiet)
    summary = get(run, address=address, storage=storage).summary()
    print_run(summary, out)
    return exit_code(summary.status)
