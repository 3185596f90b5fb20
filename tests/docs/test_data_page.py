"""docs/data.md, held against the program: every example is checked, every shown value computed."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from raytrain.data.columns.arrow_to_numpy import to_arrays
from raytrain.data.label_checks import check_labels
from raytrain.data.look.column_looks import shape_words
from raytrain.errors import ExitCode, SpecError, UserCodeError
from raytrain.spec.checks import JobFacts, check_job
from raytrain.spec.column_options import ColumnSpec
from raytrain.spec.data_spec import DataSpec
from raytrain.spec.load import load_job
from raytrain.spec.preprocess_steps import Preprocess
from raytrain.spec.source_kinds import Source
from tests.data.preprocess.tables import features, job
from tests.docs import pages
from tests.docs.pages import block_with, codes
from tests.docs.test_commands import run, same
from tests.spec.peek.test_inspect_source import record

PAGE = "docs/data.md"

HOUSES: dict[str, list[Any]] = {"rooms": [1, 2, 3], "area": [20.0, 35.5, 60.0], "price": [1.0, 2.0, 4.0]}
PATIENTS: dict[str, list[Any]] = {
    "age": [31, 45] * 10,
    "city": ["Rome", "Oslo", "Bonn", "Rome"] * 5,
    "fold": [0, 1, 2, 3, 4] * 4,
    "ill": [0, 1] * 10,
}
# Their rows are counted by the cluster, which alone can read them.
REMOTE = {"delta", "iceberg", "lance", "huggingface", "python", "sql"}
JOB = """\
name: example
model: {layers: [{Dense: {units: 1}}]}
compile: {loss: mse}
fit: {global_batch_size: 2}
"""
CODE = """\
import sqlite3

def load():
    return {"x": [1, 2], "y": [0, 1]}

def connect():
    return sqlite3.connect("houses.db")

def double(batch):
    return {name: 2 * column for name, column in batch.items()}
"""


def table(head: str) -> list[list[str]]:
    return pages.table(PAGE, head)


def csv_text(columns: dict[str, list[Any]]) -> str:
    rows = zip(*columns.values(), strict=True)
    return "\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n"


def picture(path: Path | io.BytesIO) -> None:
    Image.new("RGB", (5, 4)).save(path, "PNG")


@pytest.fixture
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job's folder with every file that the examples name."""
    monkeypatch.chdir(tmp_path)
    for name in ("houses", "reviews/liked=0", "reviews/liked=1", "pictures/cat", "pictures/dog", "photos", "records"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "data.py").write_text(CODE)
    for name in ("a", "b"):
        (tmp_path / "houses" / f"{name}.csv").write_text(csv_text(HOUSES))
        pq.write_table(pa.table(HOUSES), tmp_path / "houses" / f"{name}.parquet")
    rows = [dict(zip(HOUSES, row, strict=True)) for row in zip(*HOUSES.values(), strict=True)]
    (tmp_path / "houses.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    np.savez(tmp_path / "points.npz", x=np.zeros((3, 2)), y=np.zeros(3))
    for name in ("x", "y"):
        np.save(tmp_path / f"{name}.npy", np.zeros(3))
    for liked in (0, 1):
        (tmp_path / f"reviews/liked={liked}/a.txt").write_text("good fun\nwaste of time\n")
    for name in ("cat", "dog"):
        picture(tmp_path / f"pictures/{name}/1.png")
    picture(tmp_path / "photos/1.png")
    (tmp_path / "photos.csv").write_text("file,price\n1.png,3\n1.png,4\n")
    (tmp_path / "records/a.tfrecord").write_bytes(3 * record(b"data"))
    (tmp_path / "prices.csv").write_text(csv_text(HOUSES).replace(",", ";").replace(".", ","))
    (tmp_path / "patients.csv").write_text(csv_text(PATIENTS))
    (tmp_path / "others.csv").write_text(csv_text(PATIENTS))
    return tmp_path


def checked(folder: Path, data: str) -> tuple[DataSpec, JobFacts]:
    """A job with this `data:` section, as `raytrain validate` checks it."""
    (folder / "job.yaml").write_text(JOB + data + "\n")
    loaded = load_job(str(folder))
    return loaded.spec.data, check_job(loaded)


SOURCES = [codes(row[1])[0] for row in table("source")]
SPLITS = [codes(row[0])[0] for row in table("such as")]


def test_every_source_has_an_example() -> None:
    named = [codes(row[0])[0] for row in table("source") if row[0]]
    shown = dict.fromkeys(next(iter(yaml.safe_load(data)["data"]["train"])) for data in SOURCES)
    assert named == list(shown)
    assert set(named) == set(Source.model_fields) - {"arrays"}  # which raytrain.fit writes for itself


@pytest.mark.parametrize("data", SOURCES)
def test_source(data: str, data_folder: Path) -> None:
    spec, facts = checked(data_folder, data)
    assert (facts.rows is None) == (spec.train.kind in REMOTE)


@pytest.mark.parametrize("data", [data for data in SOURCES if "{csv:" in data or "{parquet:" in data])
def test_a_column_that_is_not_there_is_refused(data: str, data_folder: Path) -> None:
    with pytest.raises(SpecError, match="is no column"):
        checked(data_folder, data.replace("label: price", "label: prize"))


@pytest.mark.parametrize("data", SPLITS)
def test_split(data: str, data_folder: Path) -> None:
    spec, facts = checked(data_folder, data)
    known = spec.group is None and "where" not in data
    assert (facts.rows is not None) == known


def test_every_kind_of_split_has_an_example() -> None:
    given = [DataSpec.model_validate(yaml.safe_load(data)["data"]) for data in SPLITS]
    assert {type(split.validation).__name__ for split in given} == {"float", "Where", "Source"}
    assert {split.stratify for split in given} == {False, True, "city"}
    assert any(split.group for split in given)


# Every type that Arrow has, by the name that the page has for it, with a column of values as JSON has them.
KINDS: dict[str, Callable[[list[Any]], pa.Array]] = {
    **{
        name: partial(pa.array, type=kind)
        for name, kind in {
            "bool": pa.bool_(),
            **{f"{sign}int{bits}": getattr(pa, f"{sign}int{bits}")() for sign in ("", "u") for bits in (8, 16, 32, 64)},
            **{f"float{bits}": getattr(pa, f"float{bits}")() for bits in (16, 32, 64)},
            "string": pa.string(),
            "large_string": pa.large_string(),
            "string_view": pa.string_view(),
            "list": pa.list_(pa.int32()),
            "large_list": pa.large_list(pa.int32()),
            "fixed_size_list": pa.list_(pa.int32(), 2),
            "list_view": pa.list_view(pa.int32()),
            "large_list_view": pa.large_list_view(pa.int32()),
            "null": pa.null(),
            "timestamp": pa.timestamp("s"),
            "date32": pa.date32(),
            "date64": pa.date64(),
            "time32": pa.time32("s"),
            "time64": pa.time64("us"),
            "duration": pa.duration("s"),
            "binary": pa.binary(),
            "large_binary": pa.large_binary(),
            "binary_view": pa.binary_view(),
            "fixed_size_binary": pa.binary(2),
        }.items()
    },
    "decimal": lambda values: pa.array([Decimal(str(value)) for value in values]),
    "tensor": lambda values: pa.FixedShapeTensorArray.from_numpy_ndarray(np.array(values)),
    "dictionary": lambda values: pa.array(values).dictionary_encode(),
    "run_end_encoded": lambda values: pc.run_end_encode(pa.array(values)),
    "struct": lambda values: pa.array([{"a": value} for value in values]),
    "map": lambda values: pa.array([[("a", value)] for value in values], pa.map_(pa.string(), pa.int64())),
}
BECOMES = table("a column of")


def test_the_page_has_every_type_of_arrow() -> None:
    named = {code for row in BECOMES for code in codes(row[0])}
    assert named == set(KINDS)
    by_name = {name for name in dir(pa.types) if name.startswith("is_")}
    covered = {name for name in by_name if any(_is(name, made(_values(kind)).type) for kind, made in KINDS.items())}
    groups = {"is_interval", "is_union", "is_decimal32", "is_decimal64", "is_decimal256"}
    assert {name for name in by_name - covered if not name.endswith("_value")} <= groups


def _is(name: str, kind: pa.DataType) -> bool:
    return bool(getattr(pa.types, name)(kind))


def _values(kind: str) -> list[Any]:
    row = next(row for row in BECOMES if kind in codes(row[0]))
    return list(json.loads(codes(row[1])[0])) if codes(row[1]) else [1, 2]


@pytest.mark.parametrize("row", BECOMES, ids=lambda row: row[0])
def test_what_becomes_of_a_type(row: list[str]) -> None:
    kinds = codes(row[0]) or ["list"]
    values = json.loads(codes(row[1])[0]) if codes(row[1]) else None
    if "pixels" in row[0]:
        columns = [pa.array(values, pa.list_(pa.uint8())), KINDS["tensor"](list(np.array(values, np.uint8)))]
    elif values is None:
        columns = [KINDS[kind]([1, 2]) for kind in kinds if kind != "list"] + [pa.array([["a"], ["b"]])]
    else:
        columns = [KINDS[kind](values) for kind in kinds]
    for column in columns:
        if row[2].startswith("refused"):
            with pytest.raises(UserCodeError) as refused:
                to_arrays(pa.table({"c": column}), ["c"])
            assert any(code.partition(":")[0] in str(refused.value) for code in codes(row[2]))
        else:
            array = to_arrays(pa.table({"c": column}), ["c"])["c"]
            assert shape_words(array) == row[2].rpartition(": ")[2]
            assert array.tolist() == values


LOSSES = {
    "sparse_categorical_crossentropy": ([0, 2], [0, 3]),
    "categorical_crossentropy": ([[0, 1, 0]], [1]),
    "categorical_focal_crossentropy": ([[0, 1, 0]], [1]),
    "kl_divergence": ([[0, 1, 0]], [1]),
    "binary_crossentropy": ([0, 0.5, 1], [2]),
    "binary_focal_crossentropy": ([0, 1], [-1]),
}


def test_what_a_label_may_be() -> None:
    assert [code for row in table("loss")[:-1] for code in codes(row[0])] == list(LOSSES)
    for loss, (taken, refused) in LOSSES.items():
        spec = job(label="y", loss=loss, layers=[{"Dense": {"units": 3}}])
        check_labels(np.array(taken), spec)
        with pytest.raises(UserCodeError):
            check_labels(np.array(refused), spec)


def test_every_column_option_has_an_example() -> None:
    assert {option for row in table("option") for option in _column(row)[1]} == set(ColumnSpec.model_fields)


def _column(row: list[str]) -> tuple[str, dict[str, Any]]:
    [(name, options)] = yaml.safe_load(codes(row[0])[0]).items()
    return name, options


@pytest.mark.parametrize("row", table("option"), ids=lambda row: row[0])
def test_column(row: list[str]) -> None:
    name, options = _column(row)
    before, after = (json.loads(codes(cell)[0]) if codes(cell) else None for cell in row[1:])
    if "size" in options:
        picture(buffer := io.BytesIO())
        column, shape = pa.array([buffer.getvalue()]), after
        assert list(to_arrays(pa.table({name: column}), [name], {name: ColumnSpec(**options)})[name].shape[1:]) == shape
        return
    column = pa.array(before)
    if "timestamp" in options:
        column = column.cast(pa.timestamp("s"))
    array = to_arrays(pa.table({name: column}), [name], {name: ColumnSpec(**options)})[name]
    assert str(array.tolist()) == str(np.array(after, array.dtype).tolist())  # NaN is not itself
    assert array.dtype == options.get("dtype", array.dtype)


def test_every_step_has_an_example() -> None:
    steps = {next(iter(yaml.safe_load(code))) for row in table("step") for code in codes(row[0])}
    assert steps == set(Preprocess.model_fields)


@pytest.mark.parametrize("row", table("step"), ids=lambda row: row[0])
def test_step(row: list[str], data_folder: Path) -> None:
    """Learned from the train rows shown, and applied to them."""
    steps = [yaml.safe_load(code) for code in codes(row[0])]
    rows = {"x": json.loads(codes(row[1])[0])}
    if len(codes(row[1])) > 1:
        rows["y"] = json.loads(codes(row[1])[-1])
    spec = job(*steps, train={"inline": {"x": [0], "y": [0]}})
    shown = np.asarray(json.loads(codes(row[2])[0]))
    become = np.asarray(features(spec, rows, folder=data_folder))
    assert become.shape == shown.shape
    if shown.dtype.kind == "U":
        assert become.tolist() == shown.tolist()
    else:
        np.testing.assert_allclose(become.astype(float), shown, atol=0.005)


def test_a_file_unlike_the_others_is_refused_as_shown(data_folder: Path) -> None:
    (data_folder / "houses/b.csv").write_text("rooms,area,price\n1,20.0,1.0\n2,35.5\n")
    data = 'data: {train: {csv: "houses/*.csv"}, features: [rooms, aera], label: price}\n'
    (data_folder / "job.yaml").write_text(JOB + data)
    code, output = run("validate", ".")
    assert code == ExitCode.SPEC_REFUSED
    same(block_with(PAGE, "text", "houses/b.csv"), output)
