"""How a run stands: what the facts add up to, and what becomes of it together with the run's own events."""

from __future__ import annotations

import pytest

from raytrain.client.run_state import Facts, Verdict, join, judge
from raytrain.errors import Failure
from raytrain.run.events import RunFinished
from raytrain.run.run_status import RunStatus
from raytrain.run.summary import RunSummary

RUN = "digits-20261120-0715-4f2a"
OWN = Failure(kind="ValueError", message="of the log")
THEIRS = Failure(kind="driver_lost", message="of the job")


def finished(status: str = "SUCCEEDED", reason: str = "completed") -> RunFinished:
    return RunFinished(run=RUN, attempt=1, time=9.0, status=status, reason=reason)


@pytest.mark.parametrize(
    ("facts", "status", "reason", "final"),
    [
        pytest.param(Facts(), "PENDING", None, False, id="nothing known yet"),
        pytest.param(Facts(job=RunStatus.PENDING), "PENDING", None, False, id="job pending"),
        pytest.param(Facts(job=RunStatus.RUNNING), "RUNNING", None, False, id="job running"),
        pytest.param(Facts(started=True), "RUNNING", None, False, id="the log runs ahead of the job"),
        pytest.param(Facts(started=True, job=RunStatus.PENDING), "RUNNING", None, False, id="stale job status"),
        pytest.param(
            Facts(finished=finished(), job=RunStatus.RUNNING), "SUCCEEDED", "completed", True, id="log ends before job"
        ),
        pytest.param(
            Facts(finished=finished(), unheard_s=1e6), "SUCCEEDED", "completed", True, id="cluster gone, log complete"
        ),
        pytest.param(
            Facts(finished=finished("FAILED", "diverged"), job=RunStatus.FAILED, job_ended_s=99.0),
            "FAILED",
            "diverged",
            True,
            id="the log's reason counts before the job's",
        ),
        pytest.param(
            Facts(finished=finished(), job_missing_s=1e6), "SUCCEEDED", "completed", True, id="cluster restarted since"
        ),
        pytest.param(
            Facts(finished=finished("PARKED", "of_tomorrow"), job=RunStatus.FAILED, job_ended_s=99.0),
            "UNKNOWN",
            "of_tomorrow",
            True,
            id="a later version's word for the end",
        ),
        pytest.param(Facts(job=RunStatus.FAILED, job_ended_s=1.0), "RUNNING", None, False, id="failed a moment ago"),
        pytest.param(Facts(job=RunStatus.FAILED, job_ended_s=7.0), "FAILED", "driver_lost", True, id="driver lost"),
        pytest.param(
            Facts(job=RunStatus.FAILED, job_error_type="RUNTIME_ENV_SETUP_FAILURE", job_ended_s=0.0),
            "FAILED",
            "environment",
            True,
            id="pip failed",
        ),
        pytest.param(
            Facts(job=RunStatus.FAILED, job_error_type="JOB_SUPERVISOR_ACTOR_START_TIMEOUT", job_ended_s=7.0),
            "FAILED",
            "resources",
            True,
            id="the driver never got a place",
        ),
        pytest.param(Facts(job=RunStatus.STOPPED, job_ended_s=7.0), "STOPPED", "stopped_by_user", True, id="stopped"),
        pytest.param(Facts(job=RunStatus.STOPPED, job_ended_s=0.5), "RUNNING", None, False, id="stopped a moment ago"),
        pytest.param(
            Facts(job=RunStatus.SUCCEEDED, job_ended_s=7.0), "SUCCEEDED", "completed", True, id="log cannot be read"
        ),
        pytest.param(Facts(job_missing_s=1.0), "PENDING", None, False, id="not known yet"),
        pytest.param(Facts(job_missing_s=7.0), "UNKNOWN", None, True, id="cluster knows no such job"),
        pytest.param(Facts(started=True, unheard_s=59.0), "RUNNING", None, False, id="silent for a while"),
        pytest.param(Facts(started=True, unheard_s=61.0), "UNKNOWN", None, True, id="silent for too long"),
    ],
)
def test_judge(facts: Facts, status: str, reason: str | None, final: bool) -> None:
    verdict = judge(facts)

    assert (verdict.status, verdict.reason, verdict.final) == (status, reason, final)


def test_a_lost_driver_is_quoted() -> None:
    log = "\n".join(f"line {number}" for number in range(100))
    verdict = judge(Facts(job=RunStatus.FAILED, job_message=log, job_ended_s=7.0))

    assert verdict.error is not None
    assert "line 99" in verdict.error.message
    assert "line 50" not in verdict.error.message
    assert verdict.error.kind == "driver_lost"


def test_a_silent_cluster_is_quoted_once_nothing_more_can_be_learned() -> None:
    facts = Facts(started=True, unheard_s=61.0, unanswered="got nothing")

    assert judge(facts).message == "the cluster does not answer (got nothing)"
    assert judge(facts, patience_s=99.0).message == "the cluster does not answer; trying again"


def told(
    status: str = "RUNNING", reason: str | None = None, error: Failure | None = None, attempts: int = 1
) -> RunSummary:
    return RunSummary(run=RUN, status=RunStatus(status), reason=reason, error=error, attempts=attempts)


def says(status: str, reason: str | None = None, error: Failure | None = None, *, final: bool = True) -> Verdict:
    return Verdict(status=RunStatus(status), reason=reason, error=error, final=final)


GOES_ON, WAITS = says("RUNNING", final=False), says("PENDING", final=False)
LOST = says("FAILED", "driver_lost", THEIRS)


@pytest.mark.parametrize(
    ("summary", "verdict", "attempt", "stands"),
    [
        pytest.param(told("PENDING"), WAITS, 1, ("PENDING", None, None, 1), id="nothing said yet"),
        pytest.param(told("PENDING"), GOES_ON, 1, ("RUNNING", None, None, 1), id="the job runs ahead of the log"),
        pytest.param(told("RUNNING"), WAITS, 1, ("RUNNING", None, None, 1), id="the log runs ahead of the job"),
        pytest.param(told("QUEUED"), GOES_ON, 1, ("QUEUED", None, None, 1), id="the driver runs, its workers wait"),
        pytest.param(told("RETRYING", None, OWN), GOES_ON, 1, ("RETRYING", None, OWN, 1), id="a group is lost"),
        pytest.param(
            told("SUCCEEDED", "early_stopped"),
            says("SUCCEEDED", "early_stopped"),
            1,
            ("SUCCEEDED", "early_stopped", None, 1),
            id="both say the end",
        ),
        pytest.param(told("RUNNING"), LOST, 1, ("FAILED", "driver_lost", THEIRS, 1), id="the driver is lost"),
        pytest.param(
            told("RETRYING", None, OWN), LOST, 1, ("FAILED", "driver_lost", OWN, 1), id="the log's error comes first"
        ),
        pytest.param(
            told("FAILED", "diverged", OWN), GOES_ON, 1, ("RUNNING", None, None, 1), id="the last line is not there yet"
        ),
        pytest.param(told("RUNNING"), says("UNKNOWN"), 1, ("UNKNOWN", None, None, 1), id="nobody knows"),
        pytest.param(
            told("STOPPED", "stopped_by_user"), WAITS, 2, ("PENDING", None, None, 2), id="an attempt after the end"
        ),
        pytest.param(told("RUNNING"), WAITS, 2, ("PENDING", None, None, 2), id="an attempt after a lost one"),
        pytest.param(
            told("FAILED", "diverged", OWN), LOST, 2, ("FAILED", "driver_lost", THEIRS, 2), id="lost without a word"
        ),
        pytest.param(told("RUNNING", attempts=3), GOES_ON, 2, ("RUNNING", None, None, 3), id="a later attempt"),
    ],
)
def test_join(
    summary: RunSummary, verdict: Verdict, attempt: int, stands: tuple[str, str | None, Failure | None, int]
) -> None:
    joined = join(summary, verdict, attempt=attempt)

    assert (joined.status, joined.reason, joined.error, joined.attempts) == stands


@pytest.mark.parametrize(("status", "warns"), [("UNKNOWN", True), ("SUCCEEDED", True), ("FAILED", False)])
def test_what_is_odd_about_the_end_is_a_warning(status: str, warns: bool) -> None:
    joined = join(told(), Verdict(status=RunStatus(status), final=True, message="odd"), attempt=1)

    assert joined.warnings == (["odd"] if warns else [])


def test_what_was_told_stays_as_it_is() -> None:
    summary = told("PENDING")
    summary.warnings.append("before")

    joined = join(summary, Verdict(status=RunStatus.UNKNOWN, final=True, message="odd"), attempt=2)

    assert (summary.status, summary.attempts, summary.warnings) == (RunStatus.PENDING, 1, ["before"])
    assert joined.warnings == ["before", "odd"]
