"""What came of a fast dev run: what was done on stdout, why it failed on stderr, and the exit code."""

from __future__ import annotations

from raytrain.cli.display.run_result import exit_code
from raytrain.cli.output import Output
from raytrain.client.display.failure_lines import failure_lines, failure_object, failure_title
from raytrain.client.fast_dev_run import FastDevRun
from raytrain.errors import ExitCode


def print_trial(tried: FastDevRun, out: Output) -> ExitCode:
    """One object with `--json`, else some lines; warnings of the trial are told, too."""
    summary = tried.summary
    if out.json:
        out.result_json(tried.to_dict())
    else:
        out.result(*tried.lines, *(f"  warning    {text}" for text in summary.warnings))
    if not tried.is_fine and out.json:
        out.error_json(failure_object(summary))
    elif not tried.is_fine:
        out.panel(failure_title(summary), failure_lines(summary))
    out.say(tried.kept or "nothing of it is kept")
    return exit_code(summary.status)
