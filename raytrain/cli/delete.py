"""`raytrain delete`: deletes runs that have ended, one by name, or all but the newest."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from raytrain import formatting
from raytrain.cli import options
from raytrain.cli.output import Output
from raytrain.client.delete import Deletion, beyond, deletion_of
from raytrain.client.find_run import find
from raytrain.errors import ExitCode, Problem, UsageError


def command(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="As elsewhere; left out beside --keep.")] = None,
    keep: Annotated[
        int | None, typer.Option("--keep", metavar="N", min=0, help="All that have ended but the newest N of each job.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="With --keep: of this job alone.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "--dryrun", help="Tell what goes; delete nothing.")] = False,
    yes: options.Yes = False,
    address: options.Address = None,
    storage: options.Storage = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> ExitCode | None:
    """Delete a run that has ended, or all but the newest.

    With --keep, the newest N of each job stay. A run that goes on, or has a tag, is never deleted. Asks first.
    """
    out = Output(json=json, quiet=quiet)
    if (run is None) == (keep is None):
        raise UsageError(Problem(got="a run and --keep" if run else "neither", expected="a run, or --keep N"))
    if run is not None:
        found = [deletion_of(find(run, address=address, storage=storage))]
    else:
        found = beyond(keep or 0, name=name, storage=storage)
    if found and not (dry_run or yes or _agreed(found, out)):
        return ExitCode.INTERRUPTED
    for deletion in () if dry_run else found:
        deletion.carry_out()
    if out.json:
        out.result_json({"schema_version": 1, "dry_run": dry_run, "deleted": [each.to_dict() for each in found]})
        return None
    out.result(*map(str, found))
    out.say("nothing was deleted" if dry_run or not found else "deleted")
    return None


def _agreed(found: list[Deletion], out: Output) -> bool:
    if not sys.stdin.isatty():
        got, fix = "nobody to ask", "--yes deletes without asking, --dry-run tells what goes"
        raise UsageError(Problem(got=got, expected="a terminal", fix=fix))
    out.warn(*map(str, found))
    return typer.confirm(f"delete {formatting.plural(len(found), 'run')}?", err=True)
