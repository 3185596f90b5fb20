"""What becomes a table without a cluster; reading through Ray Data is tested in `test_reading`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.fs
import pytest
import scipy.sparse
from sklearn import datasets

from raytrain.data.columns.arrow_to_numpy import to_arrays
from raytrain.data.sources.json_lines import decode_json, json_schema
from raytrain.data.sources.memory_tables import inline_table, sklearn_table, table_of_arrays
from raytrain.data.sources.user_rows import as_rows
from raytrain.errors import UserCodeError
from raytrain.spec.peek.sklearn_sets import SKLEARN_SETS


class TensorSpec:
    def __init__(self, shape: tuple[int | None, ...]) -> None:
        self.shape = shape


class Elements:
    """Stands for a tf.data.Dataset, of which only this is used."""

    def __init__(self, *elements: Any, batched: bool = False) -> None:
        self._elements = elements
        self.element_spec = spec_of(elements[0], batched) if elements else {}

    def as_numpy_iterator(self) -> Any:
        return iter(self._elements)


def spec_of(element: Any, batched: bool) -> Any:
    """As TensorFlow tells it: a batch's first dimension is open."""
    if isinstance(element, dict):
        return {name: spec_of(part, batched) for name, part in element.items()}
    if isinstance(element, tuple):
        return tuple(spec_of(part, batched) for part in element)
    shape = np.shape(element)
    return TensorSpec((None, *shape[1:]) if batched else shape)


def read(value: Any) -> dict[str, Any]:
    table = as_rows(value, "data.py:load", "data.train.python")
    return {name: array.tolist() for name, array in to_arrays(table, table.column_names).items()}


@pytest.mark.parametrize("name", SKLEARN_SETS)
def test_a_set_of_scikit_learn_has_the_rows_and_columns_that_the_client_was_promised(name: str) -> None:
    facts = SKLEARN_SETS[name]
    table = sklearn_table(name)
    loaded = getattr(datasets, f"load_{name}")()
    assert table.num_rows == facts.rows
    assert sorted(table.column_names) == sorted(facts.columns)
    arrays = to_arrays(table, table.column_names)
    np.testing.assert_array_equal(arrays["features"], loaded.data.astype(np.float32))
    np.testing.assert_array_equal(arrays["target"], loaded.target.astype(arrays["target"].dtype))
    assert facts.features == tuple(loaded.feature_names)
    for index, feature in enumerate(facts.features):
        np.testing.assert_array_equal(arrays[feature], loaded.data[:, index].astype(np.float32))
    for index, target in enumerate(facts.targets):
        assert target == loaded.target_names[index]
        np.testing.assert_array_equal(arrays[target], loaded.target[:, index].astype(np.float32))


def test_classes_stay_whole_numbers() -> None:
    assert to_arrays(sklearn_table("digits"), ["digit"])["digit"].dtype == np.int64


@pytest.mark.parametrize(
    ("value", "columns"),
    [
        ([{"x": 1, "y": 0.5}, {"x": 2, "y": 1.5}], {"x": [1, 2], "y": [0.5, 1.5]}),
        ({"x": [1, 2.5]}, {"x": [1.0, 2.5]}),
        ({"x": [[1, 2], [3, 4]], "t": ["a", "b"]}, {"x": [[1, 2], [3, 4]], "t": ["a", "b"]}),
        ({"x": [True, False]}, {"x": [1.0, 0.0]}),
    ],
)
def test_inline_rows_and_columns_are_a_table(value: Any, columns: dict[str, Any]) -> None:
    table = inline_table(value, "data.train.inline")
    assert {name: array.tolist() for name, array in to_arrays(table, table.column_names).items()} == columns


@pytest.mark.parametrize("value", [{"x": [1, "a"]}, [{"x": 1}, {"x": "a"}], {"x": [1, [2]]}, {"x": [2**70]}])
def test_inline_values_of_several_types_in_a_column_are_refused(value: Any) -> None:
    with pytest.raises(UserCodeError, match=r"data.train.inline: got rows that do not fit together"):
        inline_table(value, "data.train.inline")


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(np.arange(5), id="vector"),
        pytest.param(np.arange(5)[::-1], id="reversed"),
        pytest.param(np.arange(9.0)[::4], id="strided"),
        pytest.param(np.arange(24).reshape(4, 3, 2), id="tensor"),
        pytest.param(np.arange(6).reshape(3, 2)[0][None], id="one row"),
        pytest.param(np.asfortranarray(np.arange(12).reshape(4, 3)), id="columns first in memory"),
        pytest.param(np.arange(12).reshape(4, 3)[:, ::2], id="every second element"),
        pytest.param(np.arange(12).reshape(4, 3)[1:3], id="rows in the middle"),
        pytest.param(np.array([[True, False], [False, False]]), id="booleans"),
        pytest.param(np.arange(6, dtype=np.float16).reshape(3, 2), id="float16"),
        pytest.param(np.arange(6, dtype=">f4").reshape(3, 2), id="the other byte order"),
        pytest.param(np.arange(3, dtype=">i8"), id="the other byte order, vector"),
        pytest.param(np.arange(6, dtype=np.uint8).reshape(3, 2), id="uint8"),
        pytest.param(np.array(["a", "bc"]), id="text"),
        pytest.param(np.array(["a", "bc"], dtype=object), id="text as objects"),
    ],
)
def test_arrays_survive_their_way_into_a_table_and_out(array: Any) -> None:
    out = to_arrays(table_of_arrays({"x": array}), ["x"])["x"]
    assert out.shape == array.shape
    assert out.tolist() == array.tolist()


FRAME = pd.DataFrame({"x": [1, 2], "t": pd.Categorical(["b", "a"]), 3: [[1.0, 2.0], [3.0, 4.0]]}, index=[7, 8])
IMAGES = np.arange(8).reshape(2, 2, 2)


@pytest.mark.parametrize(
    ("value", "columns"),
    [
        pytest.param({"x": np.array([1, 2]), "t": ["a", "b"]}, {"x": [1, 2], "t": ["a", "b"]}, id="dict"),
        pytest.param({"x": IMAGES}, {"x": IMAGES.tolist()}, id="dict of tensors"),
        pytest.param({"x": pd.Series([1, 2], index=[5, 6])}, {"x": [1, 2]}, id="dict of series"),
        pytest.param(FRAME, {"x": [1, 2], "t": ["b", "a"], "3": [[1, 2], [3, 4]]}, id="frame"),
        pytest.param(FRAME[FRAME["x"] > 1], {"x": [2], "t": ["a"], "3": [[3, 4]]}, id="rows of a frame"),
        pytest.param(pa.table({"x": [1, 2]}), {"x": [1, 2]}, id="table"),
        pytest.param([{"x": 1, "t": "a"}, {"t": "b", "x": 2}], {"x": [1, 2], "t": ["a", "b"]}, id="rows"),
        pytest.param([{"x": image} for image in IMAGES], {"x": IMAGES.tolist()}, id="rows with arrays"),
        pytest.param([{"x": np.float32(0.5)}, {"x": np.float32(1)}], {"x": [0.5, 1.0]}, id="rows with numpy numbers"),
        pytest.param(Elements({"x": np.int64(1)}, {"x": np.int64(2)}), {"x": [1, 2]}, id="tf.data"),
        pytest.param(
            Elements({"x": IMAGES[0], "t": b"\xc3\xa9"}, {"x": IMAGES[1], "t": b"b"}),
            {"x": IMAGES.tolist(), "t": ["é", "b"]},
            id="tf.data with images and text",
        ),
    ],
)
def test_what_a_function_may_return(value: Any, columns: dict[str, Any]) -> None:
    assert read(value) == columns


PNG = b"\x89PNG\r\n\x1a\n\0\0\0\0"


@pytest.mark.parametrize("value", [{"x": [PNG, PNG]}, [{"x": PNG}, {"x": PNG}], Elements({"x": PNG}, {"x": PNG})])
def test_bytes_that_are_no_text_stay_whole(value: Any) -> None:
    assert as_rows(value, "data.py:load", "data.train.python").to_pylist() == [{"x": PNG}] * 2


def test_masked_values_are_empty_cells_or_refused() -> None:
    masked = np.ma.array([1.0, -9999.0], mask=[False, True])
    assert table_of_arrays({"x": masked})["x"].to_pylist() == [1.0, None]
    whole = np.ma.array([[1.0, 2.0]], mask=False)
    assert to_arrays(table_of_arrays({"x": whole}), ["x"])["x"].tolist() == [[1.0, 2.0]]
    with pytest.raises(UserCodeError, match="masked values in column `x`, which has 2 dimensions"):
        table_of_arrays({"x": np.ma.array([[1.0, 2.0]], mask=[[False, True]])})


def test_large_whole_numbers_in_tensors_are_refused_as_in_columns() -> None:
    with pytest.raises(UserCodeError, match="got 9223372036854775813 in column `x`, expected whole numbers below"):
        to_arrays(table_of_arrays({"x": np.array([[2**63 + 5, 1]], np.uint64)}), ["x"])


@pytest.mark.parametrize("value", [[], {}, {"x": []}, {"x": np.zeros((0, 2, 2))}, pd.DataFrame({"x": []}), Elements()])
def test_nothing_is_a_table_without_rows(value: Any) -> None:
    assert as_rows(value, "data.py:load", "data.train.python").num_rows == 0


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (3, "builtins.int from data.py:load"),
        (None, "builtins.NoneType from data.py:load"),
        (pd.Series([1]), "pandas.* from data.py:load"),
        ((np.zeros(2), np.zeros(2)), "builtins.tuple from data.py:load"),
        (np.zeros((2, 2)), "numpy.ndarray from data.py:load"),
    ],
)
def test_what_is_no_data_is_refused_by_its_type(value: Any, got: str) -> None:
    with pytest.raises(UserCodeError, match=f"data.train.python: got {got}, expected a Ray Dataset, a frame"):
        read(value)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"x": [1, 2], "y": [1]}, "columns of different lengths: {'x': 2, 'y': 1}"),
        ({"x": 1, "y": [1]}, "object of type 'int' has no len()"),
        ({"x": np.array([1j])}, "Unsupported numpy type"),
        ([1, 2], "a row that is a int, not a dict"),
        ([{"x": 1}, {"x": 2, "y": 3}], "rows of different columns, ['x'] and ['x', 'y']"),
        ([{"x": 1}, {}], "rows of different columns, ['x'] and []"),
        ([{"x": 1}, {"x": "a"}], "Could not convert 'a'"),
        ([{"x": 2**70}], "too large"),
        ([{"x": np.zeros(2)}, {"x": np.zeros(3)}], "same shape"),
        (pd.DataFrame({"x": [1, "a"]}), "Could not convert 'a'"),
        ([(np.zeros(2), 1)], "a row that is a tuple, not a dict"),
    ],
)
def test_what_makes_no_table_is_refused_with_the_reason(value: Any, why: str) -> None:
    with pytest.raises(UserCodeError) as refused:
        read(value)
    [problem] = refused.value.problems
    assert problem.field == "data.train.python"
    assert why in problem.got
    assert "data.py:load" in problem.got


@pytest.mark.parametrize("text", [b'{"a": 1}\n{"a": 2}\n', b'[{"a": 1}, {"a": 2}]'])
def test_json_may_begin_with_a_byte_order_mark(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + text)
    filesystem = pa.fs.LocalFileSystem()
    assert pa.concat_tables(decode_json(filesystem, str(file))).to_pydict() == {"a": [1, 2]}
    if text.startswith(b"{"):
        assert json_schema(filesystem, str(file)).names == ["a"]


X, Y = np.arange(6, dtype=np.float32).reshape(3, 2), np.array([0, 1, 0])
ROWS = {"x": X.tolist(), "y": Y.tolist()}


@pytest.mark.parametrize(
    ("value", "columns"),
    [
        pytest.param(lambda: Elements(*zip(X, Y, strict=True)), ROWS, id="rows of (x, y)"),
        pytest.param(lambda: Elements((X[:2], Y[:2]), (X[2:], Y[2:]), batched=True), ROWS, id="batches of (x, y)"),
        pytest.param(
            lambda: Elements((X, Y, Y / 2), batched=True), ROWS | {"sample_weight": [0, 0.5, 0]}, id="(x, y, w)"
        ),
        pytest.param(lambda: Elements({"x": X, "y": Y}, batched=True), ROWS, id="batches of dicts"),
        pytest.param(
            lambda: Elements(({"a": X, "b": Y}, Y), batched=True),
            {"a": X.tolist(), "b": Y.tolist(), "y": Y.tolist()},
            id="named inputs",
        ),
        pytest.param(
            lambda: Elements(((X, Y), Y), batched=True),
            {"x_0": X.tolist(), "x_1": Y.tolist(), "y": Y.tolist()},
            id="several inputs",
        ),
        pytest.param(lambda: ({"x": x, "y": y} for x, y in zip(X, Y, strict=True)), ROWS, id="a generator of dicts"),
        pytest.param(lambda: zip(X, Y, strict=True), ROWS, id="a generator of (x, y)"),
        pytest.param(
            lambda: np.array([(0.5, 1), (1.5, 2)], [("a", "f4"), ("b", "i8")]),
            {"a": [0.5, 1.5], "b": [1, 2]},
            id="structured array",
        ),
        pytest.param(lambda: {"x": pd.Series([1, 2], dtype="Int64")}, {"x": [1, 2]}, id="a pandas column"),
        pytest.param(
            lambda: pd.DataFrame({"a": pd.array([True, False], "boolean"), "c": pd.Categorical(["u", "v"])}),
            {"a": [1, 0], "c": ["u", "v"]},
            id="a frame of extension types",
        ),
        pytest.param(lambda: pa.record_batch({"x": [1, 2]}), {"x": [1, 2]}, id="a record batch"),
        pytest.param(lambda: pa.dataset.dataset(pa.table({"x": [1, 2]})), {"x": [1, 2]}, id="an Arrow dataset"),
    ],
)
def test_rows_of_python_are_taken_for_what_they_are(value: Any, columns: dict[str, Any]) -> None:
    assert read(value()) == columns


def test_frames_of_other_libraries() -> None:
    polars, duckdb = pytest.importorskip("polars"), pytest.importorskip("duckdb")
    frame = polars.DataFrame({"a": [1, 2], "t": ["u", "v"]})
    expected = {"a": [1, 2], "t": ["u", "v"]}
    assert read(frame) == read(frame.lazy()) == read({"a": frame["a"], "t": frame["t"]}) == expected
    assert read(duckdb.sql("SELECT * FROM (VALUES (1, 'u'), (2, 'v')) AS rows(a, t)")) == expected


def test_a_dataset_of_hugging_face() -> None:
    datasets = pytest.importorskip("datasets")
    assert read(datasets.Dataset.from_dict({"a": [1, 2, 3]}).select([2, 0])) == {"a": [3, 1]}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (lambda: (X, Y), 'name the parts: return {"x": x, "y": y}'),
        (lambda: X, 'name it: return {"x": array'),
        (lambda: scipy.sparse.csr_matrix(X), "matrix.toarray()"),
        (lambda: {"x": scipy.sparse.csr_matrix(X)}, "column `x` is a sparse matrix; x.toarray()"),
        (lambda: iter([(X, Y)]), "batches, as it seems"),
        (lambda: iter([(1, 2, 3, 4)]), "a row of 4 values"),
        (lambda: Elements((X, Y, Y, Y), batched=True), "elements of 4 parts"),
        (lambda: Elements(X[:, 0], batched=True), "which may be rows or batches"),
        (lambda: pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")])), "several levels"),
        (lambda: pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_tuples([(1, 2)])), "frame.reset_index()"),
        (lambda: {"x": [1, "a"]}, "make no table"),
        (lambda: [1, 2], "a row that is a int"),
    ],
)
def test_what_holds_no_rows_is_refused_by_what_it_is(value: Any, said: str) -> None:
    with pytest.raises(UserCodeError) as refused:
        read(value())
    [problem] = refused.value.problems
    assert said in problem.got + problem.fix


def test_lists_of_several_lengths_are_lists() -> None:
    table = as_rows({"t": [[1, 2], [3]], "u": [[1, 2], [3, 4]], "n": [None, 1]}, "data.py:load", "data.train.python")
    assert table.column("t").to_pylist() == [[1, 2], [3]]
    assert to_arrays(table, ["u"])["u"].tolist() == [[1, 2], [3, 4]]
    assert table.column("n").null_count == 1


@pytest.mark.thorough
def test_datasets_of_tensorflow_itself() -> None:
    tf = pytest.importorskip("tensorflow")
    pairs = tf.data.Dataset.from_tensor_slices((X, Y))
    dicts = tf.data.Dataset.from_tensor_slices({"x": X, "y": Y})
    for dataset in (pairs, dicts):
        batches = dataset.batch(2)
        for made in (dataset, batches, batches.prefetch(1), dataset.batch(1, drop_remainder=True), batches.unbatch()):
            assert read(made) == ROWS
    lists = tf.data.Dataset.from_tensor_slices(tf.ragged.constant([[1, 2], [3]]))
    with pytest.raises(UserCodeError, match="not a dense tensor"):
        read(lists)
