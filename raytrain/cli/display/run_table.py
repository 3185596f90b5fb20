"""Runs as a table that fits a terminal, for `list`."""

from __future__ import annotations

from collections.abc import Sequence

from raytrain import formatting
from raytrain.cli.display.columns import columns
from raytrain.client.run_list import RunRow

_HEADER = ("run", "status", "reason", "epochs", "workers", "metrics", "submitted")
# What is left out first, where the shortest metrics are still too wide; a run's id and status never are.
_LEFT_OUT = ("workers", "submitted", "reason", "epochs", "metrics")
_CUT = "…"


def run_table(rows: Sequence[RunRow], *, width: int | None = None) -> list[str]:
    """One line a run, below a header.

    Args:
        rows: the runs.
        width: letters that a line may have; any number when None. Where they are too few, metrics are left out one by
            one, then whole columns, but never a part of an id.
    """
    table = _table(_HEADER, rows)
    for left_out in range(len(_LEFT_OUT) + 1):
        if width is None or _width(table) <= width:
            break
        shown = [name for name in _HEADER if name not in _LEFT_OUT[:left_out]]
        room = width - _width(_table(shown, rows, room=0)) + len("metrics")
        table = _table(shown, rows, room=room)
    return table


def _table(shown: Sequence[str], rows: Sequence[RunRow], *, room: int | None = None) -> list[str]:
    """The columns that are shown; `room`: letters that metrics may have."""
    cells = [_cells(row) | {"metrics": _metrics(row, room)} for row in rows]
    return columns(shown, [[row[name] for name in shown] for row in cells])


def _cells(row: RunRow) -> dict[str, str]:
    stored = row.stored
    planned = f"/{stored.epochs_planned}" if stored.epochs_planned else ""
    return {
        "run": row.record.run,
        "status": row.state.status,
        "reason": row.state.reason or "-",
        "epochs": f"{stored.epochs}{planned}" if stored.epochs is not None else "-",
        "workers": str(stored.workers or "-"),
        "submitted": formatting.moment(row.record.submitted_at or None),
    }


def _metrics(row: RunRow, room: int | None) -> str:
    """As many whole `name=value` as there is room for, and `…` where that is not all."""
    items = [formatting.metrics({name: value}) for name, value in row.stored.metrics.items()]
    text = " ".join(items) or "-"
    while items and room is not None and len(text) > room:
        items.pop()
        text = " ".join([*items, _CUT])
    return text


def _width(table: Sequence[str]) -> int:
    return max(map(len, table))
