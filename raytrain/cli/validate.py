"""`raytrain validate`: checks a job on this machine alone, and says what was checked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from raytrain import formatting
from raytrain.cli import options
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output
from raytrain.client.read_job import read_job
from raytrain.errors import Problem, UsageError

if TYPE_CHECKING:
    from raytrain.spec.checks import JobFacts
    from raytrain.spec.job import JobSpec

SCHEMA_VERSION = 1


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
    loaded, facts = read_job(job, overrides=set_)
    if out.json:
        checks = list(_checks(loaded.spec, facts))
        out.result_json({"schema_version": SCHEMA_VERSION, "name": loaded.spec.name, "valid": True, "checked": checks})
        return
    out.result(f"{loaded.file} is valid")
    out.say(*(f"  checked: {check}" for check in _checks(loaded.spec, facts)))


def _checks(spec: JobSpec, facts: JobFacts) -> Iterator[str]:
    yield "every field's name and type"
    yield f"the model ({spec.model.kind}) and every file and function that the job refers to; none was run"
    if facts.rows is None:
        yield "the data's names; its rows are counted on the cluster"
    else:
        splits = {name: rows for name, rows in vars(facts.rows).items() if rows}
        yield "the data: " + ", ".join(f"{formatting.count(rows)} {name} rows" for name, rows in splits.items())
    batch = f"global batch {spec.fit.global_batch_size}"
    yield f"the shards: {formatting.plural(spec.scaling.workers, 'worker')}, {batch}"
