"""Draws an evaluation's figures: confusion matrix, ROC, calibration, residuals; a PNG for each output.

Runs in: the driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_MOST_NAMED = 20
_MOST_CURVES = 10


def draw_figures(outputs: Mapping[str, Mapping[str, Any]], folder: Path) -> list[str]:
    """Writes `<output>.png` for each output that has figures; what could not be drawn, in words, fails nothing."""
    notices = []
    for name, figures in outputs.items():
        try:
            if (figure := figure_of(figures)) is not None:
                figure.savefig(folder / f"{_file_name(name)}.png", format="png", dpi=120)
        except (OSError, ValueError, ImportError) as error:
            notices.append(f"the figures of {name} could not be drawn: {error}")
    return notices


def figure_of(figures: Mapping[str, Any]) -> Any:
    """The matplotlib figure, a panel each; None where there is nothing to draw."""
    panels = [draw for key, draw in _PANELS.items() if key in figures]
    if not panels:
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * len(panels), 4.6), layout="constrained")
    for axes, draw in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        draw(axes, figures)
    return figure


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)


def _matrix(axes: Any, figures: Mapping[str, Any]) -> None:
    matrix, names = figures["confusion_matrix"], figures["classes"]
    axes.imshow(matrix, cmap="Blues")
    if len(names) <= _MOST_NAMED:
        axes.set_xticks(range(len(names)), [str(name) for name in names], rotation=90 if len(names) > 6 else 0)
        axes.set_yticks(range(len(names)), [str(name) for name in names])
        largest = max(max(row) for row in matrix) or 1
        for row, counts in enumerate(matrix):
            for column, count in enumerate(counts):
                color = "white" if count > largest / 2 else "black"
                axes.text(column, row, f"{count:g}", ha="center", va="center", color=color, fontsize=8)
    axes.set_xlabel("answer")
    axes.set_ylabel("label")
    axes.set_title(f"accuracy {figures['accuracy']:.4f}")


def _roc(axes: Any, figures: Mapping[str, Any]) -> None:
    roc = figures["roc"]
    curves = sorted(roc.get("classes", [roc]), key=lambda curve: curve["auc"] if curve["auc"] is not None else 2.0)
    for curve in curves[:_MOST_CURVES]:  # those that are told apart worst
        if curve["auc"] is not None:
            label = f"{curve.get('class', 'AUC')} {curve['auc']:.3f}"
            axes.plot(curve["false_positive_rate"], curve["true_positive_rate"], label=label)
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    axes.set_title("ROC")
    if any(curve["auc"] is not None for curve in curves):
        axes.legend(fontsize=7)


def _calibration(axes: Any, figures: Mapping[str, Any]) -> None:
    told = figures["calibration"]
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    axes.plot(told["predicted"], told["observed"], marker="o")
    axes.set_xlabel("predicted probability")
    axes.set_ylabel("share that was right")
    axes.set_title(f"calibration, expected error {told['expected_error']:.4f}")


def _residuals(axes: Any, figures: Mapping[str, Any]) -> None:
    told = figures["residuals"]
    axes.stairs(told["histogram"]["counts"], told["histogram"]["edges"], fill=True)
    axes.set_xlabel("label minus answer")
    axes.set_ylabel("rows")
    axes.set_title(f"mean absolute error {told['mean_absolute_error']:.4g}")


_PANELS = {"confusion_matrix": _matrix, "roc": _roc, "calibration": _calibration, "residuals": _residuals}
