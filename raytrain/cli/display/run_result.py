"""What a run came to: the object or the verdict on stdout, why it failed on stderr, and the exit code."""

from __future__ import annotations

from raytrain.cli.output import Output
from raytrain.client.display.failure_lines import failure_lines, failure_object, failure_title
from raytrain.client.display.run_phrases import next_steps, verdict
from raytrain.errors import ExitCode
from raytrain.run.run_status import RunStatus
from raytrain.run.summary import RunSummary

_EXIT_CODES = {
    RunStatus.SUCCEEDED: ExitCode.OK,
    RunStatus.FAILED: ExitCode.RUN_FAILED,
    RunStatus.STOPPED: ExitCode.RUN_STOPPED,
    RunStatus.UNKNOWN: ExitCode.STATE_UNKNOWN,
}


def exit_code(status: RunStatus) -> ExitCode:
    """The exit code of a command that waited for a run, or asked how it stands; a run that goes on is no failure."""
    return _EXIT_CODES.get(status, ExitCode.OK)


def print_run(summary: RunSummary, out: Output) -> None:
    """How the run stands on stdout; why it failed, and next steps, on stderr."""
    print_summary(summary, out)
    failed = summary.status is RunStatus.FAILED
    if failed and out.json:
        out.error_json(failure_object(summary))
    elif failed:
        out.panel(failure_title(summary), failure_lines(summary))
    if not out.json:
        out.say(*next_steps(summary))


def print_summary(summary: RunSummary, out: Output) -> None:
    """One object with `--json`, else the verdict."""
    if out.json:
        out.result_json(summary.to_dict())
    else:
        out.result(*verdict(summary))
