"""The processes that a check starts on this machine: started, watched, and all ended with it, whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import raytrain
from raytrain.check_protocol import MODULE, CheckFolder
from raytrain.errors import Failure

if TYPE_CHECKING:
    import psutil

_LOOK_EVERY_S = 0.05
_STACKS_WITHIN_S = 5.0
_LAST_LINES = 5
_NOT_THE_USERS = ("starting", "importing", "waiting")  # phases
_TENSORFLOWS = re.compile(r"[IWE]\d{4} |\d{4}-\d\d-\d\d .*: [IWE] |WARNING: All log messages before absl")
# What would make of a check's processes something else: members of a cluster, users of its accelerators.
_NOT_INHERITED = ("TF_CONFIG", "RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_JOB_CONFIG_JSON_ENV_VAR", "RAY_NAMESPACE")
_OUR_ENV = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """A process that did not come to its end, and why not."""

    role: str
    failure: Failure


class CheckProcesses:
    """A context that leaves no process behind.

    Args:
        env_vars: the job's own.
        silence_s: how long a process may do one thing before it is taken for hung, but for what no user's code is in.
    """

    def __init__(self, folder: CheckFolder, *, env_vars: Mapping[str, str], silence_s: float) -> None:
        self._folder = folder
        self._environ = child_environment(os.environ, env_vars)
        self._silence_s = silence_s
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end(list(self._started))

    def start(self, roles: Sequence[str]) -> None:
        """Starts them; one that has been started before begins anew."""
        self.end(roles)
        for role in roles:
            self._folder.end(role).unlink(missing_ok=True)
            with self._folder.log(role).open("wb") as log:
                self._started[role] = subprocess.Popen(
                    [sys.executable, "-P", "-m", MODULE, role, str(self._folder.root)],
                    stdin=subprocess.PIPE,  # nobody writes to it: it ends with this process
                    stdout=log,
                    stderr=log,
                    cwd=self._folder.root,
                    env=self._environ,
                    start_new_session=True,  # Ctrl-C is this process' to handle
                )

    def wait_until_reading(self, role: str) -> None:
        """Waits until it reads, or has ended: a Ray that starts beside several TensorFlows may find no time to."""
        process, end = self._started[role], self._folder.end(role)
        while not (self._phase(role).startswith("reading") or end.exists() or process.poll() is not None):
            time.sleep(_LOOK_EVERY_S)

    def wait(self, roles: Sequence[str]) -> Stopped | None:
        """Waits until all have done their part, or one has failed: the first that did."""
        while True:
            waiting = [role for role in roles if not self._folder.end(role).exists()]
            failed = [role for role in roles if role not in waiting and self._told(role) is not None]
            if failed:
                first = min(failed, key=lambda role: self._folder.end(role).stat().st_mtime_ns)
                failure = self._told(first)
                assert failure is not None
                return Stopped(role=first, failure=failure)
            for role in waiting:
                if failure := self._crashed(role) or self._hung(role):
                    return Stopped(role=role, failure=failure)
            if not waiting:
                return None
            time.sleep(_LOOK_EVERY_S)

    def end(self, roles: Sequence[str]) -> None:
        """Ends them at once, and all that they have started."""
        processes = [self._started.pop(role) for role in roles if role in self._started]
        running = [process for process in processes if process.returncode is None]
        below = [child for process in running for child in _children(process.pid)]
        for process in running:
            _kill_group(process.pid)
        for child in below:
            with contextlib.suppress(_gone()):
                child.kill()
        for process in processes:
            process.wait()
            if process.stdin:
                process.stdin.close()

    def _told(self, role: str) -> Failure | None:
        body = json.loads(self._folder.end(role).read_text())
        return None if body is None else Failure.from_json(body)

    def _crashed(self, role: str) -> Failure | None:
        """That a process is gone without a word."""
        code = self._started[role].poll()
        if code is None or self._folder.end(role).exists():
            return None
        _kill_group(self._started[role].pid)  # what it has started and left
        how = f"exit code {code}"
        if code < 0:
            with contextlib.suppress(ValueError):
                how = signal.Signals(-code).name
        output = self._folder.log(role).read_text(errors="replace")
        file, line = next(lines_in(output, self._folder.job), (None, None))
        said = last_words(output)
        message = f"the process ended ({how}), {self._phase(role)}" + (f"; its last words: {said}" if said else "")
        return Failure(kind="Crashed", message=message, file=file, line=line)

    def _hung(self, role: str) -> Failure | None:
        """That a process has not come on for too long, with the user's line that it is in."""
        phase = self._phase(role)
        if phase.startswith(_NOT_THE_USERS) or self._silent_s(role) <= self._silence_s:
            return None
        file, line = self._line_of(role)
        return Failure(
            kind="Hung",
            message=f"the process has not come on for {self._silence_s:g} s, {phase}",
            fix="--set watchdog.setup=1h, or so, gives it more time",
            file=file,
            line=line,
        )

    def _phase(self, role: str) -> str:
        try:
            return self._folder.phase(role).read_text().partition(" ")[2]
        except OSError:
            return "starting"

    def _silent_s(self, role: str) -> float:
        for path in (self._folder.phase(role), self._folder.log(role)):
            with contextlib.suppress(OSError):
                return time.time() - path.stat().st_mtime
        return 0.0

    def _line_of(self, role: str) -> tuple[str | None, int | None]:
        """Of the user's code, where the process is now: it writes its stacks into its log when it is asked to."""
        log, process = self._folder.log(role), self._started[role]
        before = log.stat().st_size
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGUSR1)
        until = time.monotonic() + _STACKS_WITHIN_S
        while log.stat().st_size == before and time.monotonic() < until:
            time.sleep(_LOOK_EVERY_S)
        time.sleep(_LOOK_EVERY_S)  # until all of it is there
        return next(lines_in(log.read_text(errors="replace")[before:], self._folder.job), (None, None))


def child_environment(environ: Mapping[str, str], env_vars: Mapping[str, str]) -> dict[str, str]:
    """What a process of a check finds: the job's own variables, this very raytrain, no cluster and no GPU.

    Args:
        env_vars: the job's, which may name variables of this machine as `${NAME}`.
    """
    kept = {name: value for name, value in environ.items() if name not in _NOT_INHERITED}
    own = {
        name: re.sub(r"\$\{(\w+)\}", lambda named: kept.get(named[1], ""), value) for name, value in env_vars.items()
    }
    made = {"RAY_AUTH_MODE": "disabled", "TF_CPP_MIN_LOG_LEVEL": "2", **kept, **own, **_OUR_ENV}
    package = str(Path(raytrain.__file__).resolve().parent.parent)
    made["PYTHONPATH"] = os.pathsep.join(part for part in (package, made.get("PYTHONPATH")) if part)
    return made


def last_words(output: str) -> str:
    """The end of what a process has printed before the stacks of its threads, without TensorFlow's own remarks."""
    lines = output.partition("Fatal Python error")[0].splitlines()
    said = [line for line in lines if line.strip() and not _TENSORFLOWS.match(line)]
    return "\n".join(said[-_LAST_LINES:])


def lines_in(stacks: str, folder: Path) -> Iterator[tuple[str, int]]:
    """The user's files and lines in what `faulthandler` wrote, the innermost first."""
    for name, line in re.findall(r'File "([^"]+)", line (\d+)', stacks):
        if Path(name).is_relative_to(folder):
            yield str(Path(name).relative_to(folder)), int(line)


def _kill_group(pid: int) -> None:
    """Ends all that a process has started, and itself; of an earlier one the number is not yet another's."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _children(pid: int) -> list[psutil.Process]:
    import psutil

    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _gone() -> type[Exception]:
    import psutil

    return psutil.Error
