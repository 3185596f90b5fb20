"""The runs of a list, each as an object."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, overload

from raytrain.client.display.run_phrases import in_one_line
from raytrain.client.run import Run
from raytrain.client.run_list import RunList


class Runs(Sequence[Run]):
    """Runs, the newest first, as they stood when they were asked for; each of them asks anew.

    Attributes:
        rows: what is known of each in short.
        total: how many there are in all.
    """

    def __init__(self, found: RunList) -> None:
        self._found = found
        self.rows, self.total = found.rows, found.total

    def to_dict(self) -> dict[str, Any]:
        """As `list --json` prints it."""
        return self._found.to_dict()

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> list[Run]: ...
    def __getitem__(self, index: int | slice) -> Run | list[Run]:
        if isinstance(index, slice):
            return [Run(row.record) for row in self.rows[index]]
        return Run(self.rows[index].record)

    def __repr__(self) -> str:
        return "\n".join(in_one_line(row) for row in self.rows) or "no runs"

    def _repr_html_(self) -> str:
        return "<br>".join(escape(in_one_line(row)) for row in self.rows) or "no runs"
