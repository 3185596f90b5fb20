"""`raytrain down`: stops the local Ray cluster that raytrain started, and no other."""

from __future__ import annotations

from raytrain.cli import options
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output
from raytrain.client.clusters import down


def command(
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
    quiet: options.Quiet = False,
) -> None:
    """Stop the local Ray cluster that raytrain started.

    No other cluster is touched. With nothing running this says so, and is no error. Runs on it end with it.
    """
    out = Output(json=wants_json(json, output), quiet=quiet)
    done = down()
    if out.json:
        out.result_json(done.to_dict())
    else:
        out.say("the local cluster is stopped" if done.stopped else "no local cluster of raytrain's is running")
