from __future__ import annotations

from pathlib import Path

import pytest

from raytrain.run.event_log import read_events
from raytrain.run.events import EpochEnd
from raytrain.run.run_paths import RunPaths
from raytrain.worker.checkpoints.checkpoint import read_newest

EARLIER = Path(__file__).parents[2] / "earlier"


@pytest.mark.parametrize("folder", sorted(EARLIER.glob("*/runs/*/checkpoints")), ids=lambda path: path.parent.name)
def test_a_checkpoint_of_an_earlier_version_is_whole_and_tells_of_its_epochs(folder: Path) -> None:
    found = read_newest(folder, skipped=lambda path, why: pytest.fail(why))
    assert found is not None
    noted = {event.epoch: event for event in read_events(RunPaths(folder.parent).events) if isinstance(event, EpochEnd)}
    for report in found[1].reports:
        event = noted[report.epoch]
        assert (report.metrics, report.seconds, report.rank_rows_per_s) == (
            event.metrics,
            event.seconds,
            event.rank_rows_per_s,
        )
        assert (report.best, report.time) == (event.best, event.time)
