"""Sources read through a real Ray Data: every row once, in the source's own order, or a refusal that says why."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from PIL import Image

from raytrain.data.columns.arrow_to_numpy import to_arrays
from raytrain.data.sources import read_table
from raytrain.errors import UserCodeError
from raytrain.spec.source_kinds import Source
from tests.integration.conftest import Cli

pytestmark = [
    pytest.mark.usefixtures("ray_cluster"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
]


def write(folder: Path, **files: str) -> None:
    """`write(folder, a_csv="…")` writes a.csv."""
    for name, text in files.items():
        (folder / name.replace("_csv", ".csv")).write_text(text)


def read(folder: Path, **source: Any) -> pa.Table:
    return read_table(Source.model_validate(source), folder, field="data.train")


def rows(folder: Path, **source: Any) -> list[dict[str, Any]]:
    return read(folder, **source).to_pylist()  # type: ignore[no-any-return]


def refusal(folder: Path, **source: Any) -> str:
    with pytest.raises(UserCodeError) as refused:
        read(folder, **source)
    return str(refused.value)


def write_numbered(folder: Path, kind: str, sizes: list[int]) -> int:
    """Files `000.<kind>`, `001.<kind>`, … of so many rows, counted through in column `row`; how many in all."""
    total = 0
    for index, size in enumerate(sizes):
        table = pa.table({"row": np.arange(total, total + size), "noise": np.random.default_rng(index).random(size)})
        path = folder / f"{index:03}.{kind}"
        if kind == "csv":
            pa.csv.write_csv(table, path)
        else:
            pa.parquet.write_table(table, path, row_group_size=5000)
        total += size
    return total


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_rows_keep_their_order_over_files_of_all_sizes_and_many_blocks(kind: str, tmp_path: Path) -> None:
    total = write_numbered(tmp_path, kind, [120_000, 3, 60_000, 1, 2, 90_000, 5, 7])
    table = read(tmp_path, **{kind: f"*.{kind}"})
    np.testing.assert_array_equal(table.column("row").to_numpy(), np.arange(total))
    assert table.column("row").num_chunks >= 8


def test_rows_of_a_dataset_of_the_users_own_keep_their_order_whatever_task_ends_first(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("""
import time
import ray

def load():
    def wait(batch):
        time.sleep(0.3 if batch["id"][0] % 80 == 0 else 0)
        return batch
    return ray.data.range(400, override_num_blocks=20).map_batches(wait)
""")
    assert read(tmp_path, python="slow.py:load").column("id").to_pylist() == list(range(400))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_files_are_read_in_the_order_given(kind: str, tmp_path: Path) -> None:
    write_numbered(tmp_path, kind, [2, 1, 2, 1])
    names = [f"003.{kind}", f"000.{kind}", f"002.{kind}"]
    assert read(tmp_path, **{kind: names}).column("row").to_pylist() == [5, 0, 1, 3, 4]


@pytest.mark.parametrize(
    "source",
    ["data", "data/*.csv", ["data/a.csv", "data/b.csv"], ["data/[ab].csv"]],
    ids=["folder", "glob", "list", "set"],
)
def test_folders_globs_and_lists_name_the_same_files(source: str | list[str], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write(tmp_path / "data", b_csv="x\n2\n", a_csv="x\n1\n")
    (tmp_path / "data" / "README").write_text("not data")
    assert rows(tmp_path, csv=source) == [{"x": 1}, {"x": 2}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('x,t\n1,"a\nb"\n2,"c, ""d"""\n', [{"x": 1, "t": "a\nb"}, {"x": 2, "t": 'c, "d"'}], id="quotes"),
        pytest.param("x,t\r\n1,a\r\n\r\n2,b\r\n", [{"x": 1, "t": "a"}, {"x": 2, "t": "b"}], id="line ends of Windows"),
        pytest.param("\ufeffx,t\n1,é\n", [{"x": 1, "t": "é"}], id="byte order mark"),
        pytest.param("x,t\n1,a", [{"x": 1, "t": "a"}], id="no last line end"),
        pytest.param("x,t\n1.5,true\n2,false\n", [{"x": 1.5, "t": True}, {"x": 2.0, "t": False}], id="types"),
    ],
)
def test_csv(text: str, expected: list[dict[str, Any]], tmp_path: Path) -> None:
    write(tmp_path, a_csv=text)
    assert rows(tmp_path, csv="a.csv") == expected


def test_a_compressed_csv(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
        file.write("x\n1\n2\n")
    assert rows(tmp_path, csv="a.csv.gz") == [{"x": 1}, {"x": 2}]


def test_whole_numbers_in_one_file_and_fractions_in_another_are_one_column(tmp_path: Path) -> None:
    write(tmp_path, a_csv="x\n1\n", b_csv="x\n2.5\n")
    assert rows(tmp_path, csv=["a.csv", "b.csv"]) == [{"x": 1.0}, {"x": 2.5}]


def test_a_fraction_after_a_megabyte_of_whole_numbers(tmp_path: Path) -> None:
    write(tmp_path, a_csv="x\n" + "1\n" * 700_000 + "2.5\n")
    column = read(tmp_path, csv="a.csv").column("x")
    assert column.type == pa.float64()
    assert (len(column), column[-1].as_py()) == (700_001, 2.5)


def test_a_header_alone_adds_no_rows(tmp_path: Path) -> None:
    write(tmp_path, a_csv="x\n", b_csv="x\n1\n")
    assert rows(tmp_path, csv=["a.csv", "b.csv"]) == [{"x": 1}]


def test_list_and_tensor_columns_of_parquet(tmp_path: Path) -> None:
    tensor = np.arange(12).reshape(3, 2, 2)
    columns = {
        "list": pa.array([[1, 2], [3, 4], [5, 6]]),
        "nested": pa.array(tensor.tolist()),
        "fixed": pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], pa.list_(pa.float32(), 2)),
        "tensor": pa.FixedShapeTensorArray.from_numpy_ndarray(tensor),
        "text": pa.array(["a", "b", "a"]).dictionary_encode(),
    }
    pa.parquet.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=2)
    table = read(tmp_path, parquet="a.parquet")
    arrays = {name: array.tolist() for name, array in to_arrays(table, list(columns)).items()}
    assert arrays == {
        "list": [[1, 2], [3, 4], [5, 6]],
        "nested": tensor.tolist(),
        "fixed": [[1, 2], [3, 4], [5, 6]],
        "tensor": tensor.tolist(),
        "text": ["a", "b", "a"],
    }


def test_the_folders_of_a_partitioned_set_are_a_column(tmp_path: Path) -> None:
    table = pa.table({"year": [2020, 2021, 2020], "x": [1, 2, 3]})
    pa.parquet.write_to_dataset(table, tmp_path / "set", partition_cols=["year"])
    found = [(row["x"], row["year"]) for row in rows(tmp_path, parquet="set")]
    assert found == [(1, 2020), (3, 2020), (2, 2021)]


@pytest.mark.parametrize("module", ["dataset", "tensors", "frame"])
def test_what_a_function_returned_is_read(module: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}_source.py").write_text("""
import numpy as np, pandas as pd, ray
TENSOR = np.arange(12).reshape(3, 2, 2)
def dataset(): return ray.data.from_numpy(TENSOR).rename_columns({"data": "x"})
def tensors(): return {"x": TENSOR}
def frame(): return pd.DataFrame({"x": TENSOR.reshape(3, 4).tolist()})
""")
    table = read(tmp_path, python=f"{module}_source.py:{module}")
    assert to_arrays(table, ["x"])["x"].reshape(3, 4).tolist() == np.arange(12).reshape(3, 4).tolist()


@pytest.mark.parametrize(
    ("name", "value"),
    [("no_list", "[]"), ("no_columns", "{}"), ("no_rows", "{'x': []}"), ("no_items", "ray.data.from_items([])")],
)
def test_a_function_that_returns_nothing_is_refused(name: str, value: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.py").write_text(f"import ray\ndef load(): return {value}\n")
    assert refusal(tmp_path, python=f"{name}.py:load") == "data.train.python: got no rows, expected at least one row"


def test_an_error_in_a_task_of_the_users_dataset_names_its_line(tmp_path: Path) -> None:
    text = "import ray\ndef load():\n    return ray.data.range(3).map(lambda row: 1 / 0)\n"
    (tmp_path / "spoilt.py").write_text(text)
    shown = refusal(tmp_path, python="spoilt.py:load")
    assert shown.startswith("spoilt.py:3: data.train.python: got ZeroDivisionError: division by zero")


@pytest.mark.parametrize(
    ("source", "file", "words"),
    [
        ({"parquet": "/nope/nope.parquet"}, "", "got /nope/nope.parquet, which does not exist on the cluster"),
        ({"csv": "ragged.csv"}, "ragged.csv:3", "got a row of 1 values, expected 2"),
        ({"csv": ["number.csv", "text.csv"]}, "text.csv", "got string in column 1, `x`, expected int64"),
        ({"parquet": ["good.parquet", "corrupt.parquet"]}, "corrupt.parquet", "Parquet magic bytes not found"),
        ({"parquet": ["good.parquet", "spoilt.parquet"]}, "spoilt.parquet", "expected a parquet file"),
    ],
    ids=lambda value: str(*value.values()) if isinstance(value, dict) else "",
)
def test_what_cannot_be_read_is_refused_with_the_reason(
    source: dict[str, Any], file: str, words: str, tmp_path: Path
) -> None:
    write(tmp_path, ragged_csv="x,y\n1,2\n3\n", number_csv="x\n1\n", text_csv="x\na\n")
    (tmp_path / "corrupt.parquet").write_bytes(b"PAR1 and nonsense")
    for name in ("good", "spoilt"):
        pa.parquet.write_table(pa.table({"x": np.random.default_rng(0).random(5000)}), tmp_path / f"{name}.parquet")
    whole = (tmp_path / "spoilt.parquet").read_bytes()
    (tmp_path / "spoilt.parquet").write_bytes(whole[:4] + bytes(2000) + whole[2004:])
    shown = refusal(tmp_path, **source)
    assert shown.startswith(f"{file}: data.train." if file else "data.train.")
    assert words in shown
    assert "retried_io_errors" not in shown
    assert "\n" not in shown


LAYERS = "model: {layers: [{Input: {shape: %s}}, {Flatten: {}}, {Dense: {units: 2, activation: softmax}}]}\n"
REST = """
compile: {optimizer: {name: adam, learning_rate: 0.05}, loss: sparse_categorical_crossentropy, metrics: [accuracy]}
fit: {epochs: 8, global_batch_size: 8}
scaling: {workers: 2}
"""


@pytest.mark.thorough
def test_a_run_on_folders_of_images(cli: Cli, tmp_path: Path) -> None:
    for split, count in (("train", 20), ("validation", 5)):
        for name, value in (("dark", 0), ("light", 255)):
            (tmp_path / split / name).mkdir(parents=True)
            for index in range(count):
                Image.new("L", (6 + index, 8), value).save(tmp_path / split / name / f"{index}.png")
    data = "data: {train: {images: {path: train, size: [4, 5]}}, features: image, label: label,\n"
    data += "  validation: {images: {path: validation, size: [4, 5], classes: [dark, light]}}}\n"
    (tmp_path / "job.yaml").write_text("name: pictures\n" + LAYERS % "[4, 5, 3]" + data + REST)
    result = cli.submit(tmp_path)
    assert result["status"] == "SUCCEEDED", result["error"]
    assert result["rows"] == {"train": 40, "validation": 10, "test": 0}
    assert result["metrics"]["val_accuracy"] == 1.0


@pytest.mark.thorough
def test_a_run_on_json_lines_validated_on_numpy_files(cli: Cli, tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((60, 3)).astype(np.float32)
    labels = (values[:, 0] > 0.5).astype(int)
    lines = [json.dumps({"x": row.tolist(), "y": int(label)}) for row, label in zip(values, labels, strict=True)]
    (tmp_path / "train.jsonl").write_text("\n".join(lines))
    np.save(tmp_path / "x.npy", values[:10])
    np.save(tmp_path / "y.npy", labels[:10])
    data = "data: {train: {json: train.jsonl}, validation: {numpy: {x: x.npy, y: y.npy}}, features: x, label: y}\n"
    (tmp_path / "job.yaml").write_text("name: lines\n" + LAYERS % "[3]" + data + REST)
    result = cli.submit(tmp_path)
    assert result["status"] == "SUCCEEDED", result["error"]
    assert result["rows"] == {"train": 60, "validation": 10, "test": 0}
