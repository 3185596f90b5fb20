"""Tests of what is made of the dashboard's answers; a real dashboard is asked in tests/integration/test_cluster.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from raytrain.cluster import jobs_api
from raytrain.cluster.jobs_api import JobsApi
from raytrain.cluster.submission import FINGERPRINT, Submission
from raytrain.errors import ClusterError, ClusterUnreachable, NotFound
from raytrain.run.run_status import RunStatus
from tests.cluster.stand_in import Answer, StandIn

SUBMISSION = Submission(
    submission_id="digits-1", entrypoint="python -m x", runtime_env={}, metadata={FINGERPRINT: "ours"}
)
EXISTS = Answer(
    status=500, body="Traceback…\nValueError: Job with submission_id digits-1 already exists. Please use another."
)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_api, "_TRY_AGAIN_S", 0.0)


def row(**fields: Any) -> dict[str, Any]:
    """A job as Ray 2.60 tells of it."""
    return {
        "type": "SUBMISSION",
        "job_id": "02000000",
        "submission_id": "digits-1",
        "status": "RUNNING",
        "entrypoint": "python -m x",
        "message": "Job is currently running.",
        "error_type": None,
        "start_time": 1795162983667,
        "end_time": None,
        "metadata": {FINGERPRINT: "ours"},
        "driver_node_id": "ab" * 28,
        "driver_exit_code": None,
    } | fields


def test_a_lost_reply_is_asked_for_again_and_the_job_runs_once(dashboard: StandIn) -> None:
    dashboard.answer("/api/jobs/", Answer(hang_up=True), EXISTS)
    dashboard.answer("/api/jobs/digits-1", Answer(body=row()))

    JobsApi(dashboard.url).submit(SUBMISSION)

    sent = dashboard.asked_for("/api/jobs/")
    assert len(sent) == 2
    assert [asked.json["submission_id"] for asked in sent] == ["digits-1", "digits-1"]


def test_another_job_of_that_id_is_an_error(dashboard: StandIn) -> None:
    dashboard.answer("/api/jobs/", EXISTS)
    dashboard.answer("/api/jobs/digits-1", Answer(body=row(metadata={FINGERPRINT: "theirs"})))

    with pytest.raises(ClusterError, match="another job named digits-1"):
        JobsApi(dashboard.url).submit(SUBMISSION)


def test_waits_for_the_agent_that_starts_jobs(dashboard: StandIn) -> None:
    no_agent = Answer(status=500, body="No available agent to submit job, please try again later.")
    dashboard.answer("/api/jobs/", no_agent, no_agent, Answer(body={"submission_id": "digits-1"}))

    JobsApi(dashboard.url).submit(SUBMISSION)

    assert len(dashboard.asked_for("/api/jobs/")) == 3


def test_gives_up_when_no_reply_ever_comes(dashboard: StandIn) -> None:
    dashboard.answer("/api/jobs/", Answer(hang_up=True))

    with pytest.raises(ClusterUnreachable):
        JobsApi(dashboard.url).submit(SUBMISSION)

    assert len(dashboard.asked_for("/api/jobs/")) == 4


def test_a_job_that_ray_refuses_is_not_sent_again(dashboard: StandIn) -> None:
    dashboard.answer("/api/jobs/", Answer(status=400, body="TypeError: metadata must be a dict"))

    with pytest.raises(ClusterError, match="metadata must be a dict"):
        JobsApi(dashboard.url).submit(SUBMISSION)

    assert len(dashboard.asked_for("/api/jobs/")) == 1


def test_a_job(dashboard: StandIn) -> None:
    dashboard.answer(
        "/api/jobs/digits-1", Answer(body=row(status="FAILED", end_time=1795162990000, driver_exit_code=3))
    )

    job = JobsApi(dashboard.url).job("digits-1")

    assert job.status is RunStatus.FAILED
    assert (job.start_time, job.end_time, job.driver_exit_code) == (1795162983.667, 1795162990.0, 3)


def test_jobs_leaves_out_what_was_not_submitted(dashboard: StandIn) -> None:
    driver = row(type="DRIVER", submission_id=None)
    later = row(submission_id="digits-2", start_time=1795162999000)
    dashboard.answer("/api/jobs/", Answer(body=[later, driver, row()]))

    assert [job.submission_id for job in JobsApi(dashboard.url).jobs()] == ["digits-1", "digits-2"]


def test_no_such_job(dashboard: StandIn) -> None:
    for path in ("/api/jobs/none", "/api/jobs/none/stop", "/api/jobs/none/logs"):
        dashboard.answer(path, Answer(status=404, body="Job none does not exist"))
    api = JobsApi(dashboard.url)

    for ask in (api.job, api.stop, api.logs):
        with pytest.raises(NotFound, match="no job none"):
            ask("none")


def test_another_server_is_not_taken_for_a_missing_job(dashboard: StandIn) -> None:
    with pytest.raises(ClusterError, match="404"):
        JobsApi(dashboard.url).job("digits-1")


def test_another_server_is_not_taken_for_ray(dashboard: StandIn) -> None:
    dashboard.answer("/api/version", Answer(body={"version": "17"}))

    with pytest.raises(ClusterError, match="not Ray's"):
        JobsApi(dashboard.url).versions()


@pytest.mark.parametrize("body", [{"error": "login"}, [], ["login"], "login", None, {"data": "login"}, {"data": [1]}])
def test_what_another_server_answers_is_not_taken_for_rays(dashboard: StandIn, body: Any) -> None:
    """As of a gateway before the cluster, or of whatever listens now where the cluster was."""
    asked: dict[str, Callable[[JobsApi], object]] = {
        "/api/jobs/digits-1": lambda api: api.job("digits-1"),
        "/api/jobs/digits-1/stop": lambda api: api.stop("digits-1"),
        "/api/jobs/digits-1/logs": lambda api: api.logs("digits-1"),
        "/api/version": lambda api: api.versions(),
        "/api/v0/nodes": lambda api: api.nodes(),
    }
    if body != []:  # which is what Ray answers where there is no job
        asked["/api/jobs/"] = lambda api: api.jobs()
    for path, ask in asked.items():
        dashboard.answer(path, Answer(body=json.dumps(body)))
        with pytest.raises(ClusterError, match=r"not Ray's"):
            ask(JobsApi(dashboard.url))


@pytest.mark.parametrize("path", ["/api/cluster_status", "/nodes"])
@pytest.mark.parametrize("body", [[], "login", {"data": "login"}, {"data": {"clusterStatus": 1, "summary": ["login"]}}])
def test_what_another_server_answers_of_nodes(dashboard: StandIn, path: str, body: Any) -> None:
    dashboard.answer("/api/cluster_status", Answer(body={"data": None}))
    dashboard.answer(path, Answer(body=json.dumps(body)))

    with pytest.raises(ClusterUnreachable, match="not Ray's"):
        JobsApi(dashboard.url).autoscales()


def test_a_ray_that_does_not_tell_its_python(dashboard: StandIn) -> None:
    dashboard.answer("/api/version", Answer(body={"ray_version": "2.60.0", "session_name": "s"}))

    assert JobsApi(dashboard.url).versions().python is None


def test_event_lines_are_complete_ones_from_the_drivers_node(dashboard: StandIn) -> None:
    dashboard.answer("/api/jobs/digits-1", Answer(body=row()))
    dashboard.answer("/api/v0/logs/file", Answer(body='{"a":1}\n{"b":2}\n{"torn'))
    api = JobsApi(dashboard.url)

    assert api.event_lines("digits-1") == ['{"a":1}', '{"b":2}']
    assert api.event_lines("digits-1") == ['{"a":1}', '{"b":2}']
    assert len(dashboard.asked_for("/api/jobs/digits-1")) == 1


def test_no_events_before_the_driver_has_a_node_or_a_mirror(dashboard: StandIn) -> None:
    dashboard.answer("/api/jobs/digits-1", Answer(body=row(driver_node_id=None)), Answer(body=row()))
    dashboard.answer("/api/v0/logs/file", Answer(status=500, body="A file is not found at: /tmp/x"))
    api = JobsApi(dashboard.url)

    assert api.event_lines("digits-1") == []
    assert api.event_lines("digits-1") == []
    assert len(dashboard.asked_for("/api/v0/logs/file")) == 1


@pytest.mark.parametrize(
    ("mapping", "node_type", "expected"),
    [
        ({"abc": "node_abc"}, "", False),
        ({}, "", False),
        ({"10.0.0.1": "ray.head.default", "10.0.0.2": "gpu"}, "", True),
        ({}, "worker-group", True),
    ],
)
def test_autoscales(dashboard: StandIn, mapping: dict[str, str], node_type: str, expected: bool) -> None:
    report = {"clusterStatus": {"autoscalerReport": {"nodeTypeMapping": mapping}}}
    dashboard.answer("/api/cluster_status", Answer(body={"data": report}))
    dashboard.answer("/nodes", Answer(body={"data": {"summary": [{"raylet": {"nodeTypeName": node_type}}]}}))

    assert JobsApi(dashboard.url).autoscales() is expected


def test_autoscales_where_the_monitor_says_nothing(dashboard: StandIn) -> None:
    dashboard.answer("/api/cluster_status", Answer(body={"data": {"clusterStatus": None}}))
    dashboard.answer("/nodes", Answer(body={"data": {"summary": []}}))

    assert JobsApi(dashboard.url).autoscales() is False
