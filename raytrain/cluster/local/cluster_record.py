"""What raytrain remembers of the local cluster that it started, in one file of the state directory, and its lock."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from raytrain.cluster.local.cluster_processes import ProcessId, is_alive
from raytrain.errors import ClusterError, Problem
from raytrain.files import state_dir, write_whole

_SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class LocalCluster:
    """A Ray head that raytrain started on this machine.

    Attributes:
        url: the dashboard's.
        ray_session: Ray's name of the session; also the name of its folder in `temp_dir`.
        session: the session id (`getsid`) of the processes.
        mark: the value of `processes.MARK` in their environment.
        processes: those that must live for the cluster to live.
        cpus, gpus: the logical resources it was started with; None where Ray counted the GPUs itself.
        python: the interpreter it was started with, whose environment the jobs run in.
        has_token: it asks for one; those that an earlier raytrain started do not.
    """

    url: str
    ray_session: str
    temp_dir: str
    session: int
    mark: str
    processes: tuple[ProcessId, ...]
    started_at: float
    cpus: int
    gpus: int | None
    python: str
    log: str
    has_token: bool = False

    @property
    def is_alive(self) -> bool:
        return bool(self.processes) and all(map(is_alive, self.processes))

    @property
    def session_dir(self) -> Path:
        return Path(self.temp_dir) / self.ray_session


def record_path(environ: Mapping[str, str] | None = None) -> Path:
    return state_dir(environ) / "local.json"


def read_record(environ: Mapping[str, str] | None = None) -> LocalCluster | None:
    """The cluster on record, alive or not; None where there is no record that can be read."""
    try:
        body = json.loads(record_path(environ).read_text())
        if body.pop("schema_version") != _SCHEMA_VERSION:
            return None
        processes = tuple(ProcessId(**process) for process in body.pop("processes"))
        return LocalCluster(processes=processes, **body)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_record(cluster: LocalCluster, environ: Mapping[str, str] | None = None) -> None:
    path = record_path(environ)
    path.parent.mkdir(parents=True, exist_ok=True)
    body = {"schema_version": _SCHEMA_VERSION, **dataclasses.asdict(cluster)}
    write_whole(path, json.dumps(body, indent=2) + "\n")


@contextmanager
def locked_record(environ: Mapping[str, str], *, timeout_s: float) -> Iterator[None]:
    """Holds the record to itself: one process at a time starts or stops the local cluster; one that dies lets go.

    Raises:
        ClusterError: another process has held it for `timeout_s`, or the lock's file cannot be made.
    """
    from filelock import FileLock, Timeout

    path = state_dir(environ) / "local.lock"
    lock = FileLock(path)
    try:
        lock.acquire(timeout=timeout_s)
    except Timeout:
        raise ClusterError(_held(path, timeout_s)) from None
    except OSError as error:
        raise ClusterError(_unwritable(path, error)) from None
    try:
        yield
    finally:
        lock.release()


def _unwritable(path: Path, error: OSError) -> Problem:
    return Problem(
        got=f"{path}, which cannot be written ({error.strerror or error})",
        expected="a folder in which to keep what is known of the local cluster",
        fix="set RAYTRAIN_STATE_DIR to a folder of yours, or --address to a cluster that runs",
    )


def _held(path: Path, timeout_s: float) -> Problem:
    return Problem(
        got=f"another raytrain that has been starting or stopping the local cluster for {timeout_s:g} s",
        expected="it to be done by now",
        fix=f"look for a raytrain process that hangs; it holds {path}",
    )
