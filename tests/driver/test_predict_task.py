"""Prediction on a real Ray cluster, of a run that was made here: every row once, whatever happens on the way."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator
from pathlib import Path
from time import sleep
from typing import Any

import keras
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import ray

from raytrain.data import prediction_folder
from raytrain.data.packed import leaves
from raytrain.driver.predict_task import predict
from raytrain.errors import RaytrainError, UsageError, UserCodeError
from raytrain.spec.task_requests import PredictRequest
from tests.flowers import KINDS, Made, flower_rows, make_run

pytestmark = [
    pytest.mark.usefixtures("ray_cluster"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:The minimum number of concurrent actors"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """The run; afterwards the actors of predictions that failed give back their CPUs."""
    yield make_run(tmp_path_factory.mktemp("finished"))
    for _ in range(600):
        gc.collect()
        if ray.available_resources().get("CPU") == ray.cluster_resources()["CPU"]:
            return
        sleep(0.1)
    pytest.fail(f"predictions keep CPUs: {ray.available_resources()}")


def request(made: Made, source: dict[str, Any], output: Path, **fields: Any) -> PredictRequest:
    return PredictRequest.model_validate(
        {
            "run": made.paths.run,
            "moment": "now",
            "storage": str(made.paths.root.parent),
            "input": source,
            "output": str(output),
            **fields,
        }
    )


def expected(made: Made, rows: pd.DataFrame) -> Any:
    """What plain Keras says of the rows, preprocessed here."""
    import pyarrow as pa

    pipeline = made.open().pipeline.for_features()
    features = pipeline.apply(pa.Table.from_pandas(rows, preserve_index=False))
    return keras.saving.load_model(made.paths.model).predict(leaves(features)[0], verbose=0)


def test_every_row_is_answered_once_and_in_order(made: Made, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Several files, several workers; then rows that fail, a prediction that was cut off, and what is refused."""
    rows = flower_rows(3000, seed=1).drop(columns=["kind"])
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        rows[number * 1000 : (number + 1) * 1000].to_csv(folder / f"{number}.csv", index=False)
    told = expected(made, rows)

    one = predict(request(made, {"csv": str(folder)}, tmp_path / "out.csv", workers=2, batch_size=64), made.open())

    found = pd.read_csv(tmp_path / "out.csv")
    assert (one.rows, one.set_aside, one.workers, one.batch_size) == (3000, 0, 2, 64)
    assert one.classes == {"kind": KINDS}
    assert one.parts > 2
    assert list(found.columns) == one.columns
    assert found["id"].tolist() == list(range(3000))
    assert found["prediction"].tolist() == np.array(KINDS)[told.argmax(axis=1)].tolist()
    np.testing.assert_allclose(found[[f"probabilities_{kind}" for kind in KINDS]], told, atol=1e-6)
    np.testing.assert_allclose(found["probability"], told.max(axis=1), atol=1e-6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out.csv"]

    cut_off_and_gone_on_with(made, rows, tmp_path)
    rows_that_fail(made, tmp_path)
    caplog.clear()  # the records hold the errors of the actors, and with these the actors


def cut_off_and_gone_on_with(made: Made, rows: pd.DataFrame, tmp_path: Path) -> None:
    source = tmp_path / "in.parquet"
    rows.to_parquet(source, row_group_size=500)
    asked = request(made, {"parquet": str(source)}, tmp_path / "folder", workers=1, batch_size=250, columns=["id"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prediction_folder.PredictionFolder, "finish", _cut_off)
        with pytest.raises(KeyboardInterrupt):
            predict(asked, made.open())
    hidden = tmp_path / ".folder.unfinished"
    assert not (tmp_path / "folder").exists()
    parts = sorted(path.name for path in hidden.glob("part-*"))
    assert len(parts) >= 4
    (hidden / parts[1]).unlink()  # as if its process had died before the part had its name
    before = {path.name: path.stat().st_mtime_ns for path in hidden.glob("part-*")}
    with pytest.raises(UsageError, match="--overwrite begins anew"):
        predict(asked.model_copy(update={"columns": ["id", "width"]}), made.open())

    done = predict(asked, made.open())

    assert (done.rows, done.resumed_parts, done.parts) == (3000, len(parts) - 1, len(parts))
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "folder").glob("part-*")}
    assert {name: after[name] for name in before} == before
    assert (tmp_path / "folder" / "_SUCCESS").exists() and not hidden.exists()
    table = pq.read_table(tmp_path / "folder")
    assert table.column("id").to_pylist() == list(range(3000))
    assert table.column_names == ["id", "prediction", "probability", "probabilities"]
    with pytest.raises(UsageError, match="--overwrite replaces it"):
        predict(asked, made.open())
    assert predict(asked.model_copy(update={"overwrite": True}), made.open()).resumed_parts == 0


def rows_that_fail(made: Made, tmp_path: Path) -> None:
    rows = flower_rows(400, seed=2)
    rows.loc[[7, 250], "colour"] = ["green", "violet"]
    rows.to_json(tmp_path / "bad.jsonl", orient="records", lines=True)
    asked = request(made, {"json": str(tmp_path / "bad.jsonl")}, tmp_path / "good.jsonl", workers=1)

    with pytest.raises(RaytrainError, match=r"row 7 of .*bad.jsonl.*green.*--skip-errors"):
        predict(asked, made.open())
    done = predict(asked.model_copy(update={"skip_errors": True, "overwrite": True}), made.open())

    assert (done.rows, done.set_aside) == (398, 2)
    named = [json.loads(line) for line in Path(str(done.errors)).read_text().splitlines()]
    assert [(Path(one["file"]).name, one["row"]) for one in named] == [("bad.jsonl", 7), ("bad.jsonl", 250)]
    assert "violet" in named[1]["error"]
    answers = [json.loads(line) for line in (tmp_path / "good.jsonl").read_text().splitlines()]
    assert [row["id"] for row in answers] == [number for number in range(400) if number not in (7, 250)]
    assert len(answers[0]["probabilities"]) == 3
    with pytest.raises(UserCodeError, match="`height`"):
        predict(request(made, {"inline": [{"colour": "red", "width": 1.0}]}, tmp_path / "no"), made.open())
    with pytest.raises(UsageError, match="which no prediction has written"):
        predict(asked.model_copy(update={"output": str(tmp_path), "overwrite": True, "format": "json"}), made.open())
    assert os.path.isdir(tmp_path / "in")


def _cut_off(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt
