"""Looks a cluster over before a run does: from here, and from a process on each of its nodes."""

from __future__ import annotations

import contextlib
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raytrain.client.submit import upload_package
from raytrain.client.upload.package import pack_raytrain
from raytrain.client.where_stored import storage_for
from raytrain.cluster.connect import Connection, connect
from raytrain.cluster.door import wants_token
from raytrain.cluster.jobs_api import JobsApi
from raytrain.cluster.preflight import installed_ray, this_python, version_problems
from raytrain.cluster.submission import build_probe_submission
from raytrain.doctor_protocol import Finding, finding_of
from raytrain.errors import ClusterError
from raytrain.run.object_store import is_object_store
from raytrain.run.run_status import RunStatus

TIMEOUT_S = 900.0
_LOOK_AGAIN_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What was found, in the order in which it was looked at."""

    address: str
    findings: tuple[Finding, ...]

    @property
    def fails(self) -> bool:
        """Whether a run would not go well there."""
        return any(finding.state == "fail" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """As `doctor --json` prints it."""
        findings = [finding.to_dict() for finding in self.findings]
        return {"schema_version": 1, "address": self.address, "ok": not self.fails, "findings": findings}


def doctor(
    *,
    address: str | None = None,
    storage: str | None = None,
    timeout_s: float = TIMEOUT_S,
    tell: Callable[[Finding], None] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Diagnosis:
    """Looks the cluster over; arguments and errors as of `raytrain.doctor`, and `tell` is called with each finding."""
    connection = connect(address, start_local=False, progress=progress)
    findings: list[Finding] = []
    for finding in _looked_over(connection, storage, timeout_s, progress or (lambda _: None)):
        findings.append(finding)
        if tell is not None:
            tell(finding)
    return Diagnosis(address=connection.address.url, findings=tuple(findings))


def _looked_over(
    connection: Connection, storage: str | None, timeout_s: float, progress: Callable[[str], None]
) -> Iterator[Finding]:
    where, here = connection.address, f"Ray {installed_ray()} and Python {this_python()}"
    yield Finding(check="cluster", state="ok", says=f"{where.url} answers ({where.source})")
    yield _door(connection)
    skew = version_problems(
        connection.api.versions(), client_ray=installed_ray(), client_python=this_python(), is_local=connection.is_ours
    )
    if skew:
        yield Finding(check="client", state="fail", says=f"{skew[0].got}; {here} here", fix=skew[0].fix)
        return
    yield Finding(check="client", state="ok", says=f"{here}, as there")
    yield from _from_the_nodes(connection, storage or where.storage, timeout_s, progress)


def _door(connection: Connection) -> Finding:
    """Whether strangers could run code there."""
    if wants_token(connection.address.url):
        return Finding(check="door", state="ok", says="it asks for Ray's token")
    if connection.address.is_loopback:
        return Finding(check="door", state="ok", says="it asks for no token, and is reached by this machine's address")
    fix = "start it with RAY_AUTH_MODE=token: whoever reaches a dashboard may run code on the cluster"
    return Finding(check="door", state="warn", says="it asks for no token", fix=fix)


def _from_the_nodes(
    connection: Connection, storage: str | None, timeout_s: float, progress: Callable[[str], None]
) -> Iterator[Finding]:
    api, name, ourselves = connection.api, f"raytrain-doctor-{uuid.uuid4().hex[:12]}", pack_raytrain()
    if storage is not None and not is_object_store(storage):
        storage = storage_for(storage, Path.cwd(), shares_this_machine=connection.shares_this_machine)
    upload_package(api, ourselves)
    bin_dir = str(Path(sys.executable).parent) if connection.shares_this_machine else None
    api.submit(build_probe_submission(name, storage=storage, raytrain_uri=ourselves.uri, bin_dir=bin_dir))
    progress(f"looking from the nodes ({name})")
    try:
        yield from _findings_of(api, name, time.monotonic() + timeout_s)
    finally:
        with contextlib.suppress(ClusterError):  # which has said its own already
            api.stop(name)


def _findings_of(api: JobsApi, name: str, deadline: float) -> Iterator[Finding]:
    said = 0
    while True:
        job = api.job(name)
        lines = api.logs(name).splitlines()
        found = [finding for line in lines if (finding := finding_of(line)) is not None]
        yield from found[said:]
        said = len(found)
        if job.status is RunStatus.SUCCEEDED:
            return
        if job.status.is_terminal:
            last = next((line for line in reversed(lines) if line.strip() and finding_of(line) is None), job.message)
            fix = f"the log of job {name} on the dashboard says more"
            yield Finding(check="nodes", state="fail", says=f"the look from there ended early: {last.strip()}", fix=fix)
            return
        if time.monotonic() > deadline:
            fix = "a longer --timeout, or the job's log on the dashboard, which says where it stands"
            yield Finding(check="nodes", state="fail", says="the look from there did not end in time", fix=fix)
            return
        time.sleep(_LOOK_AGAIN_S)
