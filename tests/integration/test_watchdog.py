"""A worker that hangs: noticed, its stacks kept, and the run ends where the undisturbed one does."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from raytrain.events.store import read_events
from raytrain.events.types import Hung, Placed
from tests.integration.conftest import JOBS, Cli
from tests.integration.test_first_run import wait_for_epochs

# Longer than TensorFlow itself would bear a silent process if it were let (ten seconds).
LIMIT_S = 12
# A frozen worker is to be noticed, with the stacks of all ranks kept, within the limit and so much more.
MARGIN_S = 15


def test_a_stopped_worker_is_noticed_and_replaced(cli: Cli) -> None:
    job = (JOBS / "digits", "--set", "fit.epochs=200", "--set", f"watchdog.step={LIMIT_S}s")
    run = cli.submit_detached(*job, "--set", f"watchdog.checkpoint={LIMIT_S}s")
    directory = cli.storage / run
    wait_for_epochs(directory, 3)
    [placed] = [event for event in read_events(directory / "events.jsonl") if isinstance(event, Placed)]
    os.kill(placed.ranks[1]["pid"], signal.SIGSTOP)
    stopped_at = time.time()

    assert cli("wait", run).returncode == 0
    told = json.loads(cli("status", run, "--json").stdout)
    assert (told["status"], told["restarts"], told["epochs"]) == ("SUCCEEDED", 1, 200)
    [hung] = [event for event in read_events(directory / "events.jsonl") if isinstance(event, Hung)]
    assert hung.rank == 1
    assert LIMIT_S <= hung.time - stopped_at <= LIMIT_S + MARGIN_S
    assert hung.stacks is not None
    stacks = Path(hung.stacks).read_text()
    for rank, place in enumerate(placed.ranks):
        assert f"=== rank {rank}, process {place['pid']}" in stacks
    assert "train_loop" in stacks or "py-spy could not" in stacks
    assert not Path(f"/proc/{placed.ranks[1]['pid']}").exists()
