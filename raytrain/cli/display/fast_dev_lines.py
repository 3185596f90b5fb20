"""What came of a fast dev run: what was done on stdout, why it failed on stderr, and the exit code."""

from __future__ import annotations

from raytrain.cli.display.run_result import exit_code
from raytrain.cli.output import Output
from raytrain.client.display.failure_lines import failure_lines, failure_object, failure_title
from raytrain.client.fast_dev_run import fast_dev_run
from raytrain.client.read_job import CheckedJob
from raytrain.errors import ExitCode, Problem, UsageError


def try_out(
    job: CheckedJob, out: Output, *, wait: bool, address: str | None, submitted_at: float, timeout_s: float | None
) -> ExitCode:
    """Tries the job; prints one object with `--json`, else some lines.

    Raises:
        UsageError: nobody waits for it.
        RaytrainError: as `raytrain.client.fast_dev_run.fast_dev_run`.
    """
    if not wait:
        got, expected = (
            "--fast-dev-run and --no-wait",
            "one of them: what the trial leaves is removed when it has ended",
        )
        raise UsageError(Problem(got=got, expected=expected))
    tried = fast_dev_run(job, address=address, submitted_at=submitted_at, timeout_s=timeout_s, progress=out.say)
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
