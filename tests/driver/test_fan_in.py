"""1,000 simulated ranks speak to a real mailbox, each every second; how late it is heard is for the benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest

from raytrain.events import types
from raytrain.run import RunPaths, RunStatus
from raytrain.watcher import Gatherer, look
from tests.benchmarks import fan_in

RANKS, SECONDS = 1000, 2 * fan_in.EPOCH_S

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.mark.usefixtures("cluster")
def test_nothing_that_a_thousand_ranks_say_is_lost(tmp_path: Path) -> None:
    found = fan_in.run(tmp_path, ranks=RANKS, seconds=SECONDS)
    assert len(found.lags_s) == RANKS * SECONDS
    assert found.hangs == 0
    epochs = SECONDS // fan_in.EPOCH_S
    assert found.epochs == epochs
    paths = RunPaths.of(tmp_path, fan_in.RUN)
    events, verdict = look(Gatherer(fan_in.RUN, paths=paths))
    assert (verdict.status, verdict.final) == (RunStatus.SUCCEEDED, True)
    ends = [event for event in events if isinstance(event, types.EpochEnd)]
    assert [len(end.rank_seconds) for end in ends] == [RANKS] * epochs
