"""`raytrain tag`: gives a run a name such as digits:production, takes it away, and lists the names."""

from __future__ import annotations

from typing import Annotated

import typer

from raytrain.cli import options
from raytrain.cli.options import wants_json
from raytrain.cli.output import Output
from raytrain.client.find_run import find
from raytrain.client.tags import Tag, all_tags, tag_run, tags_of, untag_run
from raytrain.errors import Problem, UsageError


def command(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="Left out, all tags are listed.")] = None,
    tag: Annotated[str | None, typer.Argument(metavar="[TAG]", help="Left out, the run's tags are listed.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the tag from the run.")] = False,
    address: options.Address = None,
    storage: options.Storage = None,
    json: options.Json = False,
    output: options.OutputFormat = options.Format.TEXT,
    quiet: options.Quiet = False,
) -> None:
    """Name a run, such as digits:production.

    After raytrain tag RUN production, NAME:production stands wherever a run is named, for the run of job NAME. A tag
    has one run a job: given to another, it moves there. Tags lie in the storage beside the runs, for all who see it.
    """
    out = Output(json=wants_json(json, output), quiet=quiet)
    if remove and tag is None:
        raise UsageError(Problem(got="--remove without a tag", expected="raytrain tag RUN TAG --remove"))
    record = find(run, address=address, storage=storage) if run is not None else None
    if record is None or tag is None:
        _print(all_tags(storage) if record is None else tags_of(record), out)
    elif remove:
        gone = untag_run(record, tag)
        _print([], out)
        out.say(f"{gone.run} is {gone.name}:{gone.tag} no more")
    else:
        made, before = tag_run(record, tag)
        _print([made], out)
        out.say(*([f"it was {before} before"] if before else []))


def _print(tags: list[Tag], out: Output) -> None:
    if out.json:
        out.result_json({"schema_version": 1, "tags": [tag.to_dict() for tag in tags]})
    else:
        out.result(*(f"{tag.name}:{tag.tag}  {tag.run}" for tag in tags))
