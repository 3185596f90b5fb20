"""The process that tells a job's trackers, as the driver starts and ends it.

Runs in: the driver. A process of its own, since MLflow's client alone takes seconds to import, and since whatever a
tracker does then, or however long it takes, the driver neither waits for it nor fails with it.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Self

from raytrain.run.job_log import say
from raytrain.run.run_paths import RunPaths
from raytrain.spec.request import JobRequest

# How long the end of a run waits for trackers that are slow, or take a large model.
_END_WITHIN_S = 60.0


class TrackersProcess:
    """A context: once begun, the trackers are told until it is left, and then what is left; not for ever."""

    def __init__(self, request: JobRequest, paths: RunPaths, *, end_within_s: float = _END_WITHIN_S) -> None:
        self._request, self._paths, self._end_within_s = request, paths, end_within_s
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Starts it, where the job has trackers; the request is in the run's directory by now."""
        if not self._request.spec.tracking:
            return
        # -P: a file of the user's named like one of the trackers' packages is not imported in its place.
        command = [sys.executable, "-P", "-m", "raytrain.driver.trackers", str(self._paths.root), self._paths.uri or ""]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        except OSError as error:
            say(f"warning: the trackers are told nothing: {error}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """No event follows: waits until the trackers are told what there is, or for as long as they may take."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            code = process.wait(self._end_within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if code:
            say(f"warning: the trackers were not told all; later: {told_later(self._paths)}")


def told_later(paths: RunPaths) -> str:
    """The command that tells a run's trackers what they missed."""
    return f"python -m raytrain.driver.trackers {paths.shown()}"
