"""How fast a run goes and what it waits for, in words, and how much time is left."""

from __future__ import annotations

import statistics

from raytrain import formatting
from raytrain.run.summary import RunSummary

_RECENT = 5


def pace(summary: RunSummary) -> str:
    """`3,500 rows/s, 2% waiting for rows (rank 1), skew 1%, 812.4 MiB a worker`; what was not measured is left out."""
    row = summary.newest_row()
    parts = [f"{formatting.count(row.rows_per_s)} rows/s"]
    if row.wait_share is not None:
        parts.append(f"{row.wait_share:.0%} waiting for rows (rank {row.wait_rank})")
    if row.skew is not None:
        parts.append(f"skew {row.skew:.0%}")
    now = summary.progress
    if now is not None and now.memory_bytes:
        parts.append(f"{formatting.size(now.memory_bytes)} a worker")
    if now is not None and now.gpu_utilization is not None:
        parts.append(f"GPU {now.gpu_utilization:.0%} busy, {formatting.size(now.gpu_memory_bytes or 0)}")
    return ", ".join(parts)


def epoch_s(summary: RunSummary) -> float:
    """The seconds that an epoch takes now: the median of the newest ones."""
    return statistics.median([row.epoch_s for row in summary.epoch_rows()[-_RECENT:]])


def within_epoch(summary: RunSummary, since_epoch_s: float) -> float:
    """How much of the epoch that runs now is done, 0 to 1: by its steps, else by the time that those before took."""
    if summary.progress is not None:
        return summary.progress.share
    usual_s = epoch_s(summary)
    done, planned = max(summary.epochs) + 1, summary.epochs_planned or 0
    return min(since_epoch_s / usual_s, 1.0) if usual_s and done < planned else 0.0


def first_epoch(summary: RunSummary) -> str:
    """`step 120 of 4,500, 3m10s left of the epoch`, of a run without a finished epoch; empty where nobody knows."""
    known = summary.progress
    if known is None or summary.epochs:
        return ""
    left = f", {formatting.seconds(known.left_s)} left of the epoch" if known.left_s is not None else ""
    return f"step {formatting.count(known.step)} of {formatting.count(known.steps)}{left}"


def left_s(summary: RunSummary, since_epoch_s: float) -> float:
    """Seconds to the end of the last epoch."""
    done, planned = max(summary.epochs) + 1, summary.epochs_planned or 0
    return max(0.0, (planned - done - within_epoch(summary, since_epoch_s)) * epoch_s(summary))
