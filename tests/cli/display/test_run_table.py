"""The table of `list`: what is left out where a terminal is too narrow, and what never is."""

from __future__ import annotations

import pytest

from raytrain.cli.display.run_table import run_table
from raytrain.client.registry import RunRecord
from raytrain.client.run_list import RunRow
from raytrain.client.stored_status import StoredStatus
from raytrain.run.run_status import RunStatus
from raytrain.run.summary import RunSummary

RUN = "digits-20261120-0715-4f2a"


def row(**metrics: float | None) -> RunRow:
    return RunRow(
        record=RunRecord(run=RUN, submitted_at=1_790_000_000.0),
        stored=StoredStatus(workers=2, epochs=3, epochs_planned=10, metrics=metrics),
        state=RunSummary(run=RUN, status=RunStatus.SUCCEEDED, reason="completed"),
    )


def metrics_shown(width: int | None, **metrics: float | None) -> str:
    """What stands in the row between the number of workers and the date."""
    return run_table([row(**metrics)], width=width)[1].split("  2  ")[-1].split("  2026")[0].strip()


def test_whole_metrics_are_left_out_from_the_end_on() -> None:
    whole = run_table([row(loss=0.5, accuracy=0.9, val_loss=0.6)])
    width = len(whole[1])

    assert run_table([row(loss=0.5, accuracy=0.9, val_loss=0.6)], width=width) == whole
    assert metrics_shown(width - 1, loss=0.5, accuracy=0.9, val_loss=0.6) == "loss=0.5000 accuracy=0.9000 …"
    assert metrics_shown(width - 17, loss=0.5, accuracy=0.9, val_loss=0.6) == "loss=0.5000 …"
    assert metrics_shown(width - 33, loss=0.5, accuracy=0.9, val_loss=0.6) == "…"


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (120, ["run", "status", "reason", "epochs", "workers", "metrics", "submitted"]),
        (90, ["run", "status", "reason", "epochs", "metrics", "submitted"]),
        (80, ["run", "status", "reason", "epochs", "metrics"]),
        (60, ["run", "status", "epochs", "metrics"]),
        (50, ["run", "status", "metrics"]),
        (40, ["run", "status"]),
        (10, ["run", "status"]),
    ],
)
def test_columns_are_left_out_where_no_metric_has_room(width: int, columns: list[str]) -> None:
    table = run_table([row(loss=0.5, accuracy=0.9, val_loss=0.6)], width=width)

    assert table[0].split() == columns
    assert table[1].startswith(f"{RUN}  SUCCEEDED")
    assert max(map(len, table)) <= width or columns == ["run", "status"]


def test_what_a_left_out_column_gives_free_is_the_metrics_again() -> None:
    assert run_table([row(loss=0.5, accuracy=0.9)], width=80)[1].endswith("loss=0.5000 …")


def test_a_run_without_metrics_has_a_dash() -> None:
    assert metrics_shown(None) == metrics_shown(100) == "-"


def test_a_metric_of_no_number_and_a_name_of_two_words_stay_whole() -> None:
    table = run_table([row(**{"top 5": 0.5, "val loss": None, "another one": 0.25})], width=105)

    assert "top 5=0.5000 …" in table[1]
