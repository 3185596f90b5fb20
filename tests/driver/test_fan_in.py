"""1,000 simulated ranks speak to a real mailbox, each every second; how late it is heard is for the benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import fan_in
from raytrain.client.watch import Gatherer, look
from raytrain.run import events
from raytrain.run.run_paths import RunPaths
from raytrain.run.run_status import RunStatus

RANKS, SECONDS = 1000, 2 * fan_in.EPOCH_S

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.mark.usefixtures("ray_cluster")
def test_nothing_that_a_thousand_ranks_say_is_lost(tmp_path: Path) -> None:
    found = fan_in.run(tmp_path, ranks=RANKS, seconds=SECONDS)
    assert len(found.lags_s) == RANKS * SECONDS
    assert found.hangs == 0
    epochs = SECONDS // fan_in.EPOCH_S
    assert found.epochs == epochs
    paths = RunPaths.of(tmp_path, fan_in.RUN)
    seen, verdict = look(Gatherer(fan_in.RUN, paths=paths))
    assert (verdict.status, verdict.final) == (RunStatus.SUCCEEDED, True)
    ends = [event for event in seen if isinstance(event, events.EpochEnd)]
    assert [len(end.rank_seconds) for end in ends] == [RANKS] * epochs
