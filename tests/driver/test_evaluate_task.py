"""Evaluation on a real Ray cluster, of a run that was made here: Keras' and scikit-learn's own figures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from raytrain.driver.evaluate_task import evaluate
from raytrain.errors import UsageError
from raytrain.run.task_result import read_result, result_text
from raytrain.spec.task_requests import EvaluateRequest
from tests.flowers import KINDS, Made, flower_rows, flower_spec, make_run

pytestmark = [
    pytest.mark.usefixtures("ray_cluster"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_run(tmp_path_factory.mktemp("finished"), epochs=3)


def request(made: Made, **fields: Any) -> EvaluateRequest:
    known = {"run": made.paths.run, "moment": "now", "storage": str(made.paths.root.parent)}
    return EvaluateRequest.model_validate({**known, **fields})


def test_the_test_rows_and_another_source_have_the_metrics_of_plain_keras(made: Made, tmp_path: Path) -> None:
    model = keras.saving.load_model(made.paths.model)
    features, labels = made.packed.splits["test"]
    plain = model.evaluate(features, labels, batch_size=32, verbose=0, return_dict=True)
    told = model.predict(features, verbose=0)

    found = evaluate(request(made, workers=2), made.open("evaluate"))

    assert (found.data, found.rows, found.workers, found.batch_size) == ("test", 90, 2, 32)
    assert found.metrics == pytest.approx(plain, abs=1e-6)
    output = found.outputs["kind"]
    assert output["classes"] == KINDS
    assert output["confusion_matrix"] == sk.confusion_matrix(labels, told.argmax(axis=1)).tolist()
    areas = [sk.roc_auc_score(labels == number, told[:, number]) for number in range(3)]
    assert [roc["auc"] for roc in output["roc"]["classes"]] == pytest.approx(areas, abs=1e-6)
    right, predicted = calibration_curve(told.argmax(axis=1) == labels, told.max(axis=1), n_bins=10)
    assert output["calibration"]["observed"] == pytest.approx(right.tolist(), abs=1e-6)
    assert output["calibration"]["predicted"] == pytest.approx(predicted.tolist(), abs=1e-6)
    assert (made.paths.task("evaluate", "now") / "kind.png").stat().st_size > 1000
    assert read_result(result_text(found)) == found

    rows = flower_rows(1001, seed=3)
    rows.to_parquet(tmp_path / "other.parquet", row_group_size=100)
    pipeline = made.open("evaluate").pipeline
    other = pipeline.apply(pa.Table.from_pandas(rows, preserve_index=False))
    source = {"parquet": str(tmp_path / "other.parquet")}
    one, two = (
        evaluate(request(made, data=source, by="garden", workers=workers), made.open("evaluate")) for workers in (1, 2)
    )
    plain = model.evaluate(*other, batch_size=32, verbose=0, return_dict=True)
    for evaluation in (one, two):
        assert (evaluation.rows, evaluation.by) == (1001, "garden")
        assert evaluation.metrics == pytest.approx(plain, abs=1e-6)
        assert [part["value"] for part in evaluation.slices] == ["north", "south"]
        assert sum(part["rows"] for part in evaluation.slices) == 1001
        for part in evaluation.slices:
            chosen = np.flatnonzero(rows["garden"] == part["value"])
            own = model.evaluate(other[0][chosen], other[1][chosen], batch_size=32, verbose=0, return_dict=True)
            assert part["metrics"] == pytest.approx(own, abs=1e-6)
    with pytest.raises(UsageError, match="--by: got column `gardn`"):
        evaluate(request(made, by="gardn"), made.open("evaluate"))


@pytest.mark.thorough
def test_weighted_numbers_have_residuals(tmp_path: Path) -> None:
    spec = flower_spec(
        label="height", features=["colour", "width"], weight="id", preprocess=[{"one_hot": {"columns": ["colour"]}}]
    )
    data = spec.model_dump()
    data["model"]["layers"] = [{"Input": {"shape": [4]}}, {"Dense": {"units": 1}}]
    data["compile"] |= {"loss": "mean_squared_error", "metrics": ["mean_absolute_error"]}
    made = make_run(tmp_path, spec=type(spec).model_validate(data))
    features, labels, weights = made.packed.splits["test"]
    model = keras.saving.load_model(made.paths.model)
    plain = model.evaluate(features, labels, sample_weight=weights, batch_size=32, verbose=0, return_dict=True)
    told = model.predict(features, verbose=0).reshape(-1)

    found = evaluate(request(made), made.open("evaluate"))

    assert found.metrics == pytest.approx(plain, rel=1e-6)
    residuals = found.outputs["height"]["residuals"]
    assert residuals["r2"] == pytest.approx(sk.r2_score(labels, told, sample_weight=weights), abs=1e-5)
    squared = sk.mean_squared_error(labels, told, sample_weight=weights)
    assert residuals["root_mean_squared_error"] == pytest.approx(math.sqrt(squared), rel=1e-5)
    rows = flower_rows(1001)
    rows.to_parquet(tmp_path / "many.parquet")
    many = request(made, data={"parquet": str(tmp_path / "many.parquet")}, by="id", workers=1)
    with pytest.raises(UsageError, match="a column of few values"):
        evaluate(many, made.open("evaluate"))
