"""A stand-in for a Ray cluster's dashboard: plain HTTP on loopback that takes a job and replays a life for it.

No Ray is behind it. It answers the endpoints that `raytrain.cluster.jobs_api` uses in the shape of Ray 2.60, and
instead of running the job it writes the events of a chosen life to the run's directory, or to the log mirror only.
"""

from __future__ import annotations

import io
import json
import re
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from raytrain.run import events
from raytrain.run.event_json import to_line
from raytrain.spec.request import REQUEST_FILE, JobRequest
from tests.cli import lives

NODE = "a" * 56


@dataclass
class Life:
    """What becomes of a submitted job.

    Attributes:
        events: written one by one, `pause_s` apart; their run and storage are made the job's own.
        status: of the job once the events are out; RUNNING stays so until the job is stopped.
        in_directory: the events stand in the run's directory, as where client and cluster share a disk.
        job_log: what the driver prints.
    """

    events: list[events.Event] = field(default_factory=lives.whole_life)
    status: str = "SUCCEEDED"
    message: str = ""
    error_type: str | None = None
    in_directory: bool = True
    pause_s: float = 0.0
    job_log: str = "a line of the driver's\n"


@dataclass
class Job:
    submission_id: str
    metadata: dict[str, str]
    status: str = "PENDING"
    message: str = "Job has not started yet."
    error_type: str | None = None
    mirror: list[str] = field(default_factory=list)
    log: str = ""
    stopped: threading.Event = field(default_factory=threading.Event)
    told: threading.Event = field(default_factory=threading.Event)


class StandIn:
    """One cluster: its jobs, its packages, and the life that awaits what is submitted; `later`, those of later jobs.

    With `always` it is no cluster any more, but a server that answers every question so. `asked`: how often somebody
    asked how a job stands.
    """

    def __init__(self, life: Life) -> None:
        self.life = life
        self.later: list[Life] = []
        self.jobs: dict[str, Job] = {}
        self.packages: dict[str, bytes] = {}
        self.requests: list[JobRequest] = []
        self.cpus = 4.0
        self.ray_version = version("ray")
        self.url = ""
        self.always: Any = None
        self.asked = 0
        self.threads: list[threading.Thread] = []

    def submit(self, body: dict[str, Any]) -> None:
        package = self.packages[body["runtime_env"]["working_dir"]]
        with zipfile.ZipFile(io.BytesIO(package)) as archive:
            [name] = [name for name in archive.namelist() if name.endswith(REQUEST_FILE)]
            request = JobRequest.model_validate_json(archive.read(name))
        life = self.later.pop(0) if self.requests and self.later else self.life
        self.requests.append(request)
        self.begin(Job(body["submission_id"], body["metadata"]), request, life)

    def begin(self, job: Job, request: JobRequest, life: Life) -> None:
        """Begins a job's life; `submit` does, and a test for a job that another command submits."""
        self.jobs[job.submission_id] = job
        thread = threading.Thread(target=self._live, args=(job, request, life), daemon=True)
        self.threads.append(thread)
        thread.start()

    def _live(self, job: Job, request: JobRequest, life: Life) -> None:
        directory = Path(request.storage).expanduser() / request.run
        job.status, job.message, job.log = "RUNNING", "Job is currently running.", life.job_log
        for event in life.events:
            if job.stopped.wait(life.pause_s):
                break
            self._write(job, _of(event, request, directory), directory)
        job.told.set()
        if life.status == "RUNNING":
            job.stopped.wait()
        if job.stopped.is_set():
            for event in lives.ending("STOPPED", "stopped_by_user"):
                self._write(job, _of(event, request, directory), directory)
            job.status, job.message = "STOPPED", "Job was intentionally stopped."
        else:
            job.status, job.message, job.error_type = life.status, life.message, life.error_type

    def _write(self, job: Job, event: events.Event, directory: Path) -> None:
        job.mirror.append(to_line(event))
        if self.life.in_directory:
            lives.write_log(directory, [event])

    def close(self) -> None:
        for job in self.jobs.values():
            job.stopped.set()
        for thread in self.threads:
            thread.join(5)


def _of(event: events.Event, request: JobRequest, directory: Path) -> events.Event:
    """The event as if the submitted run had written it."""
    moment = request.submitted_at + event.time - lives.SUBMITTED_AT
    mine: dict[str, Any] = {"run": request.run, "attempt": request.attempt, "time": moment}
    if isinstance(event, events.Submitted):
        spec = request.spec
        mine |= {"name": spec.name, "storage": str(directory), "submitted_at": request.submitted_at}
        mine |= {"epochs": spec.fit.epochs, "workers": spec.scaling.workers, "dashboard_url": request.dashboard_url}
        mine |= {"global_batch_size": spec.fit.global_batch_size}
    if isinstance(event, events.ModelSaved):
        mine["path"] = str(directory / "model.keras")
    return replace(event, **mine)


class _Handler(BaseHTTPRequestHandler):
    cluster: StandIn

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if self.cluster.always is not None:
            self._reply(self.cluster.always)
        elif match := re.fullmatch(r"/api/jobs/([^/]+)/logs", url.path):
            self._job(match[1], lambda job: {"logs": job.log})
        elif match := re.fullmatch(r"/api/jobs/([^/]+)", url.path):
            self._job(match[1], _job_row)
        elif url.path == "/api/jobs/":
            self._reply([_job_row(job) for job in self.cluster.jobs.values()])
        elif match := re.fullmatch(r"/api/packages/gcs/(.+)", url.path):
            self._reply({}, 200 if f"gcs://{match[1]}" in self.cluster.packages else 404)
        elif url.path == "/api/v0/logs/file":
            self._log_file(query["filename"])
        else:
            answer = self._fixed().get(url.path)
            self._reply(answer or {}, 200 if answer is not None else 404)

    def do_PUT(self) -> None:
        name = self.path.removeprefix("/api/packages/gcs/")
        self.cluster.packages[f"gcs://{name}"] = self._body()
        self._reply({})

    def do_POST(self) -> None:
        if match := re.fullmatch(r"/api/jobs/([^/]+)/stop", self.path):
            self._job(match[1], _stop)
            return
        body = json.loads(self._body())
        if body["submission_id"] in self.cluster.jobs:
            self._reply(f"ValueError: Job with submission_id {body['submission_id']} already exists.", 500)
            return
        self.cluster.submit(body)
        self._reply({"submission_id": body["submission_id"], "job_id": body["submission_id"]})

    def _fixed(self) -> dict[str, Any]:
        resources = {"CPU": self.cluster.cpus, "memory": 8e9, "object_store_memory": 4e9, "node:10.0.0.1": 1.0}
        node = {"node_id": NODE, "node_ip": "10.0.0.1", "is_head_node": True, "state": "ALIVE"}
        raylet = {"isHeadNode": True, "nodeManagerHostname": "elsewhere", "sessionDir": "/tmp/ray/session_of_another"}
        return {
            "/api/version": {"ray_version": self.cluster.ray_version, "version": "4", "session_name": "session_x"},
            "/api/v0/cluster_metadata": {"data": {}},
            "/api/v0/nodes": {"data": {"result": {"result": [node | {"resources_total": resources}]}}},
            "/api/cluster_status": {"data": {"clusterStatus": {"autoscalerReport": {"nodeTypeMapping": []}}}},
            "/nodes": {"data": {"summary": [{"raylet": raylet, "hostname": "elsewhere"}]}},
            "/api/v0/logs": {"data": {"result": {}}},
        }

    def _job(self, submission_id: str, answer: Any) -> None:
        self.cluster.asked += 1
        job = self.cluster.jobs.get(submission_id)
        if job is None:
            self._reply(f"Job {submission_id} does not exist", 404)
        else:
            self._reply(answer(job))

    def _log_file(self, filename: str) -> None:
        submission_id = filename.removeprefix("raytrain-").removesuffix(".jsonl")
        job = self.cluster.jobs.get(submission_id)
        if job is None:
            self._reply("Requested file was not found", 500)
        else:
            self._reply("".join(f"{line}\n" for line in job.mirror))

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _reply(self, answer: Any, status: int = 200) -> None:
        body = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _job_row(job: Job) -> dict[str, Any]:
    return {
        "type": "SUBMISSION",
        "submission_id": job.submission_id,
        "status": job.status,
        "message": job.message,
        "error_type": job.error_type,
        "entrypoint": "python -m raytrain.driver",
        "metadata": job.metadata,
        "driver_node_id": None if job.status == "PENDING" else NODE,
        "start_time": 1_790_000_000_000,
    }


def _stop(job: Job) -> dict[str, bool]:
    over = job.status in ("SUCCEEDED", "FAILED", "STOPPED")
    job.stopped.set()
    return {"stopped": not over}


@contextmanager
def stand_in_cluster(life: Life | None = None) -> Iterator[StandIn]:
    """A cluster that answers at `.url` until the block ends."""
    cluster = StandIn(life or Life())
    handler = type("Handler", (_Handler,), {"cluster": cluster})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    cluster.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield cluster
    finally:
        cluster.close()
        server.shutdown()
        server.server_close()
        thread.join(5)
