"""Ray's dashboard as this program uses it: jobs, packages, log files, nodes and versions over its REST API.

The endpoints are Ray 2.60's (`ray/dashboard/modules`); integration tests ask each of them on a real cluster.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from raytrain.cluster.auth import Tokens
from raytrain.cluster.http import Transport, last_line, was_lost
from raytrain.cluster.submission import FINGERPRINT, Submission
from raytrain.errors import ClusterError, NotFound, Problem
from raytrain.run.run_status import RunStatus

# The driver mirrors a run's events into this file of the session's log folder, for clients that cannot see the storage.
MIRROR = "raytrain-{submission_id}.jsonl"

_SUBMIT_TRIES = 4
_TRY_AGAIN_S = 0.5
_SUBMIT_TIMEOUT_S = 60.0
_UPLOAD_TIMEOUT_S = 300.0
# The agent that starts jobs registers a second or two after the dashboard answers; Ray itself waits 10 s for it.
_NO_AGENT_YET = ("No available agent", "Failed to get head node agent", "Agent info not found")


@dataclass(frozen=True, kw_only=True)
class Versions:
    """What runs on the cluster. `python` is None where the cluster does not tell."""

    ray: str
    python: str | None
    session: str


@dataclass(frozen=True, kw_only=True)
class JobInfo:
    """One job as Ray's Jobs API tells of it; times in seconds since the epoch."""

    submission_id: str
    status: RunStatus
    message: str
    entrypoint: str
    metadata: dict[str, str] = field(default_factory=dict)
    start_time: float | None = None
    end_time: float | None = None
    error_type: str | None = None
    driver_exit_code: int | None = None
    driver_node_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class NodeInfo:
    """A node that is alive. `resources`: what it has in all, in Ray's names (`CPU`, `GPU`, …)."""

    node_id: str
    ip: str
    is_head: bool
    resources: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class HeadInfo:
    """The head node. `metrics_url`: the Prometheus endpoint of the node."""

    hostname: str
    session_dir: str
    metrics_url: str


class JobsApi:
    """One cluster's dashboard. Every call raises ClusterUnreachable where nobody answers in time."""

    def __init__(self, url: str, *, tokens: Tokens | None = None, transport: Transport | None = None) -> None:
        self._http = transport or Transport(url, tokens=tokens)
        self._driver_nodes: dict[str, str] = {}

    @property
    def url(self) -> str:
        return self._http.url

    # --- jobs

    def submit(self, submission: Submission) -> None:
        """Starts a job. A lost reply is asked for again under the same id, so that the job runs once.

        Raises:
            ClusterError: another job has this id, or Ray refuses the job.
        """
        for left in reversed(range(_SUBMIT_TRIES)):
            try:
                self._http.send("POST", "/api/jobs/", json=submission.to_json(), read_timeout_s=_SUBMIT_TIMEOUT_S)
            except ClusterError as error:
                if "already exists" in str(error):
                    self._check_is_ours(submission)
                    return
                again = was_lost(error) or any(words in str(error) for words in _NO_AGENT_YET)
                if not again or not left:
                    raise
                time.sleep(_TRY_AGAIN_S)
            else:
                return

    def _check_is_ours(self, submission: Submission) -> None:
        there = self.job(submission.submission_id)
        if there.metadata.get(FINGERPRINT) == submission.fingerprint:
            return
        raise ClusterError(
            Problem(
                got=f"another job named {submission.submission_id} on {self.url}",
                expected="an id that no job has yet",
                fix="submit again; a new run gets a new id",
            )
        )

    def job(self, submission_id: str) -> JobInfo:
        """Raises NotFound where the cluster knows no such job."""
        response = self._http.send("GET", f"/api/jobs/{submission_id}", accept=(200, 404))
        if response.status_code == 404:
            raise self._no_such_job(submission_id, response.text)
        return self._noted(self._http.json_of(response, _job_info))

    def jobs(self) -> list[JobInfo]:
        """Every job that was submitted to the cluster, in the order of submission."""
        infos = self._http.get_json(
            "/api/jobs/", lambda rows: [_job_info(row) for row in rows if row.get("type") == "SUBMISSION"]
        )
        return sorted(infos, key=lambda info: info.start_time or 0.0)

    def stop(self, submission_id: str) -> bool:
        """Asks a job to stop; false when it had ended already. Raises NotFound where there is no such job."""
        response = self._http.send("POST", f"/api/jobs/{submission_id}/stop", accept=(200, 404))
        if response.status_code == 404:
            raise self._no_such_job(submission_id, response.text)
        return self._http.json_of(response, lambda body: bool(body["stopped"]))

    def logs(self, submission_id: str) -> str:
        """What the driver has printed so far; raises NotFound where there is no such job."""
        response = self._http.send("GET", f"/api/jobs/{submission_id}/logs", accept=(200, 404))
        if response.status_code == 404:
            raise self._no_such_job(submission_id, response.text)
        return self._http.json_of(response, lambda body: str(body["logs"] or ""))

    def _noted(self, info: JobInfo) -> JobInfo:
        if info.driver_node_id:
            self._driver_nodes[info.submission_id] = info.driver_node_id
        return info

    def _no_such_job(self, submission_id: str, text: str) -> ClusterError | NotFound:
        if submission_id not in text:
            return ClusterError(
                Problem(got=f"HTTP 404 from {self.url}", expected="Ray's Jobs API", fix=last_line(text))
            )
        return NotFound(
            Problem(
                got=f"no job {submission_id} on {self.url}",
                expected="a job that was submitted there",
                fix="raytrain list shows the runs; another cluster may have it, see --address",
            )
        )

    # --- packages

    def package_exists(self, uri: str) -> bool:
        """Whether `gcs://NAME.zip` is there; if so, Ray keeps it for another 10 minutes."""
        protocol, _, name = uri.partition("://")
        return self._http.send("GET", f"/api/packages/{protocol}/{name}", accept=(200, 404)).status_code == 200

    def upload_package(self, uri: str, content: bytes) -> None:
        """Raises UploadTooLarge past the dashboard's 100 MiB."""
        protocol, _, name = uri.partition("://")
        self._http.send("PUT", f"/api/packages/{protocol}/{name}", data=content, read_timeout_s=_UPLOAD_TIMEOUT_S)

    # --- log files

    def log_file(self, node_id: str, filename: str, *, offset: int = 0, tail_lines: int | None = None) -> bytes | None:
        """A file of the session's log folder on a node, as its raw bytes; None where file or node is not there.

        Args:
            offset: leave so many bytes at its beginning out. Ray has no such parameter, so they still travel.
            tail_lines: only so many lines at its end.
        """
        params: dict[str, str | int] = {"node_id": node_id, "filename": filename, "lines": tail_lines or -1}
        response = self._http.send("GET", "/api/v0/logs/file", params=params, accept=(200, 500))
        if response.status_code == 200:  # with nothing in it for a missing file, too, at times
            return bytes(response.content[offset:]) if response.content else None
        if "not found" in response.text or "doesn't exist" in response.text:
            return None
        raise ClusterError(
            Problem(got=f"no log {filename}: {last_line(response.text)}", expected="the file on the cluster")
        )

    def event_lines(self, submission_id: str) -> list[str]:
        """The complete lines of the driver's mirror of the event log; none where there is no mirror yet."""
        if submission_id not in self._driver_nodes:
            self.job(submission_id)
        node_id = self._driver_nodes.get(submission_id)
        content = self.log_file(node_id, MIRROR.format(submission_id=submission_id)) if node_id else None
        return (content or b"").decode("utf-8", errors="replace").split("\n")[:-1]

    # --- the cluster itself

    def versions(self) -> Versions:
        """Raises ClusterUnreachable where something else than Ray answers."""
        ray, session = self._http.get_json(
            "/api/version", lambda body: (str(body["ray_version"]), str(body.get("session_name", "")))
        )
        return Versions(ray=ray, session=session, python=self._python())

    def _python(self) -> str | None:
        """The cluster's Python, which older Rays do not tell."""
        response = self._http.send("GET", "/api/v0/cluster_metadata", accept=(200, 404, 500))
        if response.status_code != 200:
            return None
        version = self._http.json_of(response, lambda body: (body.get("data") or {}).get("pythonVersion"))
        return str(version) if version else None

    def nodes(self) -> list[NodeInfo]:
        """The nodes that are alive."""
        return self._http.get_json("/api/v0/nodes", _alive_nodes, params={"limit": 10_000})

    def autoscales(self) -> bool:
        """Whether nodes come and go with demand, so that today's nodes are not all that the cluster can ever have.

        Ray tells no maximum. Without an autoscaler every node is of a type of its own, named after the node.
        """
        types = self._http.get_json("/api/cluster_status", _node_types)
        if any(kind != f"node_{node}" for node, kind in types.items()):
            return True
        return any(raylet.get("nodeTypeName") for raylet, _ in self._node_summaries())

    def head(self) -> HeadInfo | None:
        """The head node; None in the first second, while the dashboard has not heard of it."""
        for raylet, summary in self._node_summaries():
            if raylet.get("isHeadNode"):
                return HeadInfo(
                    hostname=str(summary.get("hostname") or raylet.get("nodeManagerHostname") or ""),
                    session_dir=str(raylet.get("sessionDir") or ""),
                    metrics_url=f"http://{raylet.get('nodeManagerAddress')}:{raylet.get('metricsExportPort')}/metrics",
                )
        return None

    def agent_ready(self, node_id: str) -> bool:
        """Whether the node's agent answers, without which the node neither starts a job nor shows a log."""
        response = self._http.send(
            "GET", "/api/v0/logs", params={"node_id": node_id, "glob": "none"}, accept=(200, 500)
        )
        return response.status_code == 200

    def _node_summaries(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        return self._http.get_json("/nodes", _raylets, params={"view": "summary"})


# How replies are read: what is not of Ray's shape breaks on the way, of which `Transport.json_of` makes an error.


def _job_info(row: Mapping[str, Any]) -> JobInfo:
    return JobInfo(
        submission_id=str(row.get("submission_id") or row.get("job_id") or ""),
        status=RunStatus(row["status"]),
        message=str(row.get("message") or ""),
        entrypoint=str(row.get("entrypoint") or ""),
        metadata={str(key): str(value) for key, value in (row.get("metadata") or {}).items()},
        start_time=_seconds(row.get("start_time")),
        end_time=_seconds(row.get("end_time")),
        error_type=row.get("error_type"),
        driver_exit_code=row.get("driver_exit_code"),
        driver_node_id=row.get("driver_node_id"),
    )


def _alive_nodes(body: Any) -> list[NodeInfo]:
    return [
        NodeInfo(
            node_id=row["node_id"],
            ip=row["node_ip"],
            is_head=bool(row["is_head_node"]),
            resources={name: float(amount) for name, amount in (row["resources_total"] or {}).items()},
        )
        for row in body["data"]["result"]["result"]
        if row["state"] == "ALIVE"
    ]


def _node_types(body: Any) -> dict[str, str]:
    status = (body.get("data") or {}).get("clusterStatus") or {}
    types = (status.get("autoscalerReport") or {}).get("nodeTypeMapping") or {}
    return {str(node): str(kind) for node, kind in types.items()}


def _raylets(body: Any) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Of each node what its raylet says, and all that is said of it."""
    return [(dict(row.get("raylet") or {}), dict(row)) for row in (body.get("data") or {}).get("summary") or []]


def _seconds(milliseconds: int | None) -> float | None:
    return milliseconds / 1000 if milliseconds else None
