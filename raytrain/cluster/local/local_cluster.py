"""The local cluster: a real Ray head with a dashboard, started as a daemon of its own and stopped exactly.

It differs from a cluster elsewhere in nothing that a job could notice: jobs reach it through the same Jobs API. It
keeps its files in a folder of its own, listens on this machine alone, and leaves other Ray clusters on the machine be.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from raytrain.cluster.address import DASHBOARD_PORT
from raytrain.cluster.auth import Tokens, make_token
from raytrain.cluster.http import Transport
from raytrain.cluster.jobs_api import JobsApi
from raytrain.cluster.local import cluster_processes
from raytrain.cluster.local.cluster_record import LocalCluster, locked_record, read_record, record_path, write_record
from raytrain.cluster.local.machine import free_port, is_free, logical_cpus, temp_dir
from raytrain.cluster.local.ray_start import start_command, start_environment
from raytrain.errors import ClusterError, Problem
from raytrain.files import state_dir

# A start that fails ends by itself: this ends only one that hangs, on a machine however slow.
START_TIMEOUT_S = 300.0
_STOP_GRACE_S = 2.0
_POLL_S = 0.05
_ASK_TIMEOUT_S = 20.0
# Another process took the dashboard's port between our look and Ray's; the 30 s passed that Ray gives itself.
_WORTH_ANOTHER_START = ("already occupied", "timed out during startup")
# The processes without which a Ray head is none.
_VITAL = ("gcs_server", "raylet", "dashboard.py")
Progress = Callable[[str], None]


def start(
    *,
    cpus: int | None = None,
    gpus: int | None = None,
    timeout_s: float = START_TIMEOUT_S,
    progress: Progress | None = None,
    environ: Mapping[str, str] | None = None,
) -> LocalCluster:
    """The local cluster, ready to take a job: the one that runs already, or a new one.

    Args:
        cpus: logical CPUs; by default as many as this machine has, and 4 at least (see `machine.logical_cpus`). An
            argument that a running cluster does not meet is left unheard; `down` first.
        gpus: logical GPUs; by default those that Ray finds.
        timeout_s: how long the start may take.
        progress: told in a few words what is being done.
        environ: the environment to start it with; this process's own when left out.

    Raises:
        ClusterError: it does not start; the problem quotes the end of its log.
    """
    environ = os.environ if environ is None else environ
    with locked_record(environ, timeout_s=timeout_s + 10):
        record = read_record(environ)
        if record and record.is_alive:
            return record
        if record:
            _stop(record, environ)
        cpus = cpus or logical_cpus()
        if progress:
            progress(f"starting a local Ray cluster with {cpus} CPUs")
        return _start(cpus, gpus, time.monotonic() + timeout_s, environ)


def running(environ: Mapping[str, str] | None = None) -> LocalCluster | None:
    """The local cluster that raytrain started, if it lives; a record that outlived its cluster counts for nothing."""
    record = read_record(environ)
    return record if record and record.is_alive else None


def stop(environ: Mapping[str, str] | None = None) -> bool:
    """Ends every process of the local cluster and forgets it; whether there was one alive.

    Raises:
        ClusterError: a process of it would not end.
    """
    environ = os.environ if environ is None else environ
    if not record_path(environ).exists():
        return False
    with locked_record(environ, timeout_s=START_TIMEOUT_S + 10):
        record = read_record(environ)
        if record is None:
            record_path(environ).unlink(missing_ok=True)
            return False
        return _stop(record, environ)


class _StartAgain(Exception):
    """This start came to nothing, and another may come to something."""


def _start(cpus: int, gpus: int | None, deadline: float, environ: Mapping[str, str]) -> LocalCluster:
    ports = [DASHBOARD_PORT] if is_free(DASHBOARD_PORT) else []
    for port in [*ports, free_port(), free_port()]:
        try:
            return _start_on(port, cpus, gpus, deadline, environ)
        except _StartAgain as failed:
            why = str(failed)
    raise _start_failed(why, state_dir(environ) / "local.log")


def _start_on(port: int, cpus: int, gpus: int | None, deadline: float, environ: Mapping[str, str]) -> LocalCluster:
    mark, folder = uuid.uuid4().hex, temp_dir()
    environment = start_environment(environ, mark)
    has_token = environment["RAY_AUTH_MODE"].strip().lower() == "token"
    if has_token:
        make_token(environ)
    log = state_dir(environ) / "local.log"
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            start_command(port, folder, cpus, gpus),
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        ray_session = _wait_until_ready(url, folder, daemon, deadline, environ, log)
    except BaseException:
        cluster_processes.end(cluster_processes.cluster_processes(mark, session=daemon.pid), grace_s=0)
        daemon.wait()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    cluster = LocalCluster(
        url=url,
        ray_session=ray_session,
        temp_dir=str(folder),
        session=daemon.pid,
        mark=mark,
        processes=_vital_processes(mark, daemon.pid),
        started_at=time.time(),
        cpus=cpus,
        gpus=gpus,
        python=sys.executable,
        log=str(log),
        has_token=has_token,
    )
    write_record(cluster, environ)
    return cluster


def _wait_until_ready(
    url: str, folder: Path, daemon: subprocess.Popen[bytes], deadline: float, environ: Mapping[str, str], log: Path
) -> str:
    """Ray's name of the session, once the Jobs API and the agent that starts jobs answer."""
    tokens = Tokens(environ)
    patient = Transport(url, tokens=tokens, connect_timeout_s=_ASK_TIMEOUT_S, read_timeout_s=_ASK_TIMEOUT_S)
    api = JobsApi(url, transport=patient)
    ray_session, answer = "", "nothing answers"
    while time.monotonic() < deadline:
        if daemon.poll():
            ended = f"ray start ended with code {daemon.returncode}"
            if any(words in _tail(log) for words in _WORTH_ANOTHER_START):
                raise _StartAgain(ended)
            raise _start_failed(ended, log)
        try:
            ray_session = ray_session or _own_session(api, folder)
            # `ray start` itself ends when it has started everything, shortly before or after the agent is ready.
            if daemon.poll() == 0 and any(api.agent_ready(node.node_id) for node in api.nodes()):
                return ray_session
        except ClusterError as error:  # it is not ready yet; what it said last is told if it never is
            answer = str(error)
        time.sleep(_POLL_S)
    raise _start_failed(f"a local Ray cluster that was not ready in time ({answer})", log)


def _own_session(api: JobsApi, folder: Path) -> str:
    """The session's name, which is also that of its folder; a cluster that answers with another is not ours."""
    session = api.versions().session
    if not (folder / session).exists():
        raise _StartAgain(f"another Ray cluster on {api.url}")
    return session


def _start_failed(got: str, log: Path) -> ClusterError:
    fix = f"its log is {log}; the last lines:\n{_tail(log)}"
    return ClusterError(Problem(got=got, expected="a local Ray head", fix=fix))


def _tail(log: Path) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    except OSError:
        return ""


def _vital_processes(mark: str, session: int) -> tuple[cluster_processes.ProcessId, ...]:
    """The processes that the record names, told from the others by their command line."""
    import psutil

    vital = []
    for member in cluster_processes.cluster_processes(mark, session=session):
        try:
            words = " ".join(member.cmdline()[:3])
        except psutil.Error:
            continue
        name = next((name for name in _VITAL if name in words), None)
        known = cluster_processes.identify(member)
        if name and known:
            vital.append(replace(known, name=name))
    return tuple(vital)


def _session_of(record: LocalCluster) -> int | None:
    """The session's id while it is surely the cluster's: later, another process may have been given the same."""
    alive = filter(cluster_processes.is_alive, record.processes)
    is_ours = any(cluster_processes.session_of(process.pid) == record.session for process in alive)
    return record.session if is_ours else None


def _stop(record: LocalCluster, environ: Mapping[str, str]) -> bool:
    was_alive = record.is_alive
    left = []
    # A second look finds what was being started during the first.
    for _ in range(3):
        members = cluster_processes.cluster_processes(record.mark, session=_session_of(record))
        if not members:
            break
        left = cluster_processes.end(members, grace_s=_STOP_GRACE_S)
    if left:
        raise ClusterError(
            Problem(
                got=f"processes of the local cluster that do not end: {', '.join(str(item.pid) for item in left)}",
                expected="all of them to end",
                fix="run raytrain down again",
            )
        )
    record_path(environ).unlink(missing_ok=True)
    shutil.rmtree(record.temp_dir, ignore_errors=True)
    return was_alive
