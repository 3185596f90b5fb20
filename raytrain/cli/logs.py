"""`raytrain logs`: the log of a run's driver or of one worker, from the run's directory, else from the cluster."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from raytrain.cli import options
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output, clean
from raytrain.client import known_run
from raytrain.client.watch import watch


def command(
    run: options.Run,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing until the run ends.")] = False,
    tail: Annotated[int | None, typer.Option(metavar="N", min=0, help="Begin with the last N lines only.")] = None,
    rank: Annotated[
        int | None, typer.Option(metavar="R", min=0, help="The worker of this rank, instead of the driver.")
    ] = None,
    attempt: Annotated[int | None, typer.Option(metavar="N", min=1, help="Of this attempt; else of the last.")] = None,
    address: options.Address = None,
    storage: options.Storage = None,
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
) -> None:
    """Print the log of a run's driver or of one worker.

    With --json one object a line: {"run", "attempt", "rank", "line"}; rank is null for the driver.
    """
    out = Output(json=wants_json(json, output))
    record = known_run.find(run, address=address, storage=storage)
    gatherer = known_run.gatherer(record)
    gatherer.step(ask=False)  # to know which attempt is the last
    of = attempt or gatherer.attempt
    log = known_run.log_tail(record, attempt=of, rank=rank, follow=follow)

    def show(lines: Iterable[str]) -> None:
        for line in lines:
            if out.json:
                out.result_json({"run": record.run, "attempt": of, "rank": rank, "line": clean(line)}, indent=None)
            else:
                out.result(line)

    beginning = list(log.new(last=not follow))
    show(beginning if tail is None else beginning[max(0, len(beginning) - tail) :])
    if follow:
        for _ in watch(gatherer):
            show(log.new())
        show(log.new(last=True))
