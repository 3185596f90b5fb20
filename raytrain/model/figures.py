"""What answers and labels say together, by scikit-learn: confusion matrix, ROC, calibration, residuals.

Runs in: the driver. `weights` count rows where the run has a weight column.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_CURVE_POINTS = 200
_BINS = 10
_MOST_CLASSES = 100


def figures_of(kind: str, output: Array, labels: Array, names: list[Any], weights: Array | None) -> dict[str, Any]:
    """The figures of one output; only its kind where labels and answers are of shapes that have none.

    Args:
        kind: of the output: classes, binary or values.
        output: probabilities (rows, classes) or (rows,); or numbers.
        labels: class numbers, vectors of them, or numbers.
        names: of the classes.
    """
    base: dict[str, Any] = {"kind": kind}
    if kind == "classes" and output.ndim >= 2:
        if labels.ndim == output.ndim and labels.shape[-1] == output.shape[-1] and output.shape[-1] > 1:
            labels = labels.argmax(axis=-1)
        flat = output.reshape(-1, output.shape[-1])
        if labels.size == len(flat):
            repeated = None if weights is None else np.repeat(weights.reshape(len(output)), len(flat) // len(output))
            return base | _of_classes(flat, labels.reshape(-1).astype(np.int64), names, repeated)
    if kind == "binary" and labels.size == output.size:
        return base | _of_binary(output.reshape(-1), labels.reshape(-1).astype(np.int64), names, _flat(weights))
    if kind == "values" and labels.size == output.size and labels.dtype.kind in "fiub":
        many = output.size // max(1, len(output))
        repeated = None if weights is None else np.repeat(weights.reshape(-1), many)
        return base | {"residuals": residuals(output.reshape(-1), labels.reshape(-1), repeated)}
    return base


def _flat(weights: Array | None) -> Array | None:
    return None if weights is None else weights.reshape(-1)


def _of_classes(scores: Array, labels: Array, names: list[Any], weights: Array | None) -> dict[str, Any]:
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    count = scores.shape[1]
    numbers = np.arange(count)
    chosen = scores.argmax(axis=1)
    matrix = confusion_matrix(labels, chosen, labels=numbers, sample_weight=weights)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, chosen, labels=numbers, sample_weight=weights, zero_division=0
    )
    rocs = [
        _roc(labels == number, scores[:, number], weights) | {"class": names[number]}
        for number in (numbers if count <= _MOST_CLASSES else ())
    ]
    areas = [roc["auc"] for roc in rocs if roc["auc"] is not None]
    return {
        "classes": names,
        "confusion_matrix": matrix.tolist(),
        "per_class": [
            {"class": names[n], "precision": float(p), "recall": float(r), "f1": float(f), "support": float(s)}
            for n, p, r, f, s in zip(numbers, precision, recall, f1, support, strict=True)
        ],
        "accuracy": float(np.average(labels == chosen, weights=weights)),
        "roc": {"macro_auc": float(np.mean(areas)) if areas else None, "classes": rocs},
        "calibration": calibration(labels == chosen, scores.max(axis=1)),
    }


def _of_binary(scores: Array, labels: Array, names: list[Any], weights: Array | None) -> dict[str, Any]:
    from sklearn.metrics import confusion_matrix

    chosen = (scores > 0.5).astype(np.int64)
    return {
        "classes": names,
        "confusion_matrix": confusion_matrix(labels, chosen, labels=[0, 1], sample_weight=weights).tolist(),
        "accuracy": float(np.average(labels == chosen, weights=weights)),
        "roc": _roc(labels == 1, scores, weights),
        "calibration": calibration(labels == 1, scores),
    }


def _roc(labels: Array, scores: Array, weights: Array | None) -> dict[str, Any]:
    """The curve, thinned to some points, and the area under the whole of it; none where all rows are of one class."""
    from sklearn.metrics import auc, roc_curve

    if labels.all() or not labels.any():
        return {"auc": None, "false_positive_rate": [], "true_positive_rate": []}
    false, true, _ = roc_curve(labels, scores, sample_weight=weights)
    places = np.unique(np.linspace(0, len(false) - 1, min(_CURVE_POINTS, len(false))).astype(int))
    return {
        "auc": float(auc(false, true)),
        "false_positive_rate": false[places].tolist(),
        "true_positive_rate": true[places].tolist(),
    }


def calibration(hits: Array, scores: Array) -> dict[str, Any]:
    """How often answers of so much probability were right, in ten bins of equal width that hold any.

    Of classes, the probability of the one that was chosen.
    """
    from sklearn.calibration import calibration_curve

    bounded = np.clip(scores.astype(np.float64), 0.0, 1.0)
    right, told = calibration_curve(hits, bounded, n_bins=_BINS, strategy="uniform")
    edges = np.linspace(0, 1, _BINS + 1)
    counts = np.bincount(np.searchsorted(edges[1:-1], bounded), minlength=_BINS)
    filled = counts[counts > 0]
    error = float(np.sum(filled * np.abs(right - told)) / max(1, filled.sum()))
    return {
        "predicted": told.tolist(),
        "observed": right.tolist(),
        "rows": filled.tolist(),
        "expected_error": error,
    }


def residuals(output: Array, labels: Array, weights: Array | None) -> dict[str, Any]:
    """What is left of the labels when the answers are taken from them."""
    from sklearn.metrics import mean_absolute_error, mean_squared_error, median_absolute_error, r2_score

    wide, truth = output.astype(np.float64), labels.astype(np.float64)
    left = truth - wide
    counts, edges = np.histogram(left, bins=30)
    squared = float(mean_squared_error(truth, wide, sample_weight=weights))
    return {
        "mean": float(np.average(left, weights=weights)),
        "mean_absolute_error": float(mean_absolute_error(truth, wide, sample_weight=weights)),
        "median_absolute_error": float(median_absolute_error(truth, wide, sample_weight=weights)),
        "root_mean_squared_error": squared**0.5,
        "r2": float(r2_score(truth, wide, sample_weight=weights)) if len(truth) > 1 else None,
        "quantiles": {f"{q:g}": float(np.quantile(left, q)) for q in (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)},
        "histogram": {"counts": counts.tolist(), "edges": edges.tolist()},
    }
