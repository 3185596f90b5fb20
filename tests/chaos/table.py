"""The table that `make chaos` prints: a row for each promise, filled by the tests with what they measured.

`make test-all` runs a few points of each row, `make chaos` (CHAOS=full) all of them. A promise about the answer fails
its test when it is broken, always; one about seconds does so in the full form, on a machine that does nothing else.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from typing import TypeVar

FULL = os.environ.get("CHAOS") == "full"

PROMISES = {
    1: ("any worker killed: the same end", "weights and history bit-equal, 100 %"),
    2: ("bounded loss", "<= 1 epoch; with every_steps: n, <= n"),
    3: ("a dead worker is noticed", "kill to next step, median <= 30 s"),
    4: ("a hung worker is noticed", "limit + 15 s; stacks of all ranks"),
    5: ("node loss", "10/10, end equal"),
    6: ("driver or cluster lost", "20/20, 0 committed epochs lost"),
    7: ("no torn checkpoint used", "0 bad loads"),
    8: ("callbacks survive", "same last epoch and learning rates"),
    9: ("NaN poisons nothing", "diverged, resumable"),
    10: ("a user's bug is quick and clear", "1 attempt, file and line, <= 20 s"),
    11: ("crash loops end", "<= 2 attempts"),
    12: ("port races are harmless", "200 starts, 0 failed"),
    13: ("never silently pending", "refused <= 5 s; queue timeout"),
    14: ("idempotent submit", "exactly 1 job"),
    15: ("clean stop", "resumable 20/20, 0 orphans"),
    16: ("storage faults", "0 checkpoints lost"),
    17: ("no leaks", "0 actors, groups, files; RSS flat"),
    18: ("the status is true", "0 wrong terminal states"),
    19: ("history outlives the cluster", "all metrics, <= 5 s of logs lost"),
    20: ("goodput", ">= 80 % useful; <= 2 % cost"),
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one test measured for a row. `binds`: what keeps it from the bar, where it is not held."""

    figure: str
    held: bool
    binds: str = ""

    def __str__(self) -> str:
        return self.figure if self.held else f"{self.figure}; MISSED{f': {self.binds}' if self.binds else ''}"


TABLE: dict[int, list[Finding]] = defaultdict(list)

T = TypeVar("T")


def found(row: int, figure: str, *, held: bool, binds: str = "", timed: bool = False) -> None:
    """Enters a finding, and fails the test where a bar is not held; `timed` ones in the full form only."""
    TABLE[row].append(Finding(figure=figure, held=held, binds=binds))
    assert held or (timed and not FULL), f"row {row}, {PROMISES[row][0]}: {TABLE[row][-1]} (bar: {PROMISES[row][1]})"


def points(short: list[T], full: list[T]) -> list[T]:
    """The points to run in this form."""
    return full if FULL else short


def lines() -> list[str]:
    """The table as it is printed; rows that nothing was measured for are named."""
    width = max(len(promise) for promise, _ in PROMISES.values())
    shown = []
    for row in sorted(TABLE):
        promise, bar = PROMISES[row]
        mark = "ok" if all(finding.held for finding in TABLE[row]) else "MISSED"
        shown.append(f"{row:>2}  {promise:<{width}}  {mark:<6}  bar: {bar}")
        shown += [f"{'':<{width + 4}}  {finding}" for finding in TABLE[row]]
    missing = [str(row) for row in PROMISES if row not in TABLE]
    return [*shown, *([f"not run in this session: {', '.join(missing)}"] if missing else [])]
