"""Tests of the client against a real Ray cluster, which the local cluster's own code starts and stops.

Every endpoint that `raytrain.cluster.jobs_api` uses is asked here, so that a Ray that changes one is noticed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from raytrain.client.upload.package import pack_job, pack_raytrain
from raytrain.client.upload.upload_plan import list_upload
from raytrain.cluster.auth import Tokens
from raytrain.cluster.connect import connect, locate
from raytrain.cluster.jobs_api import MIRROR, JobInfo, JobsApi
from raytrain.cluster.local import local_cluster
from raytrain.cluster.local.cluster_processes import cluster_processes, session_of
from raytrain.cluster.local.cluster_record import LocalCluster
from raytrain.cluster.preflight import check_cluster, installed_ray, this_python
from raytrain.cluster.submission import FINGERPRINT, Submission
from raytrain.errors import ClusterError, NotFound, SpecError, UploadTooLarge
from raytrain.run.run_status import RunStatus
from raytrain.spec.job import ScalingSpec

pytestmark = pytest.mark.processes

Environ = dict[str, str]
_END_WITHIN_S = 60.0

# Writes a mirror of events into the session's log folder, as the driver does, and tells what it was given.
_PROGRAM = """
import json, os, sys, time
import ray
import raytrain
from local_code import answer

ray.init()
logs = ray._private.worker._global_node.get_logs_dir_path()
with open(os.path.join(logs, sys.argv[1]), "w") as mirror:
    mirror.write("".join(json.dumps({"n": n, "pad": "x" * 100}) + "\\n" for n in range(2000)) + "torn")
print(json.dumps({
    "answer": answer,
    "raytrain": raytrain.__file__,
    "python": sys.executable,
    "request": open(".raytrain/job.json").read(),
    "path": os.environ["PATH"].split(":")[0],
    "path_on_a_worker": ray.get(ray.remote(lambda: os.environ["PATH"].split(":")[0]).remote()),
    "expanded": os.environ["EXPANDED"],
}), flush=True)
if len(sys.argv) > 2:
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> Environ:
    state = tmp_path_factory.mktemp("state")
    (state / "token").write_text("a-token-of-the-suite")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY", "TF_"))}
    return kept | {"RAYTRAIN_STATE_DIR": str(state), "RAY_AUTH_TOKEN_PATH": str(state / "token")}


@pytest.fixture(scope="module")
def cluster(environ: Environ) -> Iterator[LocalCluster]:
    """Two start at once, as two `raytrain submit` do; there must be one cluster."""
    steps: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        starts = [
            pool.submit(local_cluster.start, environ=environ, timeout_s=180, progress=steps.append) for _ in range(2)
        ]
        first, second = [start.result() for start in starts]
    assert first == second
    assert len(steps) == 1
    yield first
    local_cluster.stop(environ)


@pytest.fixture(scope="module")
def api(cluster: LocalCluster, environ: Environ) -> JobsApi:
    return JobsApi(cluster.url, tokens=Tokens(environ))


Submit = Callable[..., Submission]


@pytest.fixture
def submit(api: JobsApi, tmp_path: Path) -> Submit:
    """Packs, uploads and submits the program above."""

    def send(*arguments: str) -> Submission:
        (tmp_path / "program.py").write_text(_PROGRAM)
        (tmp_path / "local_code.py").write_text("answer = 42\n")
        ourselves = pack_raytrain()
        folder = pack_job(list_upload(tmp_path), [(".raytrain/job.json", b"the request")])
        for package in (ourselves, folder):
            if not api.package_exists(package.uri):
                api.upload_package(package.uri, package.content)
            assert api.package_exists(package.uri)
        run = f"t-{uuid.uuid4().hex[:8]}"
        bin_dir = str(Path(sys.executable).parent)
        submission = Submission(
            submission_id=run,
            entrypoint=" ".join(["python program.py", MIRROR.format(submission_id=run), *arguments]),
            runtime_env={
                "working_dir": folder.uri,
                "py_modules": [ourselves.uri],
                "env_vars": {"PATH": f"{bin_dir}:${{PATH}}", "EXPANDED": "${HOME}-x", "RAY_JOB_STOP_WAIT_TIME_S": "5"},
            },
            metadata={"raytrain_run": run, FINGERPRINT: run},
        )
        api.submit(submission)
        return submission

    return send


def wait_for(api: JobsApi, submission_id: str, *statuses: RunStatus) -> JobInfo:
    deadline = time.monotonic() + _END_WITHIN_S
    while (job := api.job(submission_id)).status not in statuses:
        assert time.monotonic() < deadline, f"{job} after {_END_WITHIN_S} s"
        assert not job.status.is_terminal, f"{job}: {api.logs(submission_id)}"
        time.sleep(0.2)
    return job


def test_a_second_start_finds_the_first(cluster: LocalCluster, environ: Environ) -> None:
    assert local_cluster.running(environ) == cluster
    assert local_cluster.start(environ=environ) == cluster
    assert sorted(process.name for process in cluster.processes) == ["dashboard.py", "gcs_server", "raylet"]
    here = locate(None, environ)
    assert (here.url, here.source) == (cluster.url, "the local cluster that raytrain started")


def test_it_is_this_machine_and_of_our_versions(cluster: LocalCluster, environ: Environ) -> None:
    connection = connect(None, environ=environ, start_local=False)

    versions = connection.api.versions()
    assert connection.shares_this_machine and connection.is_ours
    assert (versions.ray, versions.python) == (installed_ray(), this_python())
    assert check_cluster(connection.api, ScalingSpec(workers=2), environ, is_local=True) == ()


def test_it_listens_on_this_machine_alone(cluster: LocalCluster) -> None:
    members = cluster_processes(cluster.mark, session=cluster.session)
    listening = {
        connection.laddr.ip
        for member in members
        for connection in member.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    }

    assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_more_than_it_can_ever_give_is_refused(api: JobsApi, environ: Environ, cluster: LocalCluster) -> None:
    with pytest.raises(SpecError, match=f"expected at most {cluster.cpus}"):
        check_cluster(api, ScalingSpec(workers=cluster.cpus + 1), environ)
    with pytest.raises(SpecError, match="no node of the cluster has a FPGA"):
        check_cluster(api, ScalingSpec(workers=1, resources_per_worker={"FPGA": 1}), environ)


def test_dashboard_and_metrics_are_served(cluster: LocalCluster, api: JobsApi) -> None:
    head = api.head()
    assert head is not None

    with urlopen(cluster.url) as page:
        assert b"Ray Dashboard" in page.read()
    with urlopen(head.metrics_url) as page:
        assert page.status == 200
    assert Path(head.session_dir) == cluster.session_dir


def test_a_job_from_packing_to_its_events(api: JobsApi, submit: Submit) -> None:
    submission = submit()
    # A reply that was lost is asked for again: the same submission once more must change nothing.
    api.submit(submission)
    job = wait_for(api, submission.submission_id, RunStatus.SUCCEEDED)
    log = api.logs(submission.submission_id)
    [told] = [line for line in log.splitlines() if line.startswith("{")]

    assert '"answer": 42' in told
    assert '"request": "the request"' in told
    assert f'"python": "{sys.executable}"' in told
    assert "py_modules_files" in told
    assert told.count(f'"{Path(sys.executable).parent}"') == 2
    assert f'"expanded": "{os.environ["HOME"]}-x"' in told
    assert job.metadata["raytrain_run"] == submission.submission_id
    assert job.driver_exit_code == 0
    assert job.start_time and job.end_time and job.start_time < job.end_time < time.time() + 5
    assert submission.submission_id in [known.submission_id for known in api.jobs()]
    assert api.stop(submission.submission_id) is False

    lines = api.event_lines(submission.submission_id)
    assert len(lines) == 2000
    assert lines[1999].startswith('{"n": 1999')
    assert job.driver_node_id is not None
    mirror = MIRROR.format(submission_id=submission.submission_id)
    whole = api.log_file(job.driver_node_id, mirror)
    assert whole is not None and whole.endswith(b"torn")
    assert api.log_file(job.driver_node_id, mirror, offset=len(whole) - 4) == b"torn"
    assert api.log_file(job.driver_node_id, mirror, tail_lines=1) == b"torn"
    assert api.log_file(job.driver_node_id, "none.jsonl") is None
    assert api.log_file("ab" * 28, mirror) is None


def test_another_job_under_the_same_id_is_refused(api: JobsApi) -> None:
    run = f"t-{uuid.uuid4().hex[:8]}"
    api.submit(Submission(submission_id=run, entrypoint="true", runtime_env={}, metadata={FINGERPRINT: "a"}))

    with pytest.raises(ClusterError, match="another job named"):
        api.submit(Submission(submission_id=run, entrypoint="true", runtime_env={}, metadata={FINGERPRINT: "b"}))


def test_no_such_job(api: JobsApi) -> None:
    for ask in (api.job, api.stop, api.logs, api.event_lines):
        with pytest.raises(NotFound):
            ask("none")


def test_too_large_an_upload_is_refused_by_ray_too(api: JobsApi) -> None:
    with pytest.raises(UploadTooLarge):
        api.upload_package("gcs://_ray_pkg_00.zip", b"\0" * (100 * 2**20 + 1))


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that the cluster did not start."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def test_stopping_ends_all_of_it_and_nothing_else(
    cluster: LocalCluster,
    environ: Environ,
    api: JobsApi,
    submit: Submit,
    bystander: subprocess.Popen[bytes],
) -> None:
    """The last test of the file: with a job running, whose driver leads a session of its own."""
    running = submit("and-wait")
    stopped = submit("and-wait")
    wait_for(api, stopped.submission_id, RunStatus.RUNNING)
    assert api.stop(stopped.submission_id) is True
    wait_for(api, stopped.submission_id, RunStatus.STOPPED)
    wait_for(api, running.submission_id, RunStatus.RUNNING)
    members = cluster_processes(cluster.mark, session=cluster.session)
    assert {session_of(member.pid) for member in members} - {None} > {cluster.session}

    assert local_cluster.stop(environ) is True

    assert [member for member in members if lives(member)] == []
    assert cluster_processes(cluster.mark, session=None) == []
    assert local_cluster.running(environ) is None
    assert local_cluster.stop(environ) is False
    assert not Path(cluster.temp_dir).exists()
    assert bystander.poll() is None
