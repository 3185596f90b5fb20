"""A run's state in words: what it waits for, and the verdict."""

from __future__ import annotations

import pytest

from raytrain.client.display.run_phrases import next_steps, verdict
from raytrain.errors import Failure
from raytrain.run.events import Phase
from raytrain.run.run_status import Reason, RunStatus
from raytrain.run.status_words import reason_in_words, waiting_for
from raytrain.run.summary import RunSummary, summarize
from tests.cli.lives import RUN, beginning, ending, epoch, whole_life


def test_waiting_for_names_the_phase_that_goes_on() -> None:
    summary = RunSummary(run=RUN)
    assert waiting_for(summary, "no free slot") == "waiting for the cluster (no free slot)"

    seen = []
    for event in beginning():
        summary.add(event)
        if isinstance(event, Phase):
            seen.append(waiting_for(summary))
    assert seen == [
        "reading and splitting the data",
        "starting the workers",
        "importing TensorFlow on the workers",
        "building the model",
        "running the first step",
        "running the first epoch",
    ]


def test_a_queued_run_says_what_it_waits_for() -> None:
    summary = summarize(RUN, beginning())
    summary.status, summary.queued_for = RunStatus.QUEUED, "4 CPU"
    assert waiting_for(summary) == "waiting for 4 CPU"
    assert "  now        waiting for 4 CPU" in list(verdict(summary))


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_words(reason: Reason) -> None:
    assert " " in reason_in_words(reason)


def test_a_reason_of_a_newer_raytrain_stands_as_it_is() -> None:
    assert reason_in_words("struck_by_lightning") == "struck_by_lightning"


def test_verdict_of_a_run_that_succeeded() -> None:
    text = "\n".join(verdict(summarize(RUN, whole_life())))

    assert text.startswith(f"{RUN}: SUCCEEDED (all epochs done)")
    for part in (
        "3 of 3 on 2 workers",
        "val_accuracy=0.8800",
        "epoch 3: val_loss=0.2667",
        "loss=0.2100 accuracy=0.9550",
        "driver 3.00s",
        "first step 8.00s",
        "first epoch 10.0s",
        "total 20.0s",
        f"/runs/{RUN}/model.keras",
        f"/runs/{RUN}",
    ):
        assert part in text


def test_verdict_of_a_failure_names_the_users_line() -> None:
    events = [
        *beginning(),
        epoch(0),
        *ending("FAILED", "user_code", Failure(kind="", message="no good", file="model.py", line=7, rank=1)),
    ]

    text = "\n".join(verdict(summarize(RUN, events)))

    assert "FAILED (the job's own code or data failed)" in text
    assert "  error      model.py:7: no good\n" in text


@pytest.mark.parametrize(
    ("status", "command"),
    [
        (RunStatus.SUCCEEDED, f"raytrain metrics {RUN}"),
        (RunStatus.FAILED, f"raytrain logs {RUN}"),
        (RunStatus.RUNNING, f"raytrain watch {RUN}"),
    ],
)
def test_next_steps(status: RunStatus, command: str) -> None:
    assert command in "\n".join(next_steps(RunSummary(run=RUN, status=status)))
