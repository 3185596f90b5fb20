"""The options and arguments that several verbs share, the same everywhere."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Format(StrEnum):
    """How results are printed."""

    TEXT = "text"
    JSON = "json"


class TableFormat(StrEnum):
    """How a table is printed."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"


class Counts(tuple[int, ...]):
    """Numbers of workers, one or several."""


def _duration_s(text: str) -> float:
    """Seconds of `90`, `90s`, `15m`, `1h30m`."""
    from raytrain.spec.value_types import parse_duration_s

    try:
        value = parse_duration_s(f"{text}s" if text.replace(".", "", 1).isdigit() else text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    assert isinstance(value, float)
    return value


def _counts(text: str) -> Counts:
    """Whole numbers from 1 on, between commas."""
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise typer.BadParameter(f"{text!r} is no number of workers, nor several such as 1,2,4,8")
    return Counts(int(part) for part in parts)


def _complete_run(incomplete: str) -> list[str]:
    """Ids for the shell's completion, the latest first, from this machine's index alone."""
    from raytrain.client.registry import remembered

    return [record.run for record in reversed(remembered(beginning=incomplete))]


Job = Annotated[str, typer.Argument(metavar="JOB", help="A folder with a job.yaml, a YAML file, or - for stdin.")]
Runs = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN",
        help="Ids of runs, unambiguous beginnings of them, @last, or directories.",
        autocompletion=_complete_run,
    ),
]
Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run's id, an unambiguous beginning of it, @last, NAME:TAG, or its directory.",
        autocompletion=_complete_run,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON; the same as -o json.")]
OutputFormat = Annotated[Format, typer.Option("--output", "-o", help="How results are printed.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results, warnings and errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the driver's job log on stderr, too.")]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Ray's dashboard, http://HOST:8265; else RAYTRAIN_ADDRESS, Ray's own, this machine's cluster.",
    ),
]
Storage = Annotated[str | None, typer.Option(metavar="DIR", help="The directory that holds the runs' directories.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Override a field, as in fit.epochs=3; may be repeated."),
]
Name = Annotated[str | None, typer.Option(metavar="NAME", help="The job's name; the same as --set name=NAME.")]
Workers = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="How many workers; the same as --set scaling.workers=N.")
]
WorkerCounts = Annotated[
    Counts | None,
    typer.Option(
        "--workers", metavar="N[,N…]", parser=_counts, help="How many workers; several foresee an epoch on each."
    ),
]
TaskWorkers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", min=1, help="How many share the rows; as in training if left out."),
]
Cpus = Annotated[float | None, typer.Option("--cpus-per-worker", metavar="N", help="Else as in training.")]
Gpus = Annotated[float | None, typer.Option("--gpus-per-worker", metavar="N", help="Else as in training; 0 for CPUs.")]
BatchSize = Annotated[int | None, typer.Option(metavar="N", min=1, help="Rows of each call of the model.")]
OutputKind = Annotated[str | None, typer.Option(metavar="KIND", help="Of a folder's files: parquet, csv or json.")]
Columns = Annotated[
    str | None,
    typer.Option(metavar="A,B", help="Of the input, written beside the answers; all single values if left out."),
]
Data = Annotated[bool, typer.Option("--data", help="Look at the data, too: columns, values, classes, suspicions.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the run to its end.")]
Detach = Annotated[bool, typer.Option("--detach", "-d", help="The same as --no-wait.")]
Attached = Annotated[
    bool,
    typer.Option("--attached", help="Ctrl-C stops the run politely, so that it can be resumed, instead of detaching."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", "--dryrun", help="Show the plan; start nothing.")]
FastDevRun = Annotated[
    bool, typer.Option("--fast-dev-run", help="Put one batch of each split through everything; keep nothing of it.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")]
Timeout = Annotated[
    float | None,
    typer.Option(
        metavar="DURATION", parser=_duration_s, help="Stop waiting after this long (90, 15m, 1h); the run goes on."
    ),
]


def wants_json(json: bool, output: Format | TableFormat) -> bool:
    """Whether results are JSON: `--json`, or `-o json`."""
    return json or output == Format.JSON
