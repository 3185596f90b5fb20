"""What a person reads of an evaluation and a prediction."""

from __future__ import annotations

from raytrain.cli.display.task_lines import evaluation_lines, prediction_lines
from raytrain.run.task_result import Evaluation, Prediction


def test_an_evaluation() -> None:
    slices = [{"value": "north", "rows": 1, "metrics": {"loss": None}}]
    done = Evaluation(
        run="a",
        data="test",
        rows=180,
        workers=2,
        batch_size=32,
        metrics={"accuracy": 0.5, "loss": 1e-5},
        by="garden",
        slices=slices,
        notices=["evaluated on one worker"],
        directory="/runs/a/evaluations/now",
    )
    assert list(evaluation_lines(done)) == [
        "180 rows of test: accuracy=0.5000 loss=1.000e-05",
        "  garden=north  1 row  loss=nan",
        "note: evaluated on one worker",
        "more in /runs/a/evaluations/now",
    ]


def test_a_prediction() -> None:
    done = Prediction(run="a", output="/o.csv", rows=1000, set_aside=2, errors="/o.csv.errors.jsonl")
    assert list(prediction_lines(done)) == [
        "1,000 rows in /o.csv",
        "2 rows set aside, see /o.csv.errors.jsonl",
    ]
