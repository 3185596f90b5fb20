"""`raytrain ui`: all runs as pages on this machine."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from raytrain.cli import options
from raytrain.cli.output import Output
from raytrain.client.ui.serve import ui


def command(
    storage: options.Storage = None,
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="Of 127.0.0.1; 0 takes a free one.")] = 0,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show runs as pages on this machine: list, filter, compare.

    The runs submitted from this machine, or with --storage those in that directory; pages of runs that go on renew
    themselves. The address that is printed has a token in it, without which nothing is shown. Ctrl-C ends it.
    """
    out = Output(json=json, quiet=quiet)
    with ui(storage=storage, port=port) as pages:
        if out.json:
            out.result_json(pages.to_dict())
        else:
            out.result(pages.url)
            out.say("Ctrl-C ends it")
        if open_browser:
            webbrowser.open(pages.url)
        pages.wait()
