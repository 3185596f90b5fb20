"""The figures are scikit-learn's own, and there are none where labels and answers do not belong together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sk

from raytrain.driver.figure_pictures import draw_figures
from raytrain.model.figures import figures_of

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 3, 500)
SCORES = RANDOM.dirichlet([1, 1, 1], 500)
WEIGHTS = RANDOM.random(500)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("labels", [LABELS, np.eye(3)[LABELS]])
def test_of_classes(labels: np.ndarray, weights: np.ndarray | None) -> None:
    found = figures_of("classes", SCORES, labels, ["a", "b", "c"], weights)

    chosen = SCORES.argmax(axis=1)
    assert found["confusion_matrix"] == sk.confusion_matrix(LABELS, chosen, sample_weight=weights).tolist()
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(LABELS, chosen, sample_weight=weights))
    for number, roc in enumerate(found["roc"]["classes"]):
        expected = sk.roc_auc_score(number == LABELS, SCORES[:, number], sample_weight=weights)
        assert roc["auc"] == pytest.approx(expected)
        assert len(roc["false_positive_rate"]) <= 200
        assert (roc["false_positive_rate"][0], roc["true_positive_rate"][-1]) == (0.0, 1.0)
    assert sum(found["calibration"]["rows"]) == 500


def test_of_yes_or_no_and_of_numbers(tmp_path: Path) -> None:
    scores, labels = RANDOM.random((100, 1)), RANDOM.integers(0, 2, 100)
    binary = figures_of("binary", scores, labels, [0, 1], None)
    assert binary["roc"]["auc"] == pytest.approx(sk.roc_auc_score(labels, scores))
    alone = figures_of("binary", scores, np.zeros(100, int), [0, 1], None)
    assert alone["roc"]["auc"] is None
    values = figures_of("values", scores * 3, labels, [], None)
    assert values["residuals"]["r2"] == pytest.approx(sk.r2_score(labels, scores * 3))
    assert sum(values["residuals"]["histogram"]["counts"]) == 100
    assert figures_of("values", np.ones((100, 7)), labels, [], None) == {"kind": "values"}

    named = {"a/b": binary, "alone": alone, "values": values, "none": {"kind": "values"}}
    assert draw_figures(named, tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a_b.png", "alone.png", "values.png"]
    assert "could not be drawn" in draw_figures(named, tmp_path / "nowhere")[0]
