"""The `raytrain` command: knows every verb's name and one-line help, and imports a verb's module only to run it.

`raytrain --help`, a usage error and shell completion of verbs therefore import nothing but Typer. Help is Typer's plain
text form: rich would double the time that `--help` takes.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from raytrain import __version__
from raytrain.errors import ExitCode

VERBS = {
    "init": "Write a new job folder that runs as it is.",
    "validate": "Check a job without a cluster, and say what was checked.",
    "check": "Train a few steps in one process and on workers, and compare.",
    "plan": "Show what submit would do: shards, resources, cluster, upload.",
    "submit": "Train a job on a Ray cluster and follow it to its end.",
    "watch": "Follow a run until it ends, or several.",
    "status": "Show where a run stands.",
    "list": "List the runs submitted from this machine, newest first.",
    "logs": "Print the log of a run's driver or of one worker.",
    "metrics": "Print or plot a run's metrics, one row an epoch.",
    "compare": "Compare runs: metrics, and what differs between them.",
    "report": "Write a run as one HTML page to keep.",
    "ui": "Show runs as pages on this machine: list, filter, compare.",
    "wait": "Wait until a run ends; the exit code tells how.",
    "stop": "Stop a run and wait until it has stopped.",
    "extend": "Go on from a finished run's whole state, as a new run.",
    "export": "Write a run's model for another runtime.",
    "resume": "Take up a run that has ended or was lost.",
    "evaluate": "Hold a run's model against its test rows, or others.",
    "predict": "Let a run's model answer rows, into files.",
    "tag": "Name a run, such as digits:production.",
    "fetch": "Copy a run's model, metrics, spec and logs to this machine.",
    "delete": "Delete a run that has ended, or all but the newest.",
    "doctor": "Look a cluster over: versions, GPUs, storage, ports, sums.",
    "context": "Name clusters and storages, and choose where jobs go.",
    "up": "Start a local Ray cluster, or find the one already up.",
    "monitor": "Write what Prometheus and Grafana need to show runs.",
    "down": "Stop the local Ray cluster that raytrain started.",
}


class LazyVerbs(TyperGroup):
    """A Typer group whose verbs are names and one line each until one of them is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for verb, line in VERBS.items():
            self.add_command(TyperCommand(verb, help=line, rich_markup_mode=None))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that `args` begin with, loaded; Typer calls this to run it, to show its help and to complete it."""
        verb, command, rest = super().resolve_command(ctx, args)
        return verb, load_verb(verb) if verb else command, rest


def load_verb(verb: str) -> Any:
    """The Typer command made of the function `command` in the verb's module, behind the error boundary."""
    from raytrain.cli.boundary import guard
    from raytrain.cli.in_context import in_context

    module = importlib.import_module(f"raytrain.cli.{verb}")
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(verb)(guard(in_context(module.command) if verb != "context" else module.command))
    return typer.main.get_command(alone)


app = typer.Typer(
    name="raytrain",
    cls=LazyVerbs,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"raytrain {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """One command from a Keras model to a fault-tolerant, exact, multi-worker run on any Ray cluster.

    Begin with: raytrain init NAME, then raytrain submit NAME.

    Exit codes: 0 ok, 1 a bug in raytrain, 2 usage, 3 job refused, 4 cluster unreachable, 5 not found, 10 run FAILED,
    11 run STOPPED, 12 state unknown, 124 timed out, 130 interrupted.
    """


def main() -> None:
    """Entry point of the console script and of `python -m raytrain`."""
    _open_closed_streams()
    _show_what_can_be_shown()
    try:
        app()
    except SystemExit as leaving:
        _leave(leaving.code)
    except Exception as bug:  # noqa: BLE001  a verb that cannot even be imported
        from raytrain.cli.boundary import show_unforeseen
        from raytrain.cli.output import Output

        show_unforeseen(bug, Output())
        _leave(ExitCode.BUG)


def _open_closed_streams() -> None:
    """What a shell closed (`2>&-`) leads nowhere: Python has None there, and the next file opened its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def _show_what_can_be_shown() -> None:
    """A letter that the terminal's encoding has not becomes a question mark, instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _leave(code: object) -> None:
    """Ends the process without taking hundreds of modules apart one by one, which takes 10 ms of 150.

    Nothing here leaves work to the end of the process: whatever is opened is closed by who opened it.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
