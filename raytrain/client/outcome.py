"""What a run that was waited for came to: its summary, or the error that says why it did not succeed."""

from __future__ import annotations

from raytrain.client.display.failure_lines import failure_lines, failure_title
from raytrain.errors import RunFailed, RunStopped, StateUnknown
from raytrain.run.run_status import RunStatus
from raytrain.run.summary import RunSummary


def succeeded(summary: RunSummary) -> RunSummary:
    """The summary of a run that has ended well.

    Raises:
        RunFailed: with the user's own file and line first.
        RunStopped: it was stopped.
        StateUnknown: its end is a word of a later version's.
    """
    match summary.status:
        case RunStatus.SUCCEEDED:
            return summary
        case RunStatus.FAILED:
            logs = f'raytrain.get("{summary.run}").logs(rank=0) has all that its first worker printed'
            raise RunFailed(message="\n".join([*failure_lines(summary), failure_title(summary), logs])).of(summary)
        case RunStatus.STOPPED:
            done = f"after {len(summary.epochs)} of {summary.epochs_planned or '?'} epochs"
            again = f'raytrain.get("{summary.run}").resume() goes on with it'
            raise RunStopped(message=f"{summary.run} was stopped {done}; {again}").of(summary)
    why = "; ".join(summary.warnings) or "its end is not known"
    raise StateUnknown(message=f"{summary.run}: {why}").of(summary)
