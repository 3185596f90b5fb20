"""`raytrain compare`: runs beside each other."""

from __future__ import annotations

import shutil

from raytrain.cli import options
from raytrain.cli.display.compare_table import compare_lines
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output
from raytrain.client.comparison import compare


def command(
    run: options.Runs,
    address: options.Address = None,
    storage: options.Storage = None,
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
    quiet: options.Quiet = False,
) -> None:
    """Compare runs: metrics, and what differs between them.

    Two runs or more: what they came to, and what is not the same in spec, code, versions and data.
    """
    out = Output(json=wants_json(json, output), quiet=quiet)
    found = compare(*run, address=address, storage=storage)
    if out.json:
        out.result_json(found.to_dict())
    else:
        out.result(*compare_lines(found, width=shutil.get_terminal_size().columns))
