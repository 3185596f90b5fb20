"""Callbacks that do more than watch: they write once, and what they ask of the model they get whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conformance.cases import ADAM, TEST, make, mlp, split
from tests.worker.conftest import Pools

WRITING = """
import os, json, pathlib
def callbacks():
    place = pathlib.Path({place!r})
    return [
        keras.callbacks.ModelCheckpoint(str(place / "best.keras"), monitor="val_loss", save_best_only=False),
        keras.callbacks.CSVLogger(str(place / "log.csv")),
        keras.callbacks.TensorBoard(str(place / "board"), write_graph=False),
    ]
"""
ASKING = """
import json, pathlib
import numpy as np
class Ask(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        x = np.linspace(-1, 1, 42).reshape(7, 6).astype("float32")
        y = np.arange(7, dtype="float32") % 2
        scores = self.model.evaluate(x, y, batch_size=3, return_dict=True, verbose=0)
        answer = {{"scores": scores, "predictions": self.model.predict(x, batch_size=2, verbose=0).tolist()}}
        rank = json.loads(__import__("os").environ.get("TF_CONFIG", '{{"task": {{"index": 0}}}}'))["task"]["index"]
        (pathlib.Path({place!r}) / f"{{epoch}}-{{rank}}.json").write_text(json.dumps(answer))
def callbacks():
    return [Ask()]
"""
METRICS = f'{ADAM}, metrics=[keras.metrics.TruePositives(name="tp"), "accuracy"]'


@pytest.mark.thorough
def test_files_are_written_once_by_the_chief(pools: Pools, tmp_path: Path) -> None:
    case = make(mlp(ADAM) + WRITING.format(place=str(tmp_path)), callbacks="model.py:callbacks")
    outcomes = pools(2).run(case, tmp_path / "run")
    assert not any(outcome.error for outcome in outcomes), outcomes[0].error
    assert (tmp_path / "best.keras").is_file()
    assert len(list((tmp_path / "board" / "train").iterdir())) == 1
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch", "0", "1"]


def test_evaluate_and_predict_inside_a_callback_are_those_of_one_process(pools: Pools, tmp_path: Path) -> None:
    answers = {}
    for workers in (0, 2):
        place = tmp_path / str(workers)
        place.mkdir()
        case = make(mlp(METRICS) + ASKING.format(place=str(place)), callbacks="model.py:callbacks")
        outcomes = pools(workers).run(case, tmp_path / f"run-{workers}")
        assert not any(outcome.error for outcome in outcomes), outcomes[0].error
        answers[workers] = {path.name: json.loads(path.read_text()) for path in place.iterdir()}
    assert len(answers[2]) == 4
    for name, answer in answers[2].items():
        reference = answers[0][f"{name[0]}-0.json"]
        assert answer["scores"] == pytest.approx(reference["scores"], abs=4e-5)
        assert [row[0] for row in answer["predictions"]] == pytest.approx(
            [row[0] for row in reference["predictions"]], abs=4e-5
        )


def test_pooled_metrics_are_those_of_scikit_learn(pools: Pools, tmp_path: Path) -> None:
    """Counts, precision, recall and F1 exactly; AUC to the width of Keras' thresholds."""
    import keras
    from sklearn import metrics

    source = f"""{ADAM}, metrics=[keras.metrics.AUC(num_thresholds=2000, name="auc"),
        keras.metrics.Recall(name="recall"), keras.metrics.Precision(name="precision"),
        keras.metrics.FalsePositives(name="fp")]"""
    [outcome, _] = pools(2).run(make(mlp(source), epochs=4), tmp_path)
    model = keras.saving.load_model(tmp_path / "model.keras")
    features, labels = split(3, TEST, "binary")
    scores = model.predict(features, verbose=0)[:, 0]
    chosen = scores > 0.5
    assert outcome.test["recall"] == pytest.approx(metrics.recall_score(labels, chosen), abs=1e-6)
    assert outcome.test["precision"] == pytest.approx(metrics.precision_score(labels, chosen), abs=1e-6)
    assert outcome.test["fp"] == metrics.confusion_matrix(labels, chosen)[0, 1]
    assert outcome.test["auc"] == pytest.approx(metrics.roc_auc_score(labels, scores), abs=5e-3)
