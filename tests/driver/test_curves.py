from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from raytrain.driver.curves import draw_curves, figure_of
from raytrain.run.summary import EpochRow


def row(epoch: int, **metrics: float | None) -> EpochRow:
    return EpochRow(epoch=epoch, metrics=metrics, epoch_s=0.1, rows_per_s=100.0, learning_rate=0.01, attempt=1)


ROWS = [
    row(
        epoch,
        loss=2.0 / (epoch + 1),
        accuracy=0.5 + epoch / 20,
        val_loss=2.5 / (epoch + 1),
        val_accuracy=0.4 + epoch / 20,
    )
    for epoch in range(6)
]


def lines(axes: Any) -> dict[str, tuple[list[float], list[float]]]:
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines}


def test_a_panel_a_metric_training_and_validation_against_epoch_from_1() -> None:
    accuracy, loss = figure_of(ROWS).axes
    epochs = [1, 2, 3, 4, 5, 6]
    assert lines(accuracy) == {
        "accuracy": (epochs, [row.metrics["accuracy"] for row in ROWS]),
        "val_accuracy": (epochs, [row.metrics["val_accuracy"] for row in ROWS]),
    }
    assert lines(loss) == {
        "loss": (epochs, [row.metrics["loss"] for row in ROWS]),
        "val_loss": (epochs, [row.metrics["val_loss"] for row in ROWS]),
    }
    assert [(axes.get_xlabel(), axes.get_ylabel()) for axes in (accuracy, loss)] == [
        ("epoch", "accuracy"),
        ("epoch", "loss"),
    ]
    assert [text.get_text() for text in accuracy.get_legend().get_texts()] == ["accuracy", "val_accuracy"]


@pytest.mark.parametrize(
    ("name", "values", "from_0_to_1"),
    [
        ("accuracy", [0.5, 0.6], True),
        ("sparse_categorical_accuracy", [0.0, 1.0], True),
        ("auc", [0.9, 0.95], True),
        ("loss", [0.5, 0.6], False),
        ("mean_absolute_error", [0.5, 0.6], False),
        ("accidents", [3.0, 17.0], False),
        ("accuracy", [51.0, 62.0], False),
    ],
)
def test_fractions_are_drawn_from_0_to_1(name: str, values: list[float], from_0_to_1: bool) -> None:
    rows = [row(epoch, **{name: value}) for epoch, value in enumerate(values)]
    [axes] = figure_of(rows).axes
    assert (axes.get_ylim() == (0, 1)) is from_0_to_1
    low, high = axes.get_ylim()
    assert low <= min(values)
    assert max(values) <= high


def test_epochs_are_marked_at_whole_numbers_even_when_there_are_two() -> None:
    _, loss = figure_of(ROWS[:2]).axes
    assert all(float(tick).is_integer() for tick in loss.get_xticks())


@pytest.mark.parametrize("gap", [None, math.nan, math.inf])
def test_a_metric_that_is_no_number_in_an_epoch_has_no_point_there(gap: float | None) -> None:
    gaps = {"val_accuracy": gap, "val_loss": gap}
    rows = [row(full.epoch, **{**full.metrics, **(gaps if full.epoch % 2 else {})}) for full in ROWS]
    accuracy, loss = figure_of(rows).axes
    assert lines(accuracy)["val_accuracy"][0] == [1, 3, 5]
    assert lines(loss)["val_loss"][0] == [1, 3, 5]


def test_a_metric_without_a_single_number_leaves_an_empty_panel() -> None:
    [axes] = figure_of([row(0, loss=None)]).axes
    assert lines(axes) == {}
    assert axes.get_legend() is None


def test_the_picture_is_a_png_that_grows_with_the_metrics(tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    draw_curves(ROWS, path)
    written = path.read_bytes()
    assert written[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(written[16:20]) == round(2 * 5.2 * 120)
    draw_curves([row(0, loss=1.0)], path)
    assert int.from_bytes(path.read_bytes()[16:20]) == round(5.2 * 120)
    assert [file.name for file in tmp_path.iterdir()] == ["curves.png"]
