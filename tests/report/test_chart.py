"""Curves as numbers: thinned without losing what stands out, broken where there is no number."""

from __future__ import annotations

import math
import re

import pytest

from raytrain.report.chart import charts
from raytrain.report.thinning import Point, thin
from raytrain.run.epoch_row import EpochRow


def rows(**metrics: list[float | None]) -> list[EpochRow]:
    length = len(next(iter(metrics.values())))
    return [
        EpochRow(
            epoch=epoch,
            metrics={name: values[epoch] for name, values in metrics.items()},
            epoch_s=1.0,
            rows_per_s=1.0,
            learning_rate=None,
            attempt=1,
        )
        for epoch in range(length)
    ]


def test_thinning_keeps_ends_and_spikes() -> None:
    points: list[Point] = [(float(at), 1.0) for at in range(10_000)]
    points[4321], points[7777] = (4321.0, 99.0), (7777.0, math.nan)
    kept = thin(points, 300)
    assert len(kept) <= 300
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert (4321.0, 99.0) in kept
    assert kept == sorted(kept)
    assert thin(points[:300], 300) == points[:300]


def test_a_chart_a_metric_with_its_validation() -> None:
    drawn = charts(rows(loss=[1.0, 0.5, 0.25], accuracy=[0.1, 0.5, 0.9], val_loss=[1.0, 0.6, 0.7]), best=1)
    assert [(chart.title, [line.name for line in chart.lines]) for chart in drawn] == [
        ("loss", ["loss", "val_loss"]),
        ("accuracy", ["accuracy"]),
    ]
    assert drawn[0].words.startswith("loss: 1.0000 in epoch 1, 0.2500 in epoch 3, lowest 0.2500 in epoch 3, highest")
    assert drawn[0].best_x is not None
    assert [label for _, label in drawn[0].x_ticks] == ["1", "2", "3"]


def test_a_curve_is_broken_where_there_is_no_number() -> None:
    [chart] = charts(rows(loss=[1.0, 0.9, math.nan, 0.8, None, 0.7, 0.6]), best=None)
    [line] = chart.lines
    assert (line.path.count("M"), len(line.dots)) == (2, 1)


@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0], [1e-12, 1e12], [-1e30, 1e30], [0.1, math.inf], [-3.0, -2.9]])
def test_whatever_the_values_all_stands_within_the_frame(values: list[float | None]) -> None:
    [chart] = charts(rows(loss=values), best=0)
    places = [float(number) for line in chart.lines for number in re.findall(r"[-\d.e]+", line.path)]
    places += [place for line in chart.lines for dot in line.dots for place in dot]
    assert all(0 <= place <= chart.width for place in places)
    assert all(chart.top <= y <= chart.bottom for y, _ in chart.y_ticks)
    assert chart.x_ticks


def test_no_number_no_chart() -> None:
    assert charts(rows(loss=[math.nan, None]), best=None) == []
