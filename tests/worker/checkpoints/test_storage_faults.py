"""Storage that fails for a while costs no training, and what is saved in the end is whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from raytrain.run import events
from raytrain.worker.checkpoints.checkpoint import read_newest
from tests.worker.conftest import Pools
from tests.worker.test_one_answer import assert_same, case

TRAINED = case(epochs=3)


@pytest.mark.parametrize("kind", ["enospc", "slow-upload"])
def test_training_goes_on_and_the_final_state_is_saved(kind: str, pools: Pools, tmp_path: Path) -> None:
    undisturbed = pools(2).run(TRAINED, tmp_path / "whole")[0]
    faulty = replace(TRAINED, fault=f"epoch=1,kind={kind},seconds=3")
    outcome = pools(2).run(faulty, tmp_path / "faulty")[0]
    assert_same(outcome, undisturbed, tolerance=0)
    failed = outcome.of(events.CheckpointFailed)
    assert [message.why for message in failed] == (["No space left on device"] if kind == "enospc" else [])
    assert not any(message.given_up for message in failed)
    found = read_newest(tmp_path / "faulty/checkpoints", skipped=lambda path, why: pytest.fail(why))
    assert found is not None
    assert found[1].epoch == 2
    written = [saved.epoch for saved in outcome.of(events.CheckpointSaved)]
    assert written[-1] == 2


def test_what_is_no_fault_is_refused_on_every_rank(pools: Pools, tmp_path: Path) -> None:
    outcomes = pools(2).run(replace(TRAINED, fault="kind=fire"), tmp_path)
    assert all("RAYTRAIN_FAULT" in outcome.error for outcome in outcomes)


def test_an_exception_fires_once_and_the_run_goes_on_where_it_was(pools: Pools, tmp_path: Path) -> None:
    faulty = replace(TRAINED, fault="rank=0,epoch=1,kind=exception")
    [outcome] = pools(1).run(faulty, tmp_path)
    assert "an injected fault" in outcome.error
    again = pools(1).run(faulty, tmp_path)[0]  # it fires once
    assert_same(again, replace(pools(1).run(TRAINED, tmp_path / "whole")[0], history=again.history), tolerance=0)
