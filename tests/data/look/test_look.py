"""A look at a job's data, without a cluster and, but for the last, in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from raytrain.client.look_at_data import look_at_data as look_from_client
from raytrain.data.look.__main__ import look_at_data
from raytrain.errors import SpecError
from raytrain.spec.data_look import ColumnLook, DataLook
from raytrain.spec.load import load_job
from tests.data.preprocess.tables import job

ROWS = 40
COLUMNS: dict[str, list[Any]] = {
    "id": list(range(ROWS)),
    "same": [7] * ROWS,
    "leak": ["no", "yes"] * (ROWS // 2),
    "age": [None if row % 10 == 3 else float(row % 9) for row in range(ROWS)],
    "ill": [0, 1] * (ROWS // 2),
}
FEATURES = {"numbers": ["id", "same", "age"], "leak": "leak"}


def look(*, loss: str | None = None, **data: Any) -> DataLook:
    steps = data.pop("preprocess", [])
    spec = job(*steps, loss=loss, train={"inline": COLUMNS}, label="ill", **({"features": FEATURES} | data))
    return look_at_data(spec, Path())


def column(found: DataLook, name: str) -> ColumnLook:
    return next(column for column in found.columns if column.name == name)


def test_each_column_is_told_as_it_is_and_as_it_becomes() -> None:
    found = look(
        preprocess=[
            {"impute": {"columns": ["age"]}},
            {"min_max": {"columns": ["age"]}},
            {"one_hot": {"columns": ["leak"], "into": ["hot"]}},
        ],
        features={"numbers": ["id", "same", "age"], "leak": "hot"},
        validation=0.25,
    )
    assert (found.rows, found.is_whole, found.problems) == ({"train": 30, "validation": 10}, True, ())
    age = column(found, "age")
    assert (age.role, age.kind, age.becomes, age.empty, age.distinct) == ("feature", "double", "float32", 4, 9)
    assert (age.low, age.high, age.preprocessed) == (0.0, 8.0, (0.0, 1.0))
    hot = column(found, "hot")
    assert (hot.role, hot.kind, hot.becomes) == ("feature", "made by one_hot", "float32 (2)")
    ill = column(found, "ill")
    assert (ill.role, ill.becomes, ill.classes) == ("label", "int64", (("0", 20), ("1", 20)))
    assert column(found, "leak").role == "step"
    assert column(found, "leak").values == ("no", "yes", "no")
    assert found.frame().loc["age", "empty"] == 4
    assert DataLook.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_what_a_run_would_refuse_is_said_column_by_column() -> None:
    found = look()
    assert column(found, "age").becomes == ""
    assert "4 empty cells in column `age`" in column(found, "age").refused
    assert "fill: 0" in column(found, "age").refused
    assert column(found, "id").becomes == "int64"
    assert found.problems


def test_columns_that_are_likely_mistakes() -> None:
    said = look(columns={"age": {"fill": 0}}).suspicious
    assert said == (
        "feature `id` is different in every row, as an id is",
        "feature `same` is 7 in every row: it tells nothing",
        "feature `leak` tells label `ill` exactly: each value of one goes with one of the other",
    )
    assert "label `ill` is a feature, too" in look(features=["ill"]).suspicious


def test_splits_that_are_likely_mistakes() -> None:
    held = {"inline": {"age": [0.0, 1.0, 99.0], "ill": [0, 1, 2]}}
    classes: dict[str, Any] = {"loss": "sparse_categorical_crossentropy", "columns": {"age": {"fill": 0}}}
    said = look(validation=held, features=["age"], **classes).suspicious
    assert "2 of 3 validation rows are train rows, too" in said
    assert "validation has classes of `ill` that no train row has: 2" in said
    one = look(validation={"inline": {"age": [50.0, 51.0], "ill": [1, 1]}}, features=["age"], **classes).suspicious
    assert "validation has one class alone: 1" in one


def test_the_first_rows_stand_for_all() -> None:
    found = look_at_data(job(train={"inline": {"x": list(range(9))}}), Path(), most=4)
    assert (found.rows, found.is_whole) == ({"train": 4}, False)


@pytest.mark.parametrize("kind", ["csv", "parquet", "json", "images"])
def test_files_are_read(kind: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1.5, 2.5]})
    match kind:
        case "csv":
            frame.to_csv(tmp_path / "t.csv", index=False)
        case "parquet":
            frame.to_parquet(tmp_path / "t.parquet")
        case "json":
            frame.to_json(tmp_path / "t.json", orient="records", lines=True)
        case _:
            (tmp_path / "cat").mkdir()
            for name in "ab":
                Image.new("L", (3, 4)).save(tmp_path / f"cat/{name}.png")
    spec = job(train={kind: "."}, features="image" if kind == "images" else "x")
    found = look_at_data(spec, tmp_path)
    assert found.rows == {"train": 2}
    assert column(found, spec.data.feature_columns[0]).becomes.startswith(
        "uint8 (4, 3, 3)" if kind == "images" else "f"
    )


@pytest.mark.processes
def test_the_client_looks_through_a_child_process(tmp_path: Path) -> None:
    (tmp_path / "data.py").write_text("print('noise')\ndef load(): return {'x': [1, 2], 'y': [0, 1]}\n")
    text = "model: {layers: [{Dense: {units: 1}}]}\ncompile: {loss: mse}\nfit: {global_batch_size: 2}\n"
    (tmp_path / "job.yaml").write_text(text + "data: {train: {python: data.py:load}, features: x, label: y}\n")
    assert column(look_from_client(load_job(str(tmp_path))), "x").becomes == "int64"
    (tmp_path / "data.py").write_text("def load(): return 3\n")
    with pytest.raises(SpecError, match=r"got builtins\.int from data\.py:load"):
        look_from_client(load_job(str(tmp_path)))
