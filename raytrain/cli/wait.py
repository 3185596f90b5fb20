"""`raytrain wait`: waits, in silence, until a run has ended in whatever way."""

from __future__ import annotations

from raytrain.cli import options
from raytrain.cli.follow import follow_to_end
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output
from raytrain.client.find_run import find
from raytrain.client.run_view import RunView
from raytrain.errors import ExitCode


def command(
    run: options.Run,
    address: options.Address = None,
    storage: options.Storage = None,
    timeout: options.Timeout = None,
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
    quiet: options.Quiet = False,
) -> ExitCode:
    """Wait until a run ends; the exit code tells how.

    0 SUCCEEDED, 10 FAILED, 11 STOPPED, 12 unknown, 124 when --timeout passed.
    """
    out = Output(json=wants_json(json, output), quiet=quiet)
    view = RunView(find(run, address=address, storage=storage))
    return follow_to_end(view, out, timeout_s=timeout)
