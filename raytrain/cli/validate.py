"""`raytrain validate`: checks a job on this machine alone, and says what was checked."""

from __future__ import annotations

from typing import Annotated

import typer

from raytrain.cli import options
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output
from raytrain.client.api import validate
from raytrain.errors import Problem, UsageError


def command(
    job: Annotated[
        str | None, typer.Argument(metavar="JOB", help="A folder with a job.yaml, a YAML file, or - for stdin.")
    ] = None,
    set_: options.Set = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the job spec's JSON Schema, for editors.")] = False,
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
    quiet: options.Quiet = False,
) -> None:
    """Check a job without a cluster, and say what was checked.

    Nothing of the job's own Python is run. Exit code 3 when the job is refused.
    """
    out = Output(json=wants_json(json, output), quiet=quiet)
    if schema:
        from raytrain.spec.json_schema import job_json_schema

        out.result_json(job_json_schema())
        return
    if job is None:
        raise UsageError(Problem(got="no JOB", expected="raytrain validate JOB", fix="or --schema"))
    valid = validate(job, overrides=set_)
    if out.json:
        out.result_json(valid.to_dict())
        return
    out.result(f"{valid.file} is valid")
    out.say(*(f"  checked: {check}" for check in valid.checked))
    out.say("  not checked: what only Keras knows, such as its names and shapes; raytrain check does")
