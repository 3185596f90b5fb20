"""A run's epochs as a table, for `metrics`."""

from __future__ import annotations

import csv
import io

from raytrain import formatting
from raytrain.cli.display.columns import columns
from raytrain.client.metrics import RunMetrics
from raytrain.run.summary import RunSummary


def epoch_table(summary: RunSummary) -> list[str]:
    """One line an epoch, counted from 1, the best with a *; a metric that an epoch lacks is a dash."""
    names = summary.metric_names()
    best = summary.best.epoch if summary.best else None
    rows = [
        [
            f"{row.epoch + 1}{'*' if row.epoch == best else ''}",
            *(formatting.metric(row.metrics[name]) if name in row.metrics else "-" for name in names),
            formatting.seconds(row.epoch_s),
            f"{row.rows_per_s:.0f}",
            str(row.attempt),
        ]
        for row in summary.epoch_rows()
    ]
    return columns(["epoch", *names, "time", "rows/s", "attempt"], rows)


def epoch_csv(metrics: RunMetrics) -> list[str]:
    """A header and a line an epoch; the columns are the keys of the JSON's rows, what an epoch lacks is empty."""
    rows = metrics.to_dict()["epochs"]
    names = list(dict.fromkeys(name for row in rows for name in row)) or ["epoch"]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().splitlines()
