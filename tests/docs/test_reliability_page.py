"""docs/reliability.md, held against the program: messages, reasons, fields and promises."""

from __future__ import annotations

import re
from typing import Any

import yaml

from raytrain.client.display.failure_lines import failure_lines, failure_title
from raytrain.driver.failure_policy import GroupFailure, History, decide
from raytrain.errors import Failure
from raytrain.run import events
from raytrain.run.event_lines import event_line
from raytrain.run.run_status import Reason, RunStatus
from raytrain.run.summary import RunSummary
from raytrain.spec.job import CheckpointSpec, DivergenceSpec, RestartsSpec, ScalingSpec, WatchdogSpec
from tests.chaos.table import PROMISES
from tests.docs.pages import CODE, block_with, blocks, table

PAGE = "docs/reliability.md"
OF_ALL: dict[str, Any] = {"run": "digits", "attempt": 1, "time": 0.0}
LOST = decide(GroupFailure(lost_ranks=[1], position=(12, 0), progressed=True), History(), RestartsSpec())
EVENTS = [
    events.WorkerLost(message=LOST.error.message, ranks=[1], **OF_ALL),
    events.GroupFailed(error=LOST.error, retrying=True, **OF_ALL),
    events.GroupStarted(workers=2, restart=1, **OF_ALL),
    events.Restored(epoch=12, path="epoch-0013", **OF_ALL),
    events.Hung(rank=1, phase="train", epoch=3, step=7, limit_s=60.0, stacks="stacks-0.txt", **OF_ALL),
    events.Warned(message="node 10.0.0.7 is going away: saving, then going on elsewhere", **OF_ALL),
    events.Resized(workers=2, before=8, **OF_ALL),
    events.FellBack(epoch=6, learning_rate_factor=0.5, **OF_ALL),
    events.CheckpointFailed(epoch=3, why="No space left on device", **OF_ALL),
    events.CheckpointSkipped(path="checkpoints/epoch-0003", why="variables.npz is cut short", **OF_ALL),
    events.Queued(needs="4 CPU", **OF_ALL),
]
LINES = [event_line(event, RunSummary(run="digits")) for event in EVENTS]


def test_a_lost_worker_is_told_of_as_shown() -> None:
    assert block_with(PAGE, "text", "worker lost:").splitlines() == LINES[:4]


def test_an_error_of_the_users_is_told_of_as_shown() -> None:
    error = Failure(kind="NameError", message="name 'hiden' is not defined", rank=1, file="model.py", line=11)
    summary = RunSummary(run="broken-20261120-0906-fcaf", reason="user_code", error=error)
    told = [f"error: {failure_title(summary)}", *(f"  {line}" for line in failure_lines(summary))]
    assert block_with("docs/quickstart.md", "text", "hiden").splitlines() == told


def test_what_is_seen_is_what_the_program_says() -> None:
    """Words in lower case are a line, where … stands for what differs, or a reason."""
    for _, _, seen, _ in table(PAGE, "what goes wrong"):
        for shown in re.findall(r"`([^`]+)`", seen):
            parts = [part for part in shown.split("…") if part.strip()]
            is_line = any(all(part in line for part in parts) for line in LINES)
            known = shown in list(Reason) or shown in ("OutOfMemory", "detached: … goes on")
            assert is_line or (known and parts[0] in CODE), shown
        assert set(re.findall(r"\b[A-Z]{5,}\b", re.sub(r"`[^`]*`", "", seen))) <= set(RunStatus), seen


def test_the_fields_are_those_of_the_spec_and_their_defaults_are_true() -> None:
    [block] = blocks(PAGE, "yaml")
    shown = yaml.safe_load(block)
    assert RestartsSpec.model_validate(shown["restarts"]) == RestartsSpec()
    assert WatchdogSpec.model_validate(shown["watchdog"]) == WatchdogSpec()
    assert DivergenceSpec.model_validate(shown["divergence"]) == DivergenceSpec()
    assert set(shown["checkpoint"]) == set(CheckpointSpec.model_fields)
    assert set(shown["restarts"]) == set(RestartsSpec.model_fields)
    assert set(shown["watchdog"]) == set(WatchdogSpec.model_fields)
    assert set(shown["divergence"]) == set(DivergenceSpec.model_fields)
    assert ScalingSpec.model_validate(shown["scaling"]).min_workers == 2


def test_the_promises_are_those_that_the_suite_holds() -> None:
    told = {int(row[0]): (row[1], row[2]) for row in table(PAGE, "row")}
    held = {number: (promise, _signs(bar)) for number, (promise, bar) in PROMISES.items()}
    assert told == held


def _signs(bar: str) -> str:
    return bar.replace("<=", "≤").replace(">=", "≥")
